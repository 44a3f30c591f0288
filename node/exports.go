package node

import (
	"bytes"
	"context"
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
	"coulisse/protocol/tlog"
)

// ExportAudience fetches the signed record of a published round, checks it
// from the genesis up and against this node's own copy of the log, and renders
// its files. Nothing of a record that fails is given out.
func (n *Node) ExportAudience(ctx context.Context, id string) (record.Files, error) {
	round, err := n.roundID(id)
	if err != nil {
		return record.Files{}, err
	}
	raw, err := n.client.Export(ctx, round)
	if err != nil {
		return record.Files{}, err
	}
	rec, err := protocol.Decode[record.Record](raw)
	if err != nil {
		return record.Files{}, fmt.Errorf("%w: %w", record.ErrRecord, err)
	}
	statement, err := rec.Verify(n.membership.Federation)
	if err != nil {
		return record.Files{}, err
	}
	if statement.Manifest.Round != round {
		return record.Files{}, fmt.Errorf("%w: it is of another round", record.ErrRecord)
	}
	if err := n.compare(ctx, rec, statement.Head); err != nil {
		return record.Files{}, err
	}
	return rec.Files(statement)
}

// compare holds a record against the node's own log: the same entries at the
// same places, under a head that this log had.
func (n *Node) compare(ctx context.Context, rec record.Record, head protocol.Head) error {
	// The replica that answered may be a little ahead of this node.
	waiting, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	if err := n.witness.Await(waiting, head.Size); err != nil {
		return fmt.Errorf("read the log up to the record's head: %w", err)
	}
	return n.witness.View(func(tx federation.Tx) error {
		own, err := tlog.HeadAt(tx, head.Size)
		if err != nil {
			return err
		}
		if own.Root != head.Root {
			return fmt.Errorf("%w: its log is not the one that this node follows", record.ErrRecord)
		}
		for _, proven := range []record.Proven{rec.Manifest, rec.Reserve, rec.Result} {
			stated, err := protocol.Canonical(proven.Entry)
			if err != nil {
				return err
			}
			if kept, ok := federation.EntryBytes(tx, proven.Entry.Seq); !ok || !bytes.Equal(kept, stated) {
				return fmt.Errorf("%w: entry %d is not the one that this node has", record.ErrRecord, proven.Entry.Seq)
			}
		}
		return nil
	})
}
