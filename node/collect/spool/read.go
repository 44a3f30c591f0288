package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// recover lists the segments that are on disk, each as far as its records are
// whole. What is beyond was never acknowledged, or is damaged: it is cut, and
// said.
func (s *Spool) recover() error {
	names, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*.spool"))
	if err != nil {
		return err
	}
	for _, path := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".spool"), 10, 64)
		if err != nil || path != s.path(number) {
			continue // not ours
		}
		s.next = max(s.next, number+1)
		size, err := s.heal(path, number)
		if err != nil {
			return err
		}
		if size > 0 {
			s.segments = append(s.segments, segment{number: number, size: size})
		}
	}
	slices.SortFunc(s.segments, func(a, b segment) int { return int(int64(a.number) - int64(b.number)) })
	return nil
}

// heal cuts a segment after its last whole record, or deletes it if there is
// none.
func (s *Spool) heal(path string, number uint64) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if size, err = whole(file, number); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if cut := info.Size() - size; cut > 0 && size > headerSize {
		s.cfg.Logger.Warn("the end of a spool's segment is no whole record, and is cut", "segment", number, "bytes", cut)
		return size, errors.Join(file.Truncate(size), file.Sync())
	}
	if size <= headerSize {
		return 0, os.Remove(path)
	}
	return size, nil
}

// whole is how many bytes of a segment are whole records, with its header; 0 if
// it is no segment.
func whole(file io.Reader, number uint64) (int64, error) {
	r := bufio.NewReaderSize(file, 256<<10)
	if ok, err := readHeader(r, number); !ok || err != nil {
		return 0, err
	}
	for size := int64(headerSize); ; {
		record, err := readRecord(r, number)
		if err == io.EOF || err == errTorn {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		size += frameSize + int64(len(record))
	}
}

// Read returns records from a position on, about size bytes of them, and the
// position after them. None means that there are no more by now.
func (s *Spool) Read(from Position, size int) ([][]byte, Position, error) {
	for {
		seg, ok := s.find(from.Segment)
		if !ok {
			return nil, from, nil
		}
		if seg.number > from.Segment {
			from = Position{Segment: seg.number}
		}
		from.Offset = max(from.Offset, headerSize)
		if from.Offset < seg.size {
			records, upto, err := s.readSegment(seg, from.Offset, size)
			return records, Position{seg.number, upto}, err
		}
		if seg.open || seg.number == ^uint64(0) {
			return nil, from, nil
		}
		if _, more := s.find(seg.number + 1); !more {
			return nil, from, nil
		}
		from = Position{Segment: seg.number + 1}
	}
}

// find is the first segment that has at least this number.
func (s *Spool) find(number uint64) (segment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		if seg.number >= number {
			return seg, true
		}
	}
	return segment{}, false
}

// readSegment reads what is durable of a segment.
func (s *Spool) readSegment(seg segment, offset int64, size int) ([][]byte, int64, error) {
	file, err := os.Open(s.path(seg.number))
	if err != nil {
		return nil, offset, fmt.Errorf("read the spool: %w", err)
	}
	defer file.Close()
	var records [][]byte
	r := bufio.NewReaderSize(io.NewSectionReader(file, offset, seg.size-offset), 256<<10)
	for read := 0; read < size && offset < seg.size; {
		record, err := readRecord(r, seg.number)
		if err != nil {
			return nil, offset, fmt.Errorf("read the spool: %w", err)
		}
		records = append(records, record)
		read += len(record)
		offset += frameSize + int64(len(record))
	}
	return records, offset, nil
}

// Release deletes the segments whose records are all before upto. A segment
// that is being written is ended for that: what has been stored elsewhere is
// not to stay here as well.
func (s *Spool) Release(upto Position) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	n := 0
	for _, seg := range s.segments {
		if seg.number > upto.Segment || seg.number == upto.Segment && seg.size > upto.Offset {
			break
		}
		n++
	}
	released := slices.Clone(s.segments[:n])
	s.mu.Unlock()
	if n > 0 && released[n-1].open {
		s.seal()
	}
	for _, seg := range released {
		if err := os.Remove(s.path(seg.number)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("delete a spool's segment: %w", err)
		}
		s.mu.Lock()
		s.segments = s.segments[1:]
		s.mu.Unlock()
	}
	return nil
}
