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

	Format     Format              `json:"format,omitempty"`
	Sheet      string              `json:"sheet,omitempty"`
	Sheets     []string            `json:"other_sheets,omitempty"` // that were not read
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
	Blank   int64 `json:"blank,omitempty"` // or the headings once more

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

// Refused is rows that a sink took apart from the others and did not keep.
type Refused struct {
	Lines          []int64 // ascending
	Tickets, Cents int64   // of those rows
}

// Less is the report of a run whose sink refused rows for a reason of its own.
func (r Report) Less(reason Reason, out Refused) Report {
	if len(out.Lines) == 0 {
		return r
	}
	r.RefusedBy = slices.Clone(r.RefusedBy)
	for _, line := range out.Lines {
		r.refuse(reason, line)
	}
	r.Kept -= int64(len(out.Lines))
	if r.Kind == People {
		r.People -= int64(len(out.Lines))
	}
	r.Tickets, r.Cents = r.Tickets-out.Tickets, r.Cents-out.Cents
	r.finish()
	return r
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
	r.Format, r.Sheet = l.format, shown(l.sheet)
	for _, other := range l.others {
		r.Sheets = append(r.Sheets, shown(other))
	}
	if l.delimiter != 0 {
		r.Delimiter = string(l.delimiter)
	}
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
