package importer

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"

	"coulisse/node/identity"
)

// header is the row of headings, understood.
type header struct {
	line     int64
	headings []string
	column   map[Field]int // only the fields that are there
	// What the mapping says of the rows: where it is, -1 for nowhere.
	cancelled, leftOut int
}

// ignored lists the headings of the columns that no field takes.
func (h header) ignored() []string {
	taken := make(map[int]bool)
	for _, i := range h.column {
		taken[i] = true
	}
	var list []string
	for i, heading := range h.headings {
		if !taken[i] && heading != "" {
			list = append(list, shown(heading))
		}
	}
	return list
}

// complete reports whether a file of the kind has what it must have.
func (h header) complete(kind Kind, m Mapping) bool {
	_, email := h.column[FieldEmail]
	_, phone := h.column[FieldPhone]
	return (email || phone) && (kind == People || h.knows(FieldEvent, m) && h.knows(FieldDay, m))
}

// knows reports a field with a column, or with a default.
func (h header) knows(field Field, m Mapping) bool {
	_, there := h.column[field]
	return there || m.Defaults[field] != ""
}

// understand finds the fields among headings. It fails if the operator's
// mapping names a heading that is not there, or if two columns are equally
// good for one field.
func understand(headings []string, kind Kind, m Mapping) (header, error) {
	h := header{headings: headings, column: make(map[Field]int), cancelled: -1, leftOut: -1}
	for _, field := range kind.fields() {
		wanted, said := m.Columns[field]
		if wanted == "-" {
			continue
		}
		var found int
		var err error
		if said {
			found, err = named(headings, wanted)
		} else {
			found, err = likeliest(headings, field)
		}
		if err != nil {
			return h, err
		}
		if found >= 0 {
			h.column[field] = found
		}
	}
	for _, mark := range []struct {
		column string
		at     *int
	}{{m.Cancelled.Column, &h.cancelled}, {m.LeftOut.Column, &h.leftOut}} {
		if mark.column == "" {
			continue
		}
		found, err := named(headings, mark.column)
		if err != nil {
			return h, err
		}
		*mark.at = found
	}
	return h, nil
}

// named finds the column that a mapping names, as written, else without regard
// to case and accents.
func named(headings []string, wanted string) (int, error) {
	for _, same := range []func(string) bool{
		func(heading string) bool { return heading == wanted },
		func(heading string) bool { return fold(heading) == fold(wanted) },
	} {
		first := slices.IndexFunc(headings, same)
		if first < 0 {
			continue
		}
		if slices.ContainsFunc(headings[first+1:], same) {
			return -1, sameColumn(headings[first])
		}
		return first, nil
	}
	return -1, problem(ProblemMissingColumn,
		"--map, ou la correspondance, nomme la colonne \"%s\", que le fichier n'a pas. Il a : %s. Corrigez le nom, ou retirez-le.",
		"--map, or the mapping, names the column \"%s\", which the file does not have. It has: %s. Correct the name, or remove it.",
		shown(wanted), shownList(headings))
}

// likeliest finds the column whose heading fits a field best, or -1.
func likeliest(headings []string, field Field) (int, error) {
	best, lowest, twice := -1, 0, false
	for i, heading := range headings {
		rank, ok := names.fit(heading, field)
		switch {
		case !ok:
		case best < 0 || rank < lowest:
			best, lowest, twice = i, rank, false
		case rank == lowest:
			twice = true
		}
	}
	if twice {
		return -1, sameColumn(headings[best])
	}
	return best, nil
}

func sameColumn(heading string) error {
	return problem(ProblemSameColumn,
		"Deux colonnes s'appellent \"%s\" : renommez dans le fichier celle qui ne sert pas.",
		"Two columns are called \"%s\": rename the one that is not wanted in the file.", shown(heading))
}

// missing says which columns a file lacks, what it has, and what to do.
func (h header) missing(kind Kind, m Mapping) error {
	var fr, en []string
	var first Field
	lack := func(field Field) {
		first = cmp.Or(first, field)
		title := names.title[field]
		fr, en = append(fr, "« "+title.FR+" »"), append(en, "\""+title.EN+"\"")
	}
	_, email := h.column[FieldEmail]
	_, phone := h.column[FieldPhone]
	if !email && !phone {
		lack(FieldEmail)
	}
	for _, field := range []Field{FieldEvent, FieldDay} {
		if kind == Tickets && !h.knows(field, m) {
			lack(field)
		}
	}
	return problem(ProblemMissingColumn,
		"Il manque : %[1]s. Le fichier a ces colonnes : %[3]s. Renommez celle qui convient, ou indiquez-la : --map %[4]s=Acheteur.",
		"Missing: %[2]s. The file has these columns: %[3]s. Rename the one that fits, or name it: --map %[4]s=Buyer.",
		strings.Join(fr, ", "), strings.Join(en, ", "), shownList(h.headings), first)
}

// maxPreamble is how many rows of titles may stand above the headings.
const maxPreamble = 20

// findHeader reads up to the row of headings: the first that has all columns
// that the kind asks for. Exports put titles and dates above it. With an error
// comes the row that was nearest to it.
func findHeader(t rows, kind Kind, m Mapping) (header, error) {
	var best header
	var failure, broken error
	persons := false
	for range maxPreamble {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return best, err
		}
		if r.broken != "" {
			broken = cmp.Or(broken, unreadableRow(r))
			continue
		}
		headings := headingsOf(r.cells)
		h, err := understand(headings, kind, m)
		h.line = r.line
		if err == nil && h.complete(kind, m) {
			return h, nil
		}
		if len(best.headings) == 0 || len(h.column) > len(best.column) {
			best, failure = h, err
		}
		persons = persons || holdsPerson(r.cells)
	}
	switch {
	case broken != nil:
		return best, broken
	case len(best.headings) == 0:
		return best, emptyFile
	case failure != nil:
		return best, failure
	case persons && len(best.column) == 0:
		return best, noHeader
	}
	return best, best.missing(kind, m)
}

var noHeader = problem(ProblemNoHeader,
	"Le fichier n'a pas de ligne d'en-têtes : ajoutez-en une en haut, avec le nom de chaque colonne (Courriel, Téléphone, …).",
	"The file has no row of headings: add one at the top, with the name of each column (E-mail, Telephone, …).")

func unreadableRow(r row) error {
	text := r.broken.Text()
	return problem(ProblemNoHeader,
		"Les en-têtes sont introuvables, et la ligne %[1]d est illisible. %[2]s",
		"The headings cannot be found, and line %[1]d cannot be read. %[3]s", r.line, text.FR, text.EN)
}

// headingsOf copies cells, trimmed, without the blanks that follow the last.
func headingsOf(cells [][]byte) []string {
	headings := make([]string, 0, len(cells))
	for _, cell := range cells {
		headings = append(headings, strings.Join(strings.Fields(string(unwrap(cell))), " "))
	}
	for len(headings) > 0 && headings[len(headings)-1] == "" {
		headings = headings[:len(headings)-1]
	}
	return headings
}

func holdsPerson(cells [][]byte) bool {
	return slices.ContainsFunc(cells, func(cell []byte) bool {
		if bytes.IndexByte(cell, '@') < 0 {
			return false
		}
		_, err := identity.Email(string(unwrap(cell)))
		return err == nil
	})
}
