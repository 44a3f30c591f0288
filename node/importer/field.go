package importer

import (
	_ "embed"
	"strings"
	"unicode"

	"coulisse/protocol"

	"golang.org/x/text/unicode/norm"
)

// Field is a column that an import understands.
type Field string

// The fields. A consent's date belongs to all consents of its row.
const (
	FieldEmail             Field = "email"
	FieldPhone             Field = "phone"
	FieldPostalCode        Field = "postal_code"
	FieldOrder             Field = "order"
	FieldEvent             Field = "event"
	FieldDiscipline        Field = "discipline"
	FieldVenue             Field = "venue"
	FieldDay               Field = "day"
	FieldQuantity          Field = "quantity"
	FieldAmount            Field = "amount"     // for the whole row
	FieldUnitPrice         Field = "unit_price" // for each ticket, if no amount is there
	FieldConsentPooling    Field = "consent_pooling"
	FieldConsentActivation Field = "consent_activation"
	FieldConsentDate       Field = "consent_date"
)

var (
	personFields = []Field{FieldEmail, FieldPhone, FieldPostalCode,
		FieldConsentPooling, FieldConsentActivation, FieldConsentDate}
	ticketFields = []Field{FieldEmail, FieldPhone, FieldPostalCode, FieldOrder, FieldEvent, FieldDiscipline,
		FieldVenue, FieldDay, FieldQuantity, FieldAmount, FieldUnitPrice,
		FieldConsentPooling, FieldConsentActivation, FieldConsentDate}
)

// fields lists what a file of this kind may hold.
func (k Kind) fields() []Field {
	if k == Tickets {
		return ticketFields
	}
	return personFields
}

//go:embed fields.tsv
var fieldData string

// fieldNames is the file of headings, ready to be asked.
type fieldNames struct {
	title map[Field]protocol.Text
	// rank has, for a folded heading, the fields it may stand for, and how
	// likely: a low rank wins.
	rank map[string]map[Field]int
}

var names = readFieldNames(fieldData)

func readFieldNames(data string) fieldNames {
	n := fieldNames{make(map[Field]protocol.Text), make(map[string]map[Field]int)}
	for line := range strings.Lines(data) {
		columns := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if strings.HasPrefix(line, "#") || columns[0] == "field" || len(columns) != 4 {
			continue
		}
		field := Field(columns[0])
		n.title[field] = protocol.Text{FR: columns[1], EN: columns[2]}
		for i, heading := range strings.Split(columns[3], ";") {
			key := fold(heading)
			if n.rank[key] == nil {
				n.rank[key] = make(map[Field]int)
			}
			if _, known := n.rank[key][field]; !known {
				n.rank[key][field] = i
			}
		}
	}
	return n
}

// withRemark ranks a heading that fits only without its parentheses, or without
// what it lies in: "show.title".
const withRemark = 1000

// fit returns how well a heading names a field, lower being better.
func (n fieldNames) fit(heading string, field Field) (rank int, ok bool) {
	if rank, ok = n.rank[fold(heading)][field]; ok {
		return rank, true
	}
	plain, _, found := strings.Cut(heading, "(")
	if dot := strings.LastIndexByte(heading, '.'); !found && dot >= 0 && !strings.Contains(heading, " ") {
		plain, found = heading[dot+1:], true // of an object in an object
	}
	if !found {
		return 0, false
	}
	rank, ok = n.rank[fold(plain)][field]
	return rank + withRemark, ok
}

// fold writes a heading the way that headings are compared: lower case, without
// accents, words joined by one space.
func fold(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(s) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		switch r = unicode.ToLower(r); r {
		case 'œ':
			b.WriteString("oe")
		case 'æ':
			b.WriteString("ae")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
