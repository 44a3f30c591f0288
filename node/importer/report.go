package importer

import (
	"cmp"
	"slices"
	"time"
)

// Report is what became of a file. It holds no identifier and no row: headings,
// words of the discipline column, counts and line numbers.
type Report struct {
	Run    RunID  `json:"run,omitempty"` // empty if the import never began
	Kind   Kind   `json:"kind"`
	File   string `json:"file,omitempty"`
	Digest Digest `json:"digest,omitempty"`
	Bytes  int64  `json:"bytes"`

	Encoding   Encoding            `json:"encoding,omitempty"`
	Delimiter  string              `json:"delimiter,omitempty"`
	HeaderLine int64               `json:"header_line,omitempty"`
	Columns    map[Field]string    `json:"columns,omitempty"` // the heading of each field
	Ignored    []string            `json:"ignored_columns,omitempty"`
	DateOrder  map[Field]DateOrder `json:"date_order,omitempty"`
	Decimal    map[Field]Decimal   `json:"decimal,omitempty"`

	Rows    int64 `json:"rows"` // Kept and Refused; not Blank
	Kept    int64 `json:"kept"`
	Refused int64 `json:"refused"`
	Blank   int64 `json:"blank,omitempty"`

	RefusedBy []Tally `json:"refused_by,omitempty"`
	// Discarded counts the identifiers that were refused in rows that were kept
	// for the other one.
	Discarded []Tally `json:"discarded,omitempty"`
	Warnings  []Tally `json:"warnings,omitempty"`
	// UnknownDisciplines are some of the words that the taxonomy does not know.
	UnknownDisciplines []string `json:"unknown_disciplines,omitempty"`

	People   int64         `json:"people,omitempty"`  // rows about people
	Tickets  int64         `json:"tickets,omitempty"` // sold less refunded
	Cents    int64         `json:"cents,omitempty"`   // likewise
	Duration time.Duration `json:"duration_ns"`
}

// Tally counts one reason, with the first lines on which it was met.
type Tally struct {
	Reason Reason  `json:"reason"`
	Count  int64   `json:"count"`
	Lines  []int64 `json:"lines"`
}

// Bounds of a report's lists.
const (
	maxLines   = 5
	maxUnknown = 10
)

func count(tallies *[]Tally, reason Reason, line int64) {
	i := slices.IndexFunc(*tallies, func(t Tally) bool { return t.Reason == reason })
	if i < 0 {
		i = len(*tallies)
		*tallies = append(*tallies, Tally{Reason: reason})
	}
	t := &(*tallies)[i]
	if t.Count++; len(t.Lines) < maxLines {
		t.Lines = append(t.Lines, line)
	}
}

func (r *Report) refuse(reason Reason, line int64) {
	r.Refused++
	count(&r.RefusedBy, reason, line)
}

func (r *Report) warn(reason Reason, line int64)    { count(&r.Warnings, reason, line) }
func (r *Report) discard(reason Reason, line int64) { count(&r.Discarded, reason, line) }

func (r *Report) unknownDiscipline(words string) {
	words = shown(words)
	if len(r.UnknownDisciplines) < maxUnknown && !slices.Contains(r.UnknownDisciplines, words) {
		r.UnknownDisciplines = append(r.UnknownDisciplines, words)
	}
}

// describe notes how the file is written.
func (r *Report) describe(l layout) {
	r.Delimiter = string(l.delimiter)
	r.HeaderLine = l.header.line
	r.Ignored = l.header.ignored()
	r.Columns = make(map[Field]string)
	for field, i := range l.header.column {
		r.Columns[field] = shown(l.header.headings[i])
	}
}

// finish puts the most frequent reasons first.
func (r *Report) finish() {
	for _, tallies := range [][]Tally{r.RefusedBy, r.Discarded, r.Warnings} {
		slices.SortFunc(tallies, func(a, b Tally) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
		})
	}
}
