package xlsx

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// merge is a range of cells that are shown as one; rows from 1, columns from 0.
type merge struct {
	first, last int64
	column      int
}

// maxHeld is the longest text that is repeated down a merge.
const maxHeld = 4 << 10

// held is a merge with what its first cell has.
type held struct {
	merge
	text  []byte
	typed bool
}

// readMerges reads the merges that go over more than a row. They are written
// behind the rows, so the sheet is passed over once for them.
func (s *Sheet) readMerges() (err error) {
	if s.known {
		return nil
	}
	m, err := openPart(s.part)
	if err != nil {
		return err
	}
	defer closing(m, &err)
	if err := m.skipRows(); err != nil && err != io.EOF {
		return err
	}
	for {
		switch kind, err := m.next(); {
		case err == io.EOF:
			slices.SortFunc(s.merges, func(a, b merge) int { return int(a.first - b.first) })
			s.known = true
			return nil
		case err != nil:
			return err
		case kind == opening && m.is("mergeCell"):
			if merged, ok := parseMerge(m.raw("ref")); ok {
				s.merges = append(s.merges, merged)
			}
			if len(s.merges) > maxMerged {
				return fmt.Errorf("%w: more than %d merged ranges", ErrTooLarge, maxMerged)
			}
		}
	}
}

// skipRows passes over the rows without reading them: "<" never stands in text.
func (m *markup) skipRows() error {
	for !m.is("sheetData") {
		if _, err := m.next(); err != nil {
			return err // io.EOF too: then there are no merges either
		}
	}
	if m.alone {
		return nil
	}
	const tag, most = "sheetData>", 64 // with the prefix that it may have
	for {
		window := m.buf[m.start:m.end]
		if at := bytes.Index(window, []byte(tag)); at >= 0 {
			open := bytes.LastIndexByte(window[:at], '<')
			last := open >= 0 && window[open+1] == '/' && !bytes.ContainsAny(window[open:at], " >")
			m.start += at + len(tag)
			if last {
				return nil
			}
			continue
		}
		if m.ended {
			return io.EOF
		}
		m.start = max(m.start, m.end-most)
		if err := m.fill(); err != nil {
			return err
		}
	}
}

// parseMerge reads "A2:A5".
func parseMerge(ref []byte) (merge, bool) {
	from, to, ok := bytes.Cut(ref, []byte{':'})
	if !ok {
		return merge{}, false
	}
	digits := func(b []byte) int64 {
		n, _ := strconv.ParseInt(string(bytes.TrimLeft(b, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")), 10, 64)
		return n
	}
	m := merge{digits(from), digits(to), columnOf(from)}
	return m, m.first > 0 && m.last > m.first && m.column >= 0 && m.column < MaxColumns
}

// spread fills the cells of the row that lie in a merge, and holds what begins
// one.
func (r *Rows) spread() {
	r.open = slices.DeleteFunc(r.open, func(h held) bool { return h.last < r.number })
	for len(r.merges) > 0 && r.merges[0].first <= r.number {
		m := r.merges[0]
		r.merges = r.merges[1:]
		if m.first == r.number && m.column < len(r.cells) && len(r.cells[m.column]) <= maxHeld && !r.holds(m.column) && r.fill(m.column) {
			r.open = append(r.open, held{m, bytes.Clone(r.cells[m.column]), r.typed[m.column]})
		}
	}
	for _, h := range r.open {
		for len(r.cells) <= h.column {
			r.cells, r.typed = append(r.cells, nil), append(r.typed, false)
		}
		if len(r.cells[h.column]) == 0 {
			r.cells[h.column], r.typed[h.column] = h.text, h.typed
		}
	}
}

// holds reports a column in which a merge is open: they never overlap, but in
// a file that was made to.
func (r *Rows) holds(column int) bool {
	return slices.ContainsFunc(r.open, func(h held) bool { return h.column == column })
}
