package importer

import (
	"fmt"
	"strings"
	"unicode"

	"coulisse/protocol"
)

// Problem is why a whole file was refused: nothing of it was imported. It says
// what was found and what to do, in both languages, and holds no row.
type Problem struct {
	Code ProblemCode
	Text protocol.Text
}

// Error returns the English sentence.
func (p *Problem) Error() string { return p.Text.EN }

// ProblemCode is the stable name of a problem.
type ProblemCode string

// The problems of a file.
const (
	ProblemEmpty         ProblemCode = "empty-file"
	ProblemWorkbook      ProblemCode = "workbook"
	ProblemNotText       ProblemCode = "not-text"
	ProblemEncoding      ProblemCode = "unknown-encoding"
	ProblemNoHeader      ProblemCode = "no-header"
	ProblemMissingColumn ProblemCode = "missing-column"
	ProblemSameColumn    ProblemCode = "same-column"
	ProblemNoRows        ProblemCode = "no-rows"
	ProblemNothingKept   ProblemCode = "nothing-kept"
	ProblemDateOrder     ProblemCode = "date-order"
	ProblemDecimal       ProblemCode = "decimal-sign"
	ProblemStructure     ProblemCode = "lost-structure"
	ProblemChanged       ProblemCode = "file-changed"
	ProblemSettings      ProblemCode = "settings"
	ProblemDamaged       ProblemCode = "damaged-file"
	ProblemTooLarge      ProblemCode = "too-large"
	ProblemPassword      ProblemCode = "password"
	ProblemSheet         ProblemCode = "which-sheet"
)

// problem formats both languages with the same values.
func problem(code ProblemCode, fr, en string, values ...any) *Problem {
	return &Problem{code, protocol.Text{FR: fmt.Sprintf(fr, values...), EN: fmt.Sprintf(en, values...)}}
}

// Bounds of what is repeated to the operator from a file's headings.
const (
	maxShownLabel = 60
	maxShownList  = 30
)

// shown returns a heading, or a word of a column, in a form fit for a report. A
// file without headings has a person in its first row: what could be an
// identifier is not repeated.
func shown(label string) string {
	digits := 0
	for _, r := range label {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	if strings.ContainsAny(label, "@\uff20") || digits >= 7 {
		return "(…)"
	}
	return printable(label)
}

// printable returns a label on one line, cut to a length that can be read.
func printable(label string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, label)
	clean = strings.Join(strings.Fields(clean), " ")
	if runes := []rune(clean); len(runes) > maxShownLabel {
		clean = string(runes[:maxShownLabel]) + "…"
	}
	return clean
}

// shownList lists headings between quotes that both languages read.
func shownList(labels []string) string {
	var b strings.Builder
	for i, label := range labels {
		if i == maxShownList {
			fmt.Fprintf(&b, ", … (+%d)", len(labels)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "\"%s\"", shown(label))
	}
	return b.String()
}
