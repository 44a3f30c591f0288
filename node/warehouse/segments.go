package warehouse

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"coulisse/protocol"
)

// ErrNoSegment: no segment has that name. List them to see which there are.
var ErrNoSegment = errors.New("no segment has that name")

// Segment is a saved definition. What it means is the business of
// node/segment; the warehouse keeps it.
type Segment struct {
	Definition protocol.Definition `json:"definition"`
	Pooled     bool                `json:"pooled"`  // offered to pooled audiences
	Version    int64               `json:"version"` // 1, then one more at each change
	Updated    time.Time           `json:"updated"`
}

// PutSegment saves a segment under its definition's name, in the place of the
// one that had it, and returns it with its new version and time. Saving what
// is there already changes nothing.
func (w *Warehouse) PutSegment(ctx context.Context, d protocol.Definition, pooled bool) (Segment, error) {
	if err := d.Check(); err != nil {
		return Segment{}, err
	}
	words, err := json.Marshal(d)
	if err != nil {
		return Segment{}, fmt.Errorf("writing segment %s: %w", d.Name, err)
	}
	w.saving.Lock()
	defer w.saving.Unlock()
	s, err := w.Segment(ctx, d.Name)
	if err != nil && !errors.Is(err, ErrNoSegment) {
		return Segment{}, err
	}
	if before, _ := json.Marshal(s.Definition); err == nil && s.Pooled == pooled && string(before) == string(words) {
		return s, nil
	}
	s = Segment{d, pooled, s.Version + 1, time.Now().UTC().Truncate(time.Microsecond)}
	err = w.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM segments WHERE name = ?`, d.Name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO segments VALUES (?, ?, ?, ?, ?)`,
			d.Name, string(words), s.Pooled, s.Version, s.Updated)
		return err
	})
	if err != nil {
		return Segment{}, fmt.Errorf("saving segment %s: %w", d.Name, err)
	}
	return s, nil
}

// Segment returns the segment of that name, or [ErrNoSegment].
func (w *Warehouse) Segment(ctx context.Context, name string) (Segment, error) {
	found, err := w.segments(ctx, `WHERE name = ?`, name)
	if err != nil {
		return Segment{}, err
	}
	if len(found) == 0 {
		return Segment{}, fmt.Errorf("%w: %q", ErrNoSegment, name)
	}
	return found[0], nil
}

// Segments lists the segments by name.
func (w *Warehouse) Segments(ctx context.Context) ([]Segment, error) {
	return w.segments(ctx, `ORDER BY name`)
}

// DropSegment forgets a segment. It fails with [ErrNoSegment].
func (w *Warehouse) DropSegment(ctx context.Context, name string) error {
	w.saving.Lock()
	defer w.saving.Unlock()
	if _, err := w.Segment(ctx, name); err != nil {
		return err
	}
	if _, err := w.db.ExecContext(ctx, `DELETE FROM segments WHERE name = ?`, name); err != nil {
		return fmt.Errorf("deleting segment %s: %w", name, err)
	}
	return nil
}

func (w *Warehouse) segments(ctx context.Context, which string, args ...any) ([]Segment, error) {
	rows, err := w.db.QueryContext(ctx, `SELECT definition, pooled, version, updated FROM segments `+which, args...)
	if err != nil {
		return nil, fmt.Errorf("reading segments: %w", err)
	}
	defer rows.Close()
	var segments []Segment
	for rows.Next() {
		var s Segment
		var words string
		if err := rows.Scan(&words, &s.Pooled, &s.Version, &s.Updated); err != nil {
			return nil, fmt.Errorf("reading segments: %w", err)
		}
		if err := json.Unmarshal([]byte(words), &s.Definition); err != nil {
			return nil, fmt.Errorf("reading a segment's definition: %w", err)
		}
		segments = append(segments, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading segments: %w", err)
	}
	return segments, nil
}
