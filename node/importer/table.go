package importer

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// Limits of a file's structure, in bytes of UTF-8.
const (
	maxField   = 64 << 10
	maxRow     = 1 << 20
	maxColumns = 512
	// maxRescan bounds the work that unpaired quotation marks can cause.
	maxRescan = 256 << 20
	readSize  = 64 << 10
)

// row is one row of a table. Its cells are valid until the next one is read.
type row struct {
	line   int64 // the physical line on which it starts, or the row of a sheet
	cells  [][]byte
	typed  []bool // which cells the file says are numbers or dates; nil if all are text
	hidden bool   // by a filter, or by hand
	broken Reason // if not "", there are no cells
}

// blank reports a row that only has delimiters, as spreadsheets leave below
// their data.
func (r row) blank() bool {
	if r.broken != "" {
		return false
	}
	for _, cell := range r.cells {
		if len(bytes.TrimSpace(cell)) > 0 {
			return false
		}
	}
	return true
}

// exact reports a cell that is a number or a date of the file's own, and not
// the writing of one.
func (r row) exact(i int) bool { return i < len(r.typed) && r.typed[i] }

// table reads rows of RFC 4180 from text in UTF-8, in constant memory, with any
// delimiter and any of the three line ends.
//
// It never loses count: a row whose quotation marks do not pair ends with its
// first physical line, and reading goes on with the next line. So one stray
// mark costs one row, not those up to the next mark.
type table struct {
	source    io.Reader
	delimiter byte

	buf       []byte // buf[start:end] is read and not yet consumed
	start     int
	end       int
	ended     bool
	line      int64 // of buf[start]
	rescanned int64
	cells     [][]byte
	spans     []span
}

// span is where a cell lies, counted from the start of the row.
type span struct {
	from, to int
	escaped  bool // holds doubled quotation marks
}

func newTable(source io.Reader, delimiter byte) *table {
	return &table{source: source, delimiter: delimiter, buf: make([]byte, readSize), line: 1}
}

// errLong ends the scan of a row that does not fit the buffer.
var errLong = errors.New("row too long")

// next returns the next row, or io.EOF, a [Problem] or an error of the source.
// Empty lines are no rows.
func (t *table) next() (row, error) {
	for {
		r := row{line: t.line}
		size, reason, err := t.scan()
		switch {
		case err == errLong:
			r.broken = ReasonRowTooLong
			return r, t.skip()
		case err != nil:
			return row{}, err
		case reason == ReasonBadQuote || reason == ReasonUnclosedQuote:
			r.broken = reason
			return r, t.skipLine(size)
		case size == 0:
			return row{}, io.EOF
		}
		raw := t.buf[t.start : t.start+size]
		t.consume(size)
		if len(t.spans) == 1 && t.spans[0].to == 0 {
			continue // an empty line
		}
		switch {
		case reason != "":
		case bytes.IndexByte(raw, 0) >= 0:
			reason = ReasonBinary
		case !utf8.Valid(raw):
			reason = ReasonBadEncoding
		default:
			r.cells = t.cut(raw)
		}
		r.broken = reason
		return r, nil
	}
}

// cut makes the cells of a row out of its spans.
func (t *table) cut(raw []byte) [][]byte {
	t.cells = t.cells[:0]
	for _, s := range t.spans {
		cell := raw[s.from:s.to:s.to]
		if s.escaped {
			cell = unescape(cell)
		}
		t.cells = append(t.cells, cell)
	}
	return t.cells
}

// unescape halves doubled quotation marks, in place.
func unescape(cell []byte) []byte {
	out := cell[:0]
	for i := 0; i < len(cell); i++ {
		out = append(out, cell[i])
		if cell[i] == '"' {
			i++ // its double
		}
	}
	return out
}

// scan finds the cells of the row at the start of the buffer and returns its
// size with its line end, 0 at the end of the file.
func (t *table) scan() (size int, reason Reason, err error) {
	t.spans = t.spans[:0]
	at := 0
	for {
		more, err := t.ensure(at)
		if err != nil {
			return 0, "", err
		}
		if !more && at == 0 {
			return 0, "", nil
		}
		s, next, broken, err := t.field(at)
		if err != nil || broken != "" {
			return next, broken, err
		}
		switch {
		case s.to-s.from > maxField:
			reason = ReasonFieldTooLong
		case len(t.spans) == maxColumns:
			reason = ReasonTooManyCells
		default:
			t.spans = append(t.spans, s)
		}
		if more, err = t.ensure(next); err != nil {
			return 0, "", err
		}
		if !more {
			return next, reason, nil
		}
		if c := t.buf[t.start+next]; c != t.delimiter {
			size, err := t.lineEnd(next)
			return size, reason, err
		}
		at = next + 1
	}
}

// field finds the cell at an offset, and the offset of the delimiter or line
// end behind it.
func (t *table) field(at int) (s span, next int, broken Reason, err error) {
	if more, err := t.ensure(at); err != nil || !more {
		return span{from: at, to: at}, at, "", err
	}
	if t.buf[t.start+at] == '"' {
		return t.quoted(at + 1)
	}
	for i := at; ; i++ {
		if t.start+i == t.end {
			if more, err := t.ensure(i); err != nil || !more {
				return span{from: at, to: i}, i, "", err
			}
		}
		if c := t.buf[t.start+i]; c == t.delimiter || c == '\n' || c == '\r' {
			return span{from: at, to: i}, i, "", nil
		}
	}
}

// quoted finds the cell whose opening quotation mark is just behind.
func (t *table) quoted(at int) (s span, next int, broken Reason, err error) {
	s.from = at
	for i := at; ; {
		mark := bytes.IndexByte(t.buf[t.start+i:t.end], '"')
		if mark < 0 {
			i = t.end - t.start
			if more, err := t.ensure(i); err != nil {
				return s, 0, "", err
			} else if !more {
				return s, i, ReasonUnclosedQuote, nil
			}
			continue
		}
		i += mark
		more, err := t.ensure(i + 1)
		if err != nil {
			return s, 0, "", err
		}
		if more && t.buf[t.start+i+1] == '"' {
			s.escaped = true
			i += 2
			continue
		}
		s.to = i
		next, err := t.afterQuote(i + 1)
		if err != nil || next >= 0 {
			return s, next, "", err
		}
		return s, i, ReasonBadQuote, nil
	}
}

// afterQuote passes blanks behind a closing quotation mark and returns where
// the cell ends, or -1 if text follows.
func (t *table) afterQuote(at int) (int, error) {
	for ; ; at++ {
		more, err := t.ensure(at)
		if err != nil || !more {
			return at, err
		}
		switch c := t.buf[t.start+at]; {
		case c == t.delimiter || c == '\n' || c == '\r':
			return at, nil
		case c != ' ' && c != '\t':
			return -1, nil
		}
	}
}

// lineEnd returns the offset behind the line end at an offset.
func (t *table) lineEnd(at int) (int, error) {
	if t.buf[t.start+at] == '\r' {
		more, err := t.available(at + 1)
		if err != nil {
			return 0, err
		}
		if more && t.buf[t.start+at+1] == '\n' {
			return at + 2, nil
		}
	}
	return at + 1, nil
}
