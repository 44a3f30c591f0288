package demo

import (
	"strings"
	"unicode/utf8"
)

// table is rows of words under headings, aligned for a fixed-width screen.
type table struct {
	columns []column
	rows    [][]string
	// totals says that the last row adds up the others.
	totals bool
}

type column struct {
	heading string
	right   bool // numbers stand to the right
}

func left(heading string) column  { return column{heading, false} }
func right(heading string) column { return column{heading, true} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

const gap = "  "

// lines is the table, its headings underlined.
func (t *table) lines() []string {
	widths := t.widths()
	headings := make([]string, len(t.columns))
	rule := make([]string, len(t.columns))
	for i, c := range t.columns {
		headings[i] = c.heading
		rule[i] = strings.Repeat("─", widths[i])
	}
	underline := strings.Join(rule, gap)
	lines := []string{t.line(headings, widths), underline}
	for i, row := range t.rows {
		if t.totals && i == len(t.rows)-1 {
			lines = append(lines, underline)
		}
		lines = append(lines, t.line(row, widths))
	}
	return lines
}

func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = length(c.heading)
		for _, row := range t.rows {
			widths[i] = max(widths[i], length(row[i]))
		}
	}
	return widths
}

func (t *table) line(cells []string, widths []int) string {
	padded := make([]string, len(cells))
	for i, cell := range cells {
		space := strings.Repeat(" ", widths[i]-length(cell))
		if t.columns[i].right {
			padded[i] = space + cell
		} else {
			padded[i] = cell + space
		}
	}
	return strings.TrimRight(strings.Join(padded, gap), " ")
}

// length is how many columns a text takes: the demonstration writes no
// character wider than one.
func length(s string) int { return utf8.RuneCountInString(s) }

// wrap breaks a text into lines of at most width, at its ordinary spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Split(text, " ") {
		switch {
		case line == "":
			line = word
		case length(line)+1+length(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
