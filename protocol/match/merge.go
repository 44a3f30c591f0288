package match

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"coulisse/protocol"
)

// Input is one source's upload, from its first record, and where its labels go:
// nil unless the source is a recipient.
type Input struct {
	Upload *Reader
	Labels io.Writer
}

// Outcome is what a merge found.
type Outcome struct {
	Total   Exact // pseudonyms for which the rule holds
	Sources []SourceOutcome
}

// SourceOutcome is a source's part. Padding is in neither count, since no rule
// holds for it.
type SourceOutcome struct {
	Source protocol.SourceName
	Holds  Exact         // of its pseudonyms
	Upload protocol.Hash // the digest that was read
	Labels protocol.Hash // of the label file, zero if there is none
}

// Exact is a true count, from before the noise. It never leaves the matcher: it
// is not printed, logged or encoded.
type Exact uint64

// String returns a placeholder.
func (Exact) String() string { return placeholder }

// Format writes a placeholder under every verb.
func (Exact) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(placeholder)) }

// LogValue returns a placeholder.
func (Exact) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText refuses.
func (Exact) MarshalText() ([]byte, error) {
	return nil, errors.New("an exact count is not written down: publish the noised figure")
}

// Merge runs a program over one upload a source, in the program's order, all of
// one round. It reads each once, side by side, in constant memory. If it returns
// an error, nothing that it wrote may be used.
func Merge(ctx context.Context, p *Program, inputs []Input) (Outcome, error) {
	m, err := newMerge(ctx, p, inputs)
	if err != nil {
		return Outcome{}, err
	}
	if err := m.run(); err != nil {
		return Outcome{}, fmt.Errorf("merge the uploads: %w", err)
	}
	return m.outcome()
}

type merge struct {
	ctx     context.Context
	program *Program
	uploads []*Reader
	labels  []*labelWriter // nil for a source that receives none
	tree    *tree
	known   []uint64 // the sources of the pseudonym at hand, as bits
	group   []int    // and as numbers
	total   Exact
	holds   []Exact
}

func newMerge(ctx context.Context, p *Program, inputs []Input) (*merge, error) {
	if len(inputs) != len(p.sources) {
		return nil, fmt.Errorf("%w: %d uploads for a round of %d sources", ErrMismatch, len(inputs), len(p.sources))
	}
	m := &merge{
		ctx: ctx, program: p,
		uploads: make([]*Reader, len(inputs)), labels: make([]*labelWriter, len(inputs)),
		known: make([]uint64, p.words), group: make([]int, 0, len(inputs)), holds: make([]Exact, len(inputs)),
	}
	for i, in := range inputs {
		h, first := in.Upload.Header(), inputs[0].Upload.Header()
		if h.Source != p.sources[i] || h.Round != first.Round || h.Manifest != first.Manifest {
			return nil, fmt.Errorf("%w: upload %d is not this round's of source %q", ErrMismatch, i, p.sources[i])
		}
		if in.Upload.taken() != 0 {
			return nil, fmt.Errorf("%w: the upload of source %q was read before", ErrMismatch, h.Source)
		}
		m.uploads[i] = in.Upload
		if in.Labels == nil {
			continue
		}
		var err error
		if m.labels[i], err = newLabelWriter(in.Labels, h); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// run visits each pseudonym once, with all of its sources.
func (m *merge) run() error {
	first := make([]contender, len(m.uploads))
	for i, r := range m.uploads {
		if err := m.refill(i); err != nil {
			return err
		}
		first[i] = contender{binary.BigEndian.Uint64(r.block), binary.BigEndian.Uint64(r.block[8:]), i}
	}
	m.tree = newTree(first)
	for {
		top, ok := m.tree.winner()
		if !ok {
			return nil
		}
		m.group = m.group[:0]
		for hi, lo := top.hi, top.lo; ok && top.hi == hi && top.lo == lo; top, ok = m.tree.winner() {
			m.group = append(m.group, top.stream)
			if err := m.advance(top.stream); err != nil {
				return err
			}
		}
		// Most pseudonyms are in too few sources for any part of the rule.
		if len(m.group) >= m.program.least {
			m.judge()
		}
	}
}

// advance replaces the record that was taken by the next one of its upload.
func (m *merge) advance(stream int) error {
	r := m.uploads[stream]
	r.at += recordSize
	if r.at == len(r.block) {
		if err := m.refill(stream); err == io.EOF {
			m.tree.retire()
			return nil
		} else if err != nil {
			return err
		}
	}
	next := r.block[r.at : r.at+recordSize]
	m.tree.replace(binary.BigEndian.Uint64(next), binary.BigEndian.Uint64(next[8:]))
	return nil
}

// refill reads an upload's next block. It is where a merge notices that it was
// cancelled: often enough, and not once a record.
func (m *merge) refill(stream int) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	r := m.uploads[stream]
	if r.refill() {
		return nil
	}
	if r.err != io.EOF {
		return fmt.Errorf("source %q: %w", r.Header().Source, r.err)
	}
	return io.EOF
}

// judge counts and labels the pseudonym at hand if the rule holds for it. Each
// upload stands just after its record, or at its end.
func (m *merge) judge() {
	for _, i := range m.group {
		m.known[i/64] |= 1 << (i % 64)
	}
	if m.program.holds(m.known) {
		m.total++
		for _, i := range m.group {
			m.holds[i]++
			if m.labels[i] != nil {
				m.labels[i].set(m.uploads[i].taken() - 1)
			}
		}
	}
	for _, i := range m.group {
		m.known[i/64] = 0
	}
}

// outcome ends the label files.
func (m *merge) outcome() (Outcome, error) {
	out := Outcome{Total: m.total, Sources: make([]SourceOutcome, len(m.uploads))}
	for i, r := range m.uploads {
		out.Sources[i] = SourceOutcome{Source: r.Header().Source, Holds: m.holds[i], Upload: r.Digest()}
		if m.labels[i] == nil {
			continue
		}
		digest, err := m.labels[i].end(r.Digest())
		if err != nil {
			return Outcome{}, fmt.Errorf("write the labels of source %q: %w", r.Header().Source, err)
		}
		out.Sources[i].Labels = digest
	}
	return out, nil
}
