package node

import (
	"context"
	"io"

	"coulisse/node/importer"
	"coulisse/node/segment"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// What a member does with its own data: imports and segments.

// ImportEvent is how far an import is; the last one has its report.
type ImportEvent struct {
	Stage   importer.Stage   `json:"stage,omitempty"`
	Bytes   int64            `json:"bytes"`
	Total   int64            `json:"total"` // 0 while it is not known
	Rows    int64            `json:"rows"`
	Refused int64            `json:"refused"`
	Report  *importer.Report `json:"report,omitempty"`
}

// Import takes a file in, all of it or nothing, and has tokens made for the
// people in it. tell is called by the same goroutine.
func (n *Node) Import(ctx context.Context, r io.Reader, o importer.Options, tell func(ImportEvent)) (importer.Report, error) {
	o.SpoolDir = n.folder.Dir // as private as the warehouse
	o.Progress = func(p importer.Progress) {
		tell(ImportEvent{Stage: p.Stage, Bytes: p.Bytes, Total: p.Total, Rows: p.Rows, Refused: p.Refused})
	}
	into := n.intake()
	report, err := importer.Import(ctx, r, o, into)
	report = report.Less(importer.ReasonErased, into.out)
	if err != nil {
		return report, err
	}
	n.Imported()
	return report, nil
}

// Imports lists the files that were taken in, the latest first.
func (n *Node) Imports(ctx context.Context) ([]warehouse.Import, error) {
	return n.warehouse.Imports(ctx)
}

// Segment is a saved definition with its reading.
type Segment struct {
	segment.Segment
	Words protocol.Text `json:"words"`
}

func worded(s segment.Segment) Segment {
	return Segment{s, protocol.Text{FR: segment.Explain(s.Definition, "fr"), EN: segment.Explain(s.Definition, "en")}}
}

// Segments lists the segments by name.
func (n *Node) Segments(ctx context.Context) ([]Segment, error) {
	list, err := n.segments.List(ctx)
	said := make([]Segment, len(list))
	for i, s := range list {
		said[i] = worded(s)
	}
	return said, err
}

// Segment finds one by name.
func (n *Node) Segment(ctx context.Context, name string) (Segment, error) {
	s, err := n.segments.Get(ctx, name)
	return worded(s), err
}

// SaveSegment keeps a definition under its name.
func (n *Node) SaveSegment(ctx context.Context, d protocol.Definition, pooled bool) (Segment, error) {
	s, err := n.segments.Save(ctx, d, pooled)
	return worded(s), err
}

// DeleteSegment forgets one.
func (n *Node) DeleteSegment(ctx context.Context, name string) error {
	return n.segments.Delete(ctx, name)
}

// CountSegment is how many of the member's own people a segment fits who
// consent to be pooled: exact, for the member alone.
func (n *Node) CountSegment(ctx context.Context, name string) (int64, error) {
	return n.segments.Count(ctx, name)
}
