package match

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"coulisse/protocol"
)

// WriterConfig is what an upload is made with.
type WriterConfig struct {
	Key TokenKey
	// Folder is where records go that Memory does not hold. It belongs to this
	// node alone, which sweeps *.spill from it when it starts.
	Folder string
	// Memory is how many bytes of records are held, 32 MiB if it is 0. Buffers of
	// 64 KiB come on top, one for every part that was spilled.
	Memory int
	// People is how many will be added, if that is known: memory is then taken
	// once, and not in ever larger pieces. There may be more of them, or fewer.
	People int
}

const (
	defaultMemory = 32 << 20
	minBatch      = 1 << 10 // records
	recordMemory  = 24      // bytes of one in memory
)

// Writer makes the upload of one source: Add each person, then Finish once, then
// Close in any case. It is not for concurrent use.
type Writer struct {
	deriver *deriver
	folder  string
	limit   int
	// memory holds records: first a run, if the people all fitted, then those
	// that are not sorted yet.
	memory  []record
	sorted  int
	spilled bool
	runs    []*run
	over    bool
}

// Receipt is what Finish made. People stays in the node; the rest is public.
type Receipt struct {
	Digest protocol.Hash
	Count  uint32 // of records, padding included
	People uint32 // different persons
}

var errFinished = errors.New("this upload is finished: an upload is made once, its padding would differ")

// NewWriter begins an upload.
func NewWriter(c WriterConfig) *Writer {
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	w := &Writer{deriver: newDeriver(c.Key), folder: c.Folder, limit: max(c.Memory/recordMemory, 2*minBatch)}
	if c.People > 0 {
		w.memory = make([]record, 0, min(int(PaddedCount(uint32(min(c.People, MaxRecords)))), w.limit))
	}
	return w
}

// Add takes the token of one person. A person may be added again: it is uploaded
// once, and the lowest of its rows is the one that will be labelled.
func (w *Writer) Add(token *[64]byte, row Row) error {
	if row == noRow {
		return fmt.Errorf("%w: this row number stands for padding", protocol.ErrMalformed)
	}
	p := w.deriver.pseudonym(token)
	return w.add(record{binary.BigEndian.Uint64(p[:]), binary.BigEndian.Uint64(p[8:]), row})
}

func (w *Writer) add(r record) error {
	if w.over {
		return errFinished
	}
	if len(w.memory) == w.limit {
		if err := w.spill(); err != nil {
			return err
		}
	}
	if len(w.memory) == cap(w.memory) {
		grown := make([]record, len(w.memory), min(max(2*len(w.memory), minBatch), w.limit))
		copy(grown, w.memory)
		w.memory = grown
	}
	w.memory = append(w.memory, r)
	return nil
}

// spill sorts what is not sorted yet, and writes it to a file.
func (w *Writer) spill() error {
	loose := w.memory[w.sorted:]
	sortRecords(loose)
	r, err := spill(w.folder, loose)
	if err != nil {
		return err
	}
	w.runs, w.spilled = append(w.runs, r), true
	w.memory = w.memory[:w.sorted]
	return nil
}

// keep ends a run. It stays in memory if nothing was spilled before, and if it
// leaves room for more.
func (w *Writer) keep() error {
	if w.spilled || len(w.memory) > w.limit-minBatch {
		return w.spill()
	}
	loose := w.memory[w.sorted:]
	sortRecords(loose)
	w.runs = append(w.runs, &run{memory: loose})
	w.sorted = len(w.memory)
	return nil
}

// Finish pads, and writes the upload. What else a recipient needs to read its
// labels goes to rows, which stays in the node; it is nil for a source that
// receives none. The header's count is filled in. A node keeps the bytes until
// the round closes: no others will be accepted for this source.
func (w *Writer) Finish(ctx context.Context, h Header, upload, rows io.Writer) (Receipt, error) {
	if w.over {
		return Receipt{}, errFinished
	}
	people, err := w.pad(ctx)
	w.over = true
	if err != nil {
		return Receipt{}, err
	}
	h.Count = PaddedCount(people)
	out, err := newOutput(h, upload, rows)
	if err != nil {
		return Receipt{}, err
	}
	written := uint32(0)
	err = mergeRuns(w.runs, func(r record) error {
		if written++; written%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return out.put(r)
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("write an upload: %w", err)
	}
	if written != h.Count {
		// Two random pseudonyms were equal, which nobody will ever see, or a
		// spilled file was changed under us.
		return Receipt{}, errors.New("an upload came out with another count than planned: make it again")
	}
	digest, err := out.end()
	if err != nil {
		return Receipt{}, fmt.Errorf("write an upload: %w", err)
	}
	return Receipt{Digest: digest, Count: h.Count, People: people}, nil
}

// pad counts the different people and adds random pseudonyms up to the next step.
func (w *Writer) pad(ctx context.Context) (people uint32, err error) {
	if err := w.keep(); err != nil {
		return 0, err
	}
	err = mergeRuns(w.runs, func(record) error {
		if people++; people > MaxRecords {
			return ErrTooMany
		}
		if people%(1<<16) == 0 {
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count the people of an upload: %w", err)
	}
	var random [blockSize]byte
	for missing := PaddedCount(people) - people; missing > 0; {
		n := min(int(missing), len(random)/recordSize)
		rand.Read(random[:n*recordSize])
		for b := random[:n*recordSize]; len(b) > 0; b = b[recordSize:] {
			if err := w.add(record{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), noRow}); err != nil {
				return 0, err
			}
		}
		missing -= uint32(n)
	}
	return people, w.keep()
}

// Close deletes what was spilled.
func (w *Writer) Close() {
	for _, r := range w.runs {
		r.remove()
	}
	w.runs, w.memory, w.over = nil, nil, true
}

// output writes an upload and the rows behind it side by side.
type output struct {
	upload *frameWriter
	rows   *frameWriter // nil for none
}

func newOutput(h Header, upload, rows io.Writer) (o output, err error) {
	if o.upload, err = newFrameWriter(upload, kindUpload, h); err != nil {
		return o, err
	}
	if rows != nil {
		o.rows, err = newFrameWriter(rows, kindRows, h)
	}
	return o, err
}

func (o output) put(r record) error {
	var b [recordSize]byte
	binary.BigEndian.PutUint64(b[:], r.hi)
	binary.BigEndian.PutUint64(b[8:], r.lo)
	o.upload.put(b[:]...)
	if o.rows == nil {
		return o.upload.err
	}
	binary.BigEndian.PutUint64(b[:], uint64(r.row))
	o.rows.put(b[:rowSize]...)
	return errors.Join(o.upload.err, o.rows.err)
}

func (o output) end() (protocol.Hash, error) {
	digest, err := o.upload.end()
	if err != nil || o.rows == nil {
		return digest, err
	}
	o.rows.put(digest[:]...)
	_, err = o.rows.end()
	return digest, err
}
