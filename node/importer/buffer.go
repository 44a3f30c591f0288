package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ensure reports whether the row has a byte at an offset, reading as needed. It
// fails with [errLong] past the longest row.
func (t *table) ensure(at int) (bool, error) {
	if t.start+at < t.end {
		return true, nil
	}
	if at > maxRow {
		return false, errLong
	}
	return t.available(at)
}

// available is ensure without the limit, for one byte past the longest row.
func (t *table) available(at int) (bool, error) {
	for t.start+at >= t.end {
		if t.ended {
			return false, nil
		}
		if err := t.fill(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// fill reads more behind what is there.
func (t *table) fill() error {
	if t.start > 0 {
		t.end = copy(t.buf, t.buf[t.start:t.end])
		t.start = 0
	}
	if t.end == len(t.buf) {
		bigger := make([]byte, min(2*len(t.buf), maxRow+readSize))
		copy(bigger, t.buf)
		t.buf = bigger
	}
	n, err := t.source.Read(t.buf[t.end:])
	t.end += n
	if errors.Is(err, io.EOF) {
		t.ended = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	return nil
}

// consume passes over bytes of the buffer and counts their lines.
func (t *table) consume(size int) {
	t.line += lineEnds(t.buf[t.start : t.start+size])
	t.start += size
}

// lineEnds counts \n, \r\n and \r, each as one.
func lineEnds(b []byte) int64 {
	n := bytes.Count(b, []byte{'\n'})
	if returns := bytes.Count(b, []byte{'\r'}); returns > 0 {
		n += returns - bytes.Count(b, []byte("\r\n"))
	}
	return int64(n)
}

// skipLine passes over the first physical line of a row whose quotation marks
// do not pair; scanned is how far that took.
func (t *table) skipLine(scanned int) error {
	if t.rescanned += int64(scanned); t.rescanned > maxRescan {
		return lostStructure(t.line)
	}
	for at := 0; ; at++ {
		more, err := t.available(at)
		if err != nil {
			return err
		}
		if !more {
			t.consume(at)
			return nil
		}
		if c := t.buf[t.start+at]; c == '\n' || c == '\r' {
			size, err := t.lineEnd(at)
			if err != nil {
				return err
			}
			t.consume(size)
			return nil
		}
		if at == readSize {
			t.consume(at) // nothing here ends a line
			at = -1
		}
	}
}

// skip passes over a row that does not fit the buffer. If it ends within one
// physical line, only this row is lost. A quotation mark that stays open over
// line ends and past the limit leaves no way to tell rows from text.
func (t *table) skip() error {
	const (
		atStart = iota
		plain
		quoted
		closed
	)
	first, size, state, lines := t.line, 0, atStart, 0
	for {
		if size > maxRow && state == quoted && lines > 0 {
			return lostStructure(first)
		}
		more, err := t.available(0)
		if err != nil || !more {
			return err
		}
		c := t.buf[t.start]
		end := c == '\n' || c == '\r'
		switch {
		case end && state != quoted:
			return t.endRow()
		case end:
			lines++
			if err := t.endRow(); err != nil {
				return err
			}
			continue
		case state == atStart && c == '"', state == closed && c == '"':
			state = quoted
		case state == quoted && c == '"':
			state = closed
		case state == quoted:
		case c == t.delimiter:
			state, lines = atStart, 0
		case state == closed && c != ' ' && c != '\t' && lines > 0:
			return lostStructure(first)
		default:
			state = plain
		}
		t.start++
		size++
	}
}

// endRow passes over the line end that comes next.
func (t *table) endRow() error {
	size, err := t.lineEnd(0)
	if err != nil {
		return err
	}
	t.consume(size)
	return nil
}

func lostStructure(line int64) error {
	return problem(ProblemStructure,
		"Rien n'a été importé : un guillemet ouvert à la ligne %d n'est pas fermé, et les lignes qui suivent ne se distinguent plus. Corrigez cette ligne dans le tableur, puis exportez de nouveau.",
		"Nothing was imported: a quotation mark opened on line %d is not closed, and the rows after it cannot be told apart. Correct that line in the spreadsheet, then export again.", line)
}
