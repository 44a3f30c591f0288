package match

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"coulisse/protocol"
)

// WriterConfig is what an upload is made with.
type WriterConfig struct {
	Key TokenKey
	// Folder is where records go that Memory does not hold. It belongs to this
	// node alone, which sweeps *.spill from it when it starts.
	Folder string
	// Memory is how many bytes of records are held, 64 MiB if it is 0. Buffers of
	// 64 KiB come on top, one for every part that was spilled.
	Memory int
}

const (
	defaultMemory = 64 << 20
	minBatch      = 1 << 10 // records
)

// Writer makes the upload of one source: Add each person, then Finish once, then
// Close in any case. It is not for concurrent use.
type Writer struct {
	deriver *deriver
	folder  string
	batch   []record // unsorted, full at its limit
	sorted  []record // room to sort a batch into
	limit   int
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
	// A batch is held twice: while it grows, and while it is sorted.
	limit := max(c.Memory/(2*spilledSize), minBatch)
	return &Writer{deriver: newDeriver(c.Key), folder: c.Folder, limit: limit}
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
	if len(w.batch) == w.limit {
		if err := w.spill(); err != nil {
			return err
		}
	}
	if len(w.batch) == cap(w.batch) {
		grown := make([]record, len(w.batch), min(max(2*len(w.batch), minBatch), w.limit))
		copy(grown, w.batch)
		w.batch = grown
	}
	w.batch = append(w.batch, r)
	return nil
}

// sort returns the batch sorted, in memory that the next sort will use again.
func (w *Writer) sort() []record {
	if len(w.sorted) < len(w.batch) {
		w.sorted = make([]record, len(w.batch))
	}
	sorted := w.sorted[:len(w.batch)]
	sortRecords(w.batch, sorted)
	w.batch = w.batch[:0]
	return sorted
}

func (w *Writer) spill() error {
	r, err := spill(w.folder, w.sort())
	if err != nil {
		return err
	}
	w.runs = append(w.runs, r)
	return nil
}

// keep ends the batch, in memory if nothing was spilled before.
func (w *Writer) keep() error {
	if slices.ContainsFunc(w.runs, func(r *run) bool { return r.file != nil }) {
		return w.spill()
	}
	w.runs = append(w.runs, &run{memory: w.sort()})
	w.sorted = nil // it is the run's now
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
	w.runs, w.batch, w.sorted, w.over = nil, nil, nil, true
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
