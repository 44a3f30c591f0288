// Package taxonomy names what a performance or a visit is about, in codes that
// every member writes alike: "dance.contemporary". A code covers all that is
// below it, as section 4a of protocol.md needs for the definition of an
// audience.
//
// The codes and the words for them are data, in taxonomy.tsv. The package does
// not guess: words that fit two branches fit none.
package taxonomy

import (
	_ "embed"
	"slices"
	"strings"

	"coulisse/protocol"
)

//go:embed taxonomy.tsv
var data string

// Code is a place in the taxonomy, such as "dance.contemporary".
type Code = string

// maxWords bounds what is searched for a discipline: more is a sentence.
const maxWords = 10

// entry is one name of a code that may stand inside longer words.
type entry struct {
	code  Code
	words []string // sorted, each once
}

// table is the file, ready to be asked.
type table struct {
	titles map[Code]protocol.Text
	order  []Code              // as in the file
	exact  map[string]Code     // the sorted words of a name, joined
	byWord map[string][]*entry // a word, and the names that hold it
}

var shipped = build(rows())

func build(rows []row) table {
	t := table{make(map[Code]protocol.Text), nil, make(map[string]Code), make(map[string][]*entry)}
	for _, row := range rows {
		t.titles[row.code] = row.title
		t.order = append(t.order, row.code)
		for _, name := range row.names {
			name, whole := strings.CutPrefix(name, "=")
			words := wordsOf(name)
			t.exact[strings.Join(words, " ")] = row.code
			if whole {
				continue
			}
			e := &entry{row.code, words}
			for _, word := range words {
				t.byWord[word] = append(t.byWord[word], e)
			}
		}
	}
	return t
}

type row struct {
	code, parent Code
	title        protocol.Text
	names        []string // a leading = asks for the whole
}

func rows() []row {
	var list []row
	for line := range strings.Lines(data) {
		line = strings.TrimRight(line, "\r\n")
		fields := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") || fields[0] == "code" || len(fields) != 5 {
			continue
		}
		r := row{code: fields[0], parent: fields[1], title: protocol.Text{FR: fields[2], EN: fields[3]}}
		r.names = append(r.names, "="+r.code, r.title.FR, r.title.EN)
		for name := range strings.SplitSeq(fields[4], ";") {
			if name = strings.TrimSpace(name); name != "" {
				r.names = append(r.names, name)
			}
		}
		list = append(list, r)
	}
	return list
}

// Lookup finds the code for free words in French or English, "Danse
// contemporaine" or "contemporary dance (premiere)": the code that bears this
// name; else the one with the longest name whose words are all there. Of
// several as long, the one below the others; else what covers them all, if
// anything does.
func Lookup(words string) (Code, bool) {
	if len(words) > 400 {
		return "", false
	}
	asked := wordsOf(words)
	if code, ok := shipped.exact[strings.Join(asked, " ")]; ok {
		return code, true
	}
	if len(asked) > maxWords {
		return "", false
	}
	var found []Code
	length := 0
	for _, word := range asked {
		for _, e := range shipped.byWord[word] {
			if len(e.words) < length || !contains(asked, e.words) {
				continue
			}
			if len(e.words) > length {
				found, length = found[:0], len(e.words)
			}
			found = append(found, e.code)
		}
	}
	code := settle(found)
	return code, code != ""
}

// settle chooses among codes that fit equally well.
func settle(found []Code) Code {
	if len(found) == 0 {
		return ""
	}
	deepest := found[0]
	for _, code := range found[1:] {
		if Covers(deepest, code) {
			deepest = code
		}
	}
	common := deepest
	for _, code := range found {
		if Covers(code, deepest) {
			continue // says the same, less exactly
		}
		for common != "" && !Covers(common, code) {
			common = common[:max(0, strings.LastIndexByte(common, '.'))]
		}
	}
	return common
}

// contains reports whether every word of the sorted list few is in many.
func contains(many, few []string) bool {
	for _, word := range few {
		if _, found := slices.BinarySearch(many, word); !found {
			return false
		}
	}
	return true
}

// Title returns what a code is called, or empty texts for one that is unknown.
func Title(code Code) protocol.Text { return shipped.titles[code] }

// Known reports whether the code is in the taxonomy.
func Known(code Code) bool { return shipped.titles[code] != protocol.Text{} }

// Codes lists the taxonomy, each code after the one that covers it.
func Codes() []Code { return slices.Clone(shipped.order) }

// Covers reports whether below is code or lies under it. No code covers the
// empty one, which stands for an unknown discipline, nor does it cover any.
func Covers(code, below Code) bool {
	if code == "" {
		return false
	}
	rest, ok := strings.CutPrefix(below, code)
	return ok && (rest == "" || rest[0] == '.')
}
