package importer

import (
	"bytes"
	"io"
)

// sniffSize is how much text is looked at to find the delimiter: more than the
// longest cell, so that one that is too long shows.
const sniffSize = 2 * maxField

var delimiters = []byte{',', ';', '\t', '|'}

// findLayout tries the delimiters on the start of a text and takes the one
// under which most headings are understood, then the one that cuts the rows
// most evenly, then the one that makes most columns.
func findLayout(sample []byte, open func() (io.Reader, error), o Options) (layout, error) {
	candidates := delimiters
	if directive, ok := separatorLine(sample); ok {
		candidates = []byte{directive}
	}
	if o.Mapping.Delimiter != "" {
		candidates = []byte(o.Mapping.Delimiter)
	}
	var best cutting
	for i, delimiter := range candidates {
		if c := cut(sample, delimiter, o); i == 0 || c.better(best) {
			best = c
		}
	}
	if best.err != nil {
		return layout{}, best.err
	}
	return layout{format: Delimited, delimiter: best.delimiter, header: best.header, open: func() (rows, error) {
		file, err := open()
		if err != nil {
			return nil, err
		}
		return below(newTable(file, best.delimiter), best.header.line)
	}}, nil
}

// separatorLine reads the line "sep=;" that Excel understands at the top.
func separatorLine(sample []byte) (delimiter byte, ok bool) {
	line, _, found := bytes.Cut(sample, []byte{'\n'})
	line = bytes.Trim(bytes.TrimSpace(line), `"`)
	if !found || len(line) != 5 || !bytes.EqualFold(line[:4], []byte("sep=")) || line[4] == '"' {
		return 0, false
	}
	return line[4], true
}

// cutting is what a delimiter makes of a sample.
type cutting struct {
	delimiter  byte
	header     header
	err        error
	understood int // fields found
	columns    int // of most rows
	even       int // rows with as many, in thousandths
}

func (c cutting) better(than cutting) bool {
	switch {
	case (c.err == nil) != (than.err == nil):
		return c.err == nil
	case c.understood != than.understood:
		return c.understood > than.understood
	case (c.columns > 1) != (than.columns > 1):
		return c.columns > 1
	case c.even != than.even:
		return c.even > than.even
	}
	return c.columns > than.columns
}

func cut(sample []byte, delimiter byte, o Options) cutting {
	c := cutting{delimiter: delimiter}
	c.header, c.err = findHeader(newTable(bytes.NewReader(sample), delimiter), o.Kind, o.Mapping)
	c.understood = len(c.header.column)
	widths, rows := make(map[int]int), 0
	for t := newTable(bytes.NewReader(sample), delimiter); rows < 100; rows++ {
		r, err := t.next()
		if err != nil {
			break
		}
		widths[len(r.cells)]++
	}
	most := 0
	for width, n := range widths {
		if n > most || n == most && width > c.columns {
			most, c.columns = n, width
		}
	}
	if rows > 0 {
		c.even = most * 1000 / rows
	}
	return c
}
