package match

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
)

// record is a pseudonym and the row behind it, while an upload is made.
type record struct {
	hi, lo uint64
	row    Row
}

const spilledSize = 24

func (r record) compare(s record) int {
	if r.hi != s.hi {
		return cmp.Compare(r.hi, s.hi)
	}
	if r.lo != s.lo {
		return cmp.Compare(r.lo, s.lo)
	}
	return cmp.Compare(r.row, s.row)
}

// partRecords is how many records are sorted beside a copy of themselves: so few
// that both stay in the processor's cache.
const partRecords = 1 << 12

// sortRecords sorts in place. Pseudonyms are uniform: their first bits divide
// them evenly into parts, and the next ones a part into buckets of some sixteen.
// Records that are not so are sorted as well, in more memory and time.
func sortRecords(r []record) {
	width := min(max(bits.Len(uint(len(r)/partRecords)), 0), 10)
	begins := divide(r, width)
	most := uint32(0)
	for i := range begins[1:] {
		most = max(most, begins[i+1]-begins[i])
	}
	s := sorter{copy: make([]record, most), skip: width}
	for i := range begins[1:] {
		s.sort(r[begins[i]:begins[i+1]])
	}
}

// divide orders records by their first bits, in place, and returns where each
// part begins, and the end.
func divide(r []record, width int) []uint32 {
	shift := 64 - width
	begins := make([]uint32, 1<<width+1)
	for i := range r {
		begins[r[i].hi>>shift+1]++
	}
	for i := 1; i < len(begins); i++ {
		begins[i] += begins[i-1]
	}
	placed := slices.Clone(begins[:1<<width]) // of each part, where the next one goes
	for part := range placed {
		for placed[part] < begins[part+1] {
			moving := r[placed[part]]
			for to := moving.hi >> shift; to != uint64(part); to = moving.hi >> shift {
				next := placed[to]
				placed[to]++
				r[next], moving = moving, r[next]
			}
			r[placed[part]] = moving
			placed[part]++
		}
	}
	return begins
}

// sorter sorts parts whose first bits, so many, are equal.
type sorter struct {
	copy []record
	ends []uint32
	skip int
}

func (s *sorter) sort(part []record) {
	if len(part) < 2 {
		return
	}
	width := min(max(bits.Len(uint(len(part)))-4, 1), 20)
	shift := 64 - width
	if len(s.ends) < 1<<width+1 {
		s.ends = make([]uint32, 1<<width+1)
	}
	ends := s.ends[:1<<width+1]
	clear(ends)
	for i := range part {
		ends[part[i].hi<<s.skip>>shift+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	for i := range part {
		bucket := part[i].hi << s.skip >> shift
		s.copy[ends[bucket]] = part[i]
		ends[bucket]++ // from where the bucket begins to where it ends
	}
	copy(part, s.copy)
	begin := uint32(0)
	for _, end := range ends[:1<<width] {
		sortBucket(part[begin:end])
		begin = end
	}
}

func sortBucket(b []record) {
	if len(b) > 32 {
		slices.SortFunc(b, record.compare)
		return
	}
	for i := 1; i < len(b); i++ {
		r, at := b[i], i
		for ; at > 0 && r.compare(b[at-1]) < 0; at-- {
			b[at] = b[at-1]
		}
		b[at] = r
	}
}

// run is a sorted sequence of records, in memory or spilled to a file.
type run struct {
	memory []record
	at     int

	file   *os.File
	reader *bufio.Reader
}

// spill writes sorted records to a new file in folder. What is in it can be
// compared with nothing once the round key is forgotten, and remove deletes it.
func spill(folder string, sorted []record) (*run, error) {
	// CreateTemp opens with mode 0600.
	file, err := os.CreateTemp(folder, "upload-*.spill")
	if err != nil {
		return nil, fmt.Errorf("spill a part of an upload: %w", err)
	}
	r := &run{file: file}
	w := bufio.NewWriterSize(file, blockSize)
	for _, rec := range sorted {
		b := binary.BigEndian.AppendUint64(w.AvailableBuffer(), rec.hi)
		b = binary.BigEndian.AppendUint64(b, rec.lo)
		w.Write(binary.BigEndian.AppendUint64(b, uint64(rec.row))) // Flush returns its error
	}
	if err := w.Flush(); err != nil {
		r.remove()
		return nil, fmt.Errorf("spill a part of an upload: %w", err)
	}
	return r, nil
}

// rewind starts the run again.
func (r *run) rewind() error {
	r.at = 0
	if r.file == nil {
		return nil
	}
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read a spilled part of an upload: %w", err)
	}
	if r.reader == nil {
		r.reader = bufio.NewReaderSize(r.file, blockSize)
	} else {
		r.reader.Reset(r.file)
	}
	return nil
}

// next returns the next record, and false at the end.
func (r *run) next() (rec record, ok bool, err error) {
	if r.file == nil {
		if r.at == len(r.memory) {
			return rec, false, nil
		}
		r.at++
		return r.memory[r.at-1], true, nil
	}
	b, err := r.reader.Peek(spilledSize)
	if err == io.EOF && len(b) == 0 {
		return rec, false, nil
	}
	if err != nil {
		return rec, false, fmt.Errorf("read a spilled part of an upload: %w", err)
	}
	rec = record{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), Row(binary.BigEndian.Uint64(b[16:]))}
	_, err = r.reader.Discard(spilledSize)
	return rec, true, err
}

func (r *run) remove() {
	if r.file == nil {
		return
	}
	_ = r.file.Close()           // its content is not wanted
	_ = os.Remove(r.file.Name()) // the node sweeps its folder when it starts
}

// mergeRuns visits the records of all runs in ascending order, each pseudonym
// once, with the lowest of its rows.
func mergeRuns(runs []*run, visit func(record) error) error {
	if len(runs) == 1 && runs[0].file == nil {
		return visitEach(runs[0].memory, visit)
	}
	current := make([]record, len(runs))
	first := make([]contender, len(runs))
	for i, r := range runs {
		if err := r.rewind(); err != nil {
			return err
		}
		rec, ok, err := r.next()
		if err != nil {
			return err
		}
		current[i], first[i] = rec, contender{rec.hi, rec.lo, i}
		if !ok {
			first[i] = ended(i, len(runs))
		}
	}
	t := newTree(first)
	for {
		top, ok := t.winner()
		if !ok {
			return nil
		}
		lowest := record{top.hi, top.lo, noRow}
		for ok && top.hi == lowest.hi && top.lo == lowest.lo {
			lowest.row = min(lowest.row, current[top.stream].row)
			if err := advance(t, runs[top.stream], &current[top.stream]); err != nil {
				return err
			}
			top, ok = t.winner()
		}
		if err := visit(lowest); err != nil {
			return err
		}
	}
}

// visitEach is mergeRuns of one run in memory.
func visitEach(sorted []record, visit func(record) error) error {
	for i, r := range sorted {
		if i > 0 && r.hi == sorted[i-1].hi && r.lo == sorted[i-1].lo {
			continue // equal pseudonyms are in the order of their rows
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// advance brings the winner's next record into the tree.
func advance(t *tree, r *run, current *record) error {
	rec, ok, err := r.next()
	switch {
	case err != nil:
		return err
	case ok:
		*current = rec
		t.replace(rec.hi, rec.lo)
	default:
		t.retire()
	}
	return nil
}
