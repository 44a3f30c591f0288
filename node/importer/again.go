package importer

import (
	"bytes"
	"slices"
	"strings"
)

// repeatsHeadings reports a row that is the row of headings once more, as
// reports that were laid out for paper have on each page.
func (j *job) repeatsHeadings(r row) bool {
	h := j.layout.header
	for _, field := range []Field{FieldEmail, FieldPhone} {
		if i, ok := h.column[field]; ok && string(bytes.TrimSpace(cellAt(r.cells, i))) != h.headings[i] {
			return false
		}
	}
	return slices.Equal(headingsOf(r.cells), h.headings)
}

// anotherTable refuses a file in which a second table stands below the first:
// its columns may lie elsewhere, and its rows would come out as something else.
func (j *job) anotherTable(r row) error {
	if j.layout.format == JSON || j.layout.format == Parquet || j.namesPerson(r) {
		return nil
	}
	known := 0
	for _, cell := range r.cells {
		if len(cell) <= maxShort && names.rank[fold(string(cell))] != nil {
			known++
		}
	}
	if known < 2 {
		return nil
	}
	h, err := understand(headingsOf(r.cells), j.options.Kind, j.options.Mapping)
	if err != nil || !h.complete(j.options.Kind, j.options.Mapping) {
		return nil
	}
	return problem(ProblemStructure,
		"Un deuxième tableau commence à la ligne %[1]d : laissez-en un seul par feuille ou par fichier, et importez-les l'un après l'autre.",
		"A second table begins on line %[1]d: leave one to a sheet or file, and import them one after the other.", r.line)
}

// namesPerson reports a row with something like an address or a telephone.
func (j *job) namesPerson(r row) bool {
	if i, ok := j.layout.header.column[FieldEmail]; ok && bytes.IndexByte(cellAt(r.cells, i), '@') >= 0 {
		return true
	}
	i, ok := j.layout.header.column[FieldPhone]
	return ok && bytes.ContainsAny(cellAt(r.cells, i), "0123456789")
}

// isTotal reports the row in which a report adds its rows up: it says so in its
// first words, or has nothing else in a cell.
func isTotal(cells [][]byte) bool {
	first := true
	for _, cell := range cells {
		text := ""
		if len(cell) <= maxShort {
			text = fold(string(cell))
		}
		for _, word := range []string{"total", "totaux", "sous total", "subtotal", "grand total"} {
			if text == word || first && strings.HasPrefix(text, word+" ") {
				return true
			}
		}
		first = first && len(bytes.TrimSpace(cell)) == 0
	}
	return false
}

// failures are what a formula leaves in its cell when it fails, in the languages
// of Excel that a house here uses.
var failures = func() map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq("#N/A #REF! #VALUE! #DIV/0! #NAME? #NULL! #NUM! #CALC! #SPILL! #GETTING_DATA " +
		"#VALEUR! #NOM? #NUL! #NOMBRE! #CALCUL!") {
		set[word] = true
	}
	return set
}()

// failed reports a cell with a formula that failed, or that no program has
// computed: text that starts with "=" and goes on like one.
func failed(cell []byte) bool {
	if len(cell) == 0 || cell[0] != '=' && cell[0] != '#' && cell[0] != ' ' {
		return false
	}
	cell = unwrap(cell)
	if len(cell) < 2 {
		return false
	}
	next := cell[1] | 0x20
	return failures[string(cell)] || cell[0] == '=' && (next >= 'a' && next <= 'z' || bytes.IndexByte([]byte("0123456789(+-@"), cell[1]) >= 0)
}
