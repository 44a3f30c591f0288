package xlsx

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// Row is one row of a sheet. What it holds is valid until the next is read.
type Row struct {
	Number int64    // as Excel shows it beside the row
	Cells  [][]byte // up to the last that holds something
	Typed  []bool   // which cells are numbers or dates, and not text
	Hidden bool
	// Long says that the row has more than MaxColumns or MaxRow; there are no
	// cells then.
	Long bool
}

// Rows reads a sheet from top to bottom.
type Rows struct {
	book   *Book
	m      *markup
	merges []merge // that begin in a row that is still to come
	open   []held  // that the row at hand lies in
	fill   func(column int) bool

	number int64
	text   []byte // of the row's cells, one behind the other
	spans  []span
	cells  [][]byte
	typed  []bool
	long   bool
}

// span is where a cell's text lies.
type span struct {
	from, to int
	typed    bool
}

// Rows opens a sheet by its place among [Book.Sheets]. In the columns that
// fill reports, every cell of a range that is merged downwards has what its
// first one has; Excel itself keeps only that.
func (b *Book) Rows(sheet int, fill func(column int) bool) (*Rows, error) {
	s := &b.sheets[sheet]
	if err := s.readMerges(); err != nil {
		return nil, err
	}
	if err := b.readStrings(); err != nil {
		return nil, err
	}
	m, err := openPart(s.part)
	if err != nil {
		return nil, err
	}
	r := &Rows{book: b, m: m, merges: s.merges, fill: fill}
	for {
		switch kind, err := m.next(); {
		case err == io.EOF:
			return nil, fmt.Errorf("%w: a sheet has no rows", ErrDamaged)
		case err != nil:
			return nil, err
		case kind == opening && m.is("sheetData"):
			return r, nil
		}
	}
}

// Close ends the reading.
func (r *Rows) Close() error { return r.m.close() }

// Next returns the next row that the file has, or io.EOF. A row that nobody
// wrote into may be missing.
func (r *Rows) Next() (Row, error) {
	for {
		kind, err := r.m.next()
		switch {
		case err == io.EOF:
			return Row{}, cut(nil)
		case err != nil:
			return Row{}, err
		case kind == closingTag && r.m.is("sheetData"):
			return Row{}, io.EOF
		case kind == opening && r.m.is("row"):
			return r.row()
		}
	}
}

// row reads the row that was just opened.
func (r *Rows) row() (Row, error) {
	number := r.number + 1
	if raw := r.m.raw("r"); raw != nil {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || n < number {
			return Row{}, fmt.Errorf("%w: its rows are out of order", ErrDamaged)
		}
		number = n
	}
	if number > maxRows {
		return Row{}, fmt.Errorf("%w: a sheet has more than %d rows", ErrTooLarge, maxRows)
	}
	row := Row{Number: number, Hidden: truth(string(r.m.raw("hidden")))}
	r.number, r.text, r.spans, r.long = number, r.text[:0], r.spans[:0], false
	column := -1
	for {
		kind, err := r.m.next()
		switch {
		case err == io.EOF:
			return row, cut(nil)
		case err != nil:
			return row, err
		case kind == closingTag && r.m.is("row"):
			return r.finish(row), nil
		case kind == opening && r.m.is("c"):
			if column, err = r.cell(column); err != nil {
				return row, err
			}
		}
	}
}

// finish makes the cells of the row out of what was read.
func (r *Rows) finish(row Row) Row {
	r.cells, r.typed = r.cells[:0], r.typed[:0]
	for _, s := range r.spans {
		r.cells, r.typed = append(r.cells, r.text[s.from:s.to:s.to]), append(r.typed, s.typed)
	}
	r.spread()
	if row.Long = r.long; !row.Long {
		row.Cells, row.Typed = r.cells, r.typed
	}
	return row
}

