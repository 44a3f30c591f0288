package importer

import (
	"slices"
	"strings"

	"coulisse/node/taxonomy"
	"coulisse/protocol"

	"go.yaml.in/yaml/v4"
)

// Mapping is what an operator says about a file, in YAML or JSON, when what is
// found in it by itself is not right, or not all:
//
//	kind: tickets
//	columns: {email: "Adresse 2", discipline: "-"}
//	defaults: {venue: "Grande salle"}
//	date_order: dmy
//	decimal: comma
//	cancelled: {column: "Type", values: [Annulation]}
//
// Some are shipped: see [Shipped].
type Mapping struct {
	// Title and Source are for people: what the mapping is for, and where the
	// format of the files is told.
	Title  protocol.Text `yaml:"title" json:"title,omitzero"`
	Source string        `yaml:"source" json:"source,omitempty"`
	// Kind is what the files hold, if the operator does not say.
	Kind Kind `yaml:"kind" json:"kind,omitempty"`
	// Columns has the heading of a field's column, or "-" for none.
	Columns map[Field]string `yaml:"columns" json:"columns,omitempty"`
	// Defaults has what is true of all rows, where the file has no column: its
	// event and day, if it is about one; its venue; its discipline.
	Defaults  map[Field]string `yaml:"defaults" json:"defaults,omitempty"`
	DateOrder DateOrder        `yaml:"date_order" json:"date_order,omitempty"`
	Decimal   Decimal          `yaml:"decimal" json:"decimal,omitempty"`
	Encoding  Encoding         `yaml:"encoding" json:"encoding,omitempty"`
	Delimiter string           `yaml:"delimiter" json:"delimiter,omitempty"`
	// Sheet names the sheet of a workbook that has several with the columns.
	Sheet string `yaml:"sheet" json:"sheet,omitempty"`
	// Since1904 reads serial days as old Excel for Macintosh counted them.
	Since1904 bool `yaml:"since_1904" json:"since_1904,omitempty"`
	// Cancelled are the rows that give tickets and their price back, whatever
	// the sign of their figures: a row of its own beside that of the sale.
	Cancelled Marked `yaml:"cancelled" json:"cancelled,omitzero"`
	// LeftOut are the rows that are no sale, or no longer one: carts that were
	// abandoned, and sales that a system marks as refunded where they stand.
	LeftOut Marked `yaml:"left_out" json:"left_out,omitzero"`
}

// Marked tells some rows from the others by what one of their columns has, case
// and accents aside.
type Marked struct {
	Column string   `yaml:"column" json:"column,omitempty"`
	Values []string `yaml:"values" json:"values,omitempty"`
}

// IsZero reports that no rows are marked.
func (m Marked) IsZero() bool { return m.Column == "" && len(m.Values) == 0 }

// MaxMapping bounds the file of a mapping, in bytes.
const MaxMapping = 64 << 10

const mappingKeys = "title, source, kind, columns, defaults, date_order, decimal, encoding, delimiter, sheet, since_1904, cancelled"

// ParseMapping reads a mapping from YAML or JSON. A key it does not know is an
// error, since a misspelt one would silently change nothing.
func ParseMapping(data []byte) (Mapping, error) {
	if len(data) > MaxMapping {
		return Mapping{}, settings("la correspondance dépasse 64 Kio", "the mapping is longer than 64 KiB")
	}
	var m Mapping
	if err := yaml.Load(data, &m, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return Mapping{}, settings("la correspondance n'est pas du YAML avec les clés "+mappingKeys+" et left_out",
			"the mapping is not YAML with the keys "+mappingKeys+" and left_out")
	}
	return m, m.Check()
}

func settings(fr, en string) *Problem {
	return problem(ProblemSettings, "Réglages : %[1]s.", "Settings: %[2]s.", fr, en)
}

// Check says what of a mapping cannot be.
func (m Mapping) Check() error {
	for field := range m.Columns {
		if !slices.Contains(ticketFields, field) {
			return settings("la colonne « "+shown(string(field))+" » n'existe pas ; il y a "+fieldList(),
				"there is no field \""+shown(string(field))+"\"; there are "+fieldList())
		}
	}
	switch {
	case m.Kind != "" && m.Kind != Tickets && m.Kind != People:
		return settings("kind est tickets ou people", "kind is tickets or people")
	case m.DateOrder != "" && m.DateOrder != DayFirst && m.DateOrder != MonthFirst:
		return settings("date_order est dmy ou mdy", "date_order is dmy or mdy")
	case m.Decimal != "" && m.Decimal != Comma && m.Decimal != Point:
		return settings("decimal est comma ou point", "decimal is comma or point")
	case m.Encoding != "" && !m.Encoding.known():
		return settings("l'encodage est utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, macintosh ou ibm850",
			"the encoding is utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, macintosh or ibm850")
	case m.Delimiter != "" && (len(m.Delimiter) != 1 || strings.ContainsAny(m.Delimiter, "\"\r\n") || m.Delimiter[0] >= 0x80):
		return settings("le séparateur est un seul caractère, comme ;", "the delimiter is one character, such as ;")
	}
	for _, marked := range []Marked{m.Cancelled, m.LeftOut} {
		if (marked.Column == "") != (len(marked.Values) == 0) {
			return settings("cancelled et left_out ont une colonne (column) et des valeurs (values)",
				"cancelled and left_out have a column and values")
		}
	}
	return m.checkDefaults()
}

func (m Mapping) checkDefaults() error {
	for field, value := range m.Defaults {
		good := value != ""
		switch field {
		case FieldEvent, FieldVenue:
			_, reason := phrase([]byte(value), map[Field]int{FieldEvent: maxEvent, FieldVenue: maxName}[field])
			good = good && reason == ""
		case FieldDay:
			good = protocol.Date(value).Check() == nil
		case FieldDiscipline:
			good = taxonomy.Known(value)
		default:
			good = false
		}
		if !good {
			return settings("defaults a event, venue, day (comme 2026-11-23) et discipline (un code de la taxonomie)",
				"defaults has event, venue, day (such as 2026-11-23) and discipline (a code of the taxonomy)")
		}
	}
	return nil
}
