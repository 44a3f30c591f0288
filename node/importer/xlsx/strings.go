package xlsx

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
)

// stringTable is the list of texts that cells refer to by number. A workbook
// with a person in each row has millions of them, so what does not fit in
// memory is in a file, and what was lately used of that is kept.
type stringTable struct {
	texts, ends *spill // the texts one behind the other, and where each ends
	count       int
}

// readStrings reads the shared strings of a workbook that has some.
func (b *Book) readStrings() (err error) {
	if b.strings != nil {
		return nil
	}
	b.strings = &stringTable{texts: &spill{dir: b.spoolDir}, ends: &spill{dir: b.spoolDir}}
	if b.stringsAt == "" {
		return nil
	}
	m, err := b.part(b.stringsAt)
	if err != nil {
		return err
	}
	defer closing(m, &err)
	var text []byte
	for {
		kind, err := m.next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case kind == opening && m.is("si"):
			if text, err = m.richText(text[:0], "si"); err != nil {
				return err
			}
			if err := b.strings.add(text); err != nil {
				return err
			}
		}
	}
}

// richText appends the text of an element that was just opened: its runs
// without how they look and without the reading of Japanese ones.
func (m *markup) richText(to []byte, element string) ([]byte, error) {
	from, inside, phonetic := len(to), false, false
	for {
		kind, err := m.next()
		switch {
		case err != nil:
			if err == io.EOF {
				err = cut(nil)
			}
			return nil, err
		case kind == words:
			if inside && !phonetic {
				to = append(to, m.text...)
			}
		case m.is(element) && kind == closingTag:
			return to[:from+len(plain(to[from:]))], nil
		case m.is("t"):
			inside = kind == opening
		case m.is("rPh"):
			phonetic = kind == opening
		}
		if len(to)-from > maxToken {
			return nil, fmt.Errorf("%w: a text has more than %d bytes", ErrTooLarge, maxToken)
		}
	}
}

func (t *stringTable) add(text []byte) error {
	if err := t.texts.write(text); err != nil {
		return err
	}
	if t.texts.size > maxStrings {
		return fmt.Errorf("%w: its texts have more than %d bytes", ErrTooLarge, int64(maxStrings))
	}
	t.count++
	return t.ends.write(binary.LittleEndian.AppendUint64(nil, uint64(t.texts.size)))
}

// append appends a text by its number.
func (t *stringTable) append(to []byte, number int) ([]byte, error) {
	if number < 0 || number >= t.count {
		return nil, fmt.Errorf("%w: a cell has a text that is not there", ErrDamaged)
	}
	var bounds [16]byte // where it begins and where it ends
	at, from := int64(number-1)*8, bounds[:]
	if number == 0 {
		at, from = 0, bounds[8:]
	}
	if err := t.ends.read(from, at); err != nil {
		return nil, err
	}
	begin, end := int64(binary.LittleEndian.Uint64(bounds[:8])), int64(binary.LittleEndian.Uint64(bounds[8:]))
	length := len(to)
	to = append(to, make([]byte, end-begin)...) // at most maxToken, as it was added
	return to, t.texts.read(to[length:], begin)
}

func (t *stringTable) close() error {
	err := t.texts.close()
	if other := t.ends.close(); err == nil {
		err = other
	}
	return err
}

// Sizes of a spill: up to kept bytes are in memory, and of a file's the pages
// that were lately read.
const (
	keptBytes = 4 << 20
	pageSize  = 16 << 10
	pageCount = 128
)

// spill is bytes that are written once, front to back, then read anywhere.
type spill struct {
	dir   string
	kept  []byte // what is not in the file yet
	file  *os.File
	size  int64
	pages [pageCount]page
}

// page is a piece of the file. One that is read again and again stays unless
// another with the same remainder takes its place.
type page struct {
	number int64 // from 1; 0 if there is none
	data   []byte
}

func (s *spill) write(p []byte) error {
	s.kept = append(s.kept, p...)
	s.size += int64(len(p))
	if len(s.kept) < keptBytes {
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "coulisse-texts-*")
		if err != nil {
			return fmt.Errorf("keeping the workbook's texts: %w", err)
		}
		os.Remove(file.Name()) // where the system allows it: gone with the process
		s.file = file
	}
	return s.flush()
}

func (s *spill) flush() error {
	if _, err := s.file.Write(s.kept); err != nil {
		return fmt.Errorf("keeping the workbook's texts: %w", err)
	}
	s.kept = s.kept[:0]
	return nil
}

// read fills p from an offset; both are within what was written.
func (s *spill) read(p []byte, at int64) error {
	if s.file == nil {
		copy(p, s.kept[at:])
		return nil
	}
	if len(s.kept) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
		s.kept = nil
	}
	for len(p) > 0 {
		data, err := s.page(at / pageSize)
		if err != nil {
			return err
		}
		n := copy(p, data[min(at%pageSize, int64(len(data))):])
		if n == 0 {
			return fmt.Errorf("reading the workbook's texts: %w", io.ErrUnexpectedEOF)
		}
		p, at = p[n:], at+int64(n)
	}
	return nil
}

func (s *spill) page(number int64) ([]byte, error) {
	slot := &s.pages[number%pageCount]
	if slot.number == number+1 {
		return slot.data, nil
	}
	if slot.data == nil {
		slot.data = make([]byte, pageSize)
	}
	slot.number = 0
	n, err := s.file.ReadAt(slot.data[:pageSize], number*pageSize)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading the workbook's texts: %w", err)
	}
	slot.number, slot.data = number+1, slot.data[:n]
	return slot.data, nil
}

func (s *spill) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	os.Remove(s.file.Name()) // again, for systems that keep open files
	return err
}
