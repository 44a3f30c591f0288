// Package segment keeps the definitions that a member saved, counts whom they
// fit on the member's own side, and reads them aloud in French and English.
//
// A segment is a definition of protocol.md section 4a with a decision: whether
// pooled audiences may use it. Saving one shows it to nobody. Evaluating it is
// the work of node/warehouse, which also holds the table.
package segment

import (
	"context"
	"errors"
	"fmt"

	"coulisse/node/taxonomy"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

var (
	// ErrNotFound: no segment has that name. List shows which there are.
	ErrNotFound = warehouse.ErrNoSegment
	// ErrUnknownDiscipline: a code that the taxonomy lacks, which would fit
	// nobody. The message names it; correct the definition.
	ErrUnknownDiscipline = errors.New("the cultural taxonomy has no discipline")
)

// Segment is a saved definition with its version.
type Segment = warehouse.Segment

// Store is the member's segments. Its methods may be called concurrently.
type Store struct{ w *warehouse.Warehouse }

// New returns the segments of a warehouse.
func New(w *warehouse.Warehouse) *Store { return &Store{w} }

// Save keeps a definition under its name, in the place of the one that had it.
// The version counts up unless nothing changed.
func (s *Store) Save(ctx context.Context, d protocol.Definition, pooled bool) (Segment, error) {
	if err := d.Check(); err != nil {
		return Segment{}, err
	}
	for _, code := range d.Disciplines {
		if !taxonomy.Known(code) {
			return Segment{}, fmt.Errorf("%w %s", ErrUnknownDiscipline, code)
		}
	}
	return s.w.PutSegment(ctx, d, pooled)
}

// List returns the segments by name.
func (s *Store) List(ctx context.Context) ([]Segment, error) { return s.w.Segments(ctx) }

// Get returns a segment, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, name string) (Segment, error) {
	return s.w.Segment(ctx, name)
}

// Delete forgets a segment. It fails with [ErrNotFound].
func (s *Store) Delete(ctx context.Context, name string) error { return s.w.DropSegment(ctx, name) }

// Count returns how many of the member's own people a segment fits who
// consented to be pooled: the preview, exact, for the member alone.
func (s *Store) Count(ctx context.Context, name string) (int64, error) {
	segment, err := s.Get(ctx, name)
	if err != nil {
		return 0, err
	}
	return s.w.Count(ctx, segment.Definition, protocol.PurposePooling)
}