// cell reads the cell that was just opened, behind another.
func (r *Rows) cell(after int) (column int, err error) {
	column = after + 1
	if raw := r.m.raw("r"); raw != nil {
		if column = columnOf(raw); column <= after {
			return 0, fmt.Errorf("%w: its cells are out of order", ErrDamaged)
		}
	}
	var f format
	if raw := r.m.raw("s"); raw != nil {
		style, err := strconv.Atoi(string(raw))
		if err == nil && style >= 0 && style < len(r.book.formats) {
			f = r.book.formats[style]
		}
	}
	kind := kindOf(r.m.raw("t"))
	from := len(r.text)
	typed, err := r.content(kind, f)
	if err != nil {
		return 0, err
	}
	switch {
	case len(r.text) == from: // a cell that only has a look
	case column >= MaxColumns || len(r.text) > MaxRow:
		r.text, r.long = r.text[:from], true
	default:
		for len(r.spans) < column {
			r.spans = append(r.spans, span{from: from, to: from})
		}
		r.spans = append(r.spans, span{from, len(r.text), typed})
	}
	return column, nil
}

// cellKind is the type of a cell (section 18.18.11).
type cellKind int

const (
	numeric cellKind = iota
	shared
	inline
	formulaText
	boolean
	failure
	isoDate
)

func kindOf(raw []byte) cellKind {
	switch string(raw) {
	case "s":
		return shared
	case "inlineStr":
		return inline
	case "str":
		return formulaText
	case "b":
		return boolean
	case "e":
		return failure
	case "d":
		return isoDate
	}
	return numeric
}

// notComputed stands for a formula that no program has computed yet, as
// libraries write them. It is one of Excel's own words for it.
const notComputed = "#CALC!"

// content reads up to the end of the cell and appends what it holds.
func (r *Rows) content(kind cellKind, f format) (typed bool, err error) {
	formula, valued := false, false
	for {
		t, err := r.m.next()
		switch {
		case err == io.EOF:
			return false, cut(nil)
		case err != nil:
			return false, err
		case t == closingTag && r.m.is("c"):
			if formula && !valued {
				r.text = append(r.text, notComputed...)
			}
			return typed, nil
		case t != opening:
		case r.m.is("f"):
			formula = true
		case r.m.is("is"):
			from := len(r.text)
			if r.text, err = r.m.richText(r.text, "is"); err != nil {
				return false, err
			}
			valued = len(r.text) > from
		case r.m.is("v"):
			valued = true
			if typed, err = r.value(kind, f); err != nil {
				return false, err
			}
		}
	}
}

// value reads the value that was just opened.
func (r *Rows) value(kind cellKind, f format) (typed bool, err error) {
	for {
		t, err := r.m.next()
		switch {
		case err == io.EOF:
			return false, cut(nil)
		case err != nil:
			return false, err
		case t == closingTag:
			return typed, nil
		case t == words:
			if typed, err = r.append(kind, f, r.m.text); err != nil {
				return false, err
			}
		}
	}
}

func (r *Rows) append(kind cellKind, f format, raw []byte) (typed bool, err error) {
	switch kind {
	case shared:
		number, err := strconv.Atoi(string(bytes.TrimSpace(raw)))
		if err != nil {
			number = -1
		}
		r.text, err = r.book.strings.append(r.text, number)
		return false, err
	case boolean:
		r.text = strconv.AppendBool(r.text, truth(string(bytes.TrimSpace(raw))))
		return false, nil
	case numeric:
		r.text, typed = r.book.number(r.text, raw, f)
		return typed, nil
	case isoDate:
		r.text = append(r.text, bytes.TrimSpace(raw)...)
		return true, nil
	}
	r.text = append(r.text, plain(raw)...)
	return false, nil
}

// columnOf reads the column of "AB12", from 0; -1 if there is none.
func columnOf(ref []byte) int {
	n := 0
	for _, c := range ref {
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
			fallthrough
		case c >= 'A' && c <= 'Z':
			if n = 26*n + int(c-'A') + 1; n > 1<<16 {
				return -1
			}
			continue
		}
		break
	}
	return n - 1
}
