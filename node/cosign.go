package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"coulisse/node/witness"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// lookForCheckpoint is how often a node looks for a new checkpoint. The
// coordinator makes one a minute at most.
const lookForCheckpoint = 10 * time.Second

// fileCheckpoint holds the newest checkpoint that this node has cosigned, so
// that it never cosigns a smaller one later.
const fileCheckpoint = "checkpoint.txt"

// keepCosigning holds what the replicas sign against the node's own log, and
// cosigns what it has verified. A replica that signs another history is
// evidence, and ends it.
func (n *Node) keepCosigning(ctx context.Context) {
	if err := n.witness.Await(ctx, 1); err != nil {
		return // stopped, or the node stops
	}
	timer := time.NewTicker(lookForCheckpoint)
	defer timer.Stop()
	recalled := false
	for ctx.Err() == nil {
		_ = n.compareExtent(ctx) // Status tells, and asks again
		var err error
		if !recalled {
			err = n.recallCheckpoint(ctx)
			recalled = err == nil
		}
		if err == nil {
			err = n.cosign(ctx)
		}
		switch {
		case errors.Is(err, witness.ErrEvidence): // Trouble tells
			n.logger.ErrorContext(ctx, "this node no longer follows the coordinator", "error", err)
			return
		case err != nil && ctx.Err() == nil:
			n.logger.DebugContext(ctx, "a checkpoint will be looked for again", "reason", err)
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// cosign looks at every replica's checkpoint, and cosigns the leader's.
func (n *Node) cosign(ctx context.Context) error {
	for _, note := range n.client.EachCheckpoint(ctx) {
		if _, err := n.examine(ctx, note); errors.Is(err, witness.ErrEvidence) {
			return err
		}
	}
	note, err := n.client.Checkpoint(ctx)
	if err != nil {
		return err
	}
	c, err := n.examine(ctx, note)
	if err != nil {
		return err
	}
	last := n.checkpoint.Load()
	if last != nil && c.Head.Size < last.Head.Size {
		return nil // of a replica that has just come to lead
	}
	view, err := n.governance()
	if err != nil {
		return err
	}
	self := n.folder.Card.ID
	_, already := c.Cosigner(self)
	if _, standing := view.Active(self); already || !standing {
		return n.rememberCheckpoint(c)
	}
	// The node's own head is on disk before it signs, as for any document.
	if _, err := n.witness.SigningHead(); err != nil {
		return err
	}
	if note, err = c.Cosign(checkpoint.OriginOf(view), self, n.folder.node, time.Now()); err != nil {
		return err
	}
	if c, err = checkpoint.Open(note, view); err != nil {
		return err
	}
	if err := n.rememberCheckpoint(c); err != nil {
		return err
	}
	return n.client.Cosign(ctx, c.Only(self))
}

func (n *Node) governance() (view governance.View, err error) {
	err = n.witness.View(func(tx federation.Tx) error { view, err = federation.View(tx); return err })
	return view, err
}

// examine verifies a checkpoint and holds it against the node's own log.
func (n *Node) examine(ctx context.Context, note []byte) (checkpoint.Checkpoint, error) {
	view, err := n.governance()
	if err != nil {
		return checkpoint.Checkpoint{}, err
	}
	c, err := checkpoint.Open(note, view)
	if err != nil {
		return c, err
	}
	// The replica may be a little ahead of this node.
	waiting, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	if err := n.witness.Await(waiting, c.Head.Size); err != nil {
		return c, fmt.Errorf("read the log up to the checkpoint: %w", err)
	}
	return c, n.witness.Compare(&c, n.checkpoint.Load())
}

func (n *Node) checkpointPath() string { return filepath.Join(n.folder.path(dirLog), fileCheckpoint) }

// rememberCheckpoint replaces the file whole.
func (n *Node) rememberCheckpoint(c checkpoint.Checkpoint) error {
	if last := n.checkpoint.Load(); last != nil && last.String() == c.String() {
		return nil
	}
	if err := n.folder.replace(filepath.Join(dirLog, fileCheckpoint), []byte(c.String())); err != nil {
		return fmt.Errorf("keep the checkpoint: %w", err)
	}
	n.checkpoint.Store(&c)
	return nil
}

// recallCheckpoint reads what this node cosigned last, and holds it against a
// log that may have been fetched afresh. A file that is no checkpoint is as
// good as none.
func (n *Node) recallCheckpoint(ctx context.Context) error {
	note, err := os.ReadFile(n.checkpointPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := n.examine(ctx, note)
	if errors.Is(err, checkpoint.ErrCheckpoint) {
		return nil
	}
	if err == nil {
		n.checkpoint.Store(&c)
	}
	return err
}
