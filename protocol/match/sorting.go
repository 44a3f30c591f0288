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

// sortRecords sorts into the second slice, which is as long as the first.
// Pseudonyms are uniform, so that their first bits spread them evenly over
// buckets of some sixteen; a bucket that is not so is sorted as any slice.
func sortRecords(from, into []record) {
	width := min(max(bits.Len(uint(len(from)))-4, 1), 20)
	shift := 64 - width
	starts := make([]uint32, 1<<width+1)
	for i := range from {
		starts[from[i].hi>>shift+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	for i := range from {
		bucket := from[i].hi >> shift
		into[starts[bucket]] = from[i]
		starts[bucket]++
	}
	// Now starts[b] is where bucket b ends.
	begin := uint32(0)
	for _, end := range starts[:1<<width] {
		sortBucket(into[begin:end])
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
