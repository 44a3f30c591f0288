// Package notary hands out a replica's latest checkpoint and collects what
// members cosign of it. It holds nothing that outlives it: a checkpoint is
// signed again, and nodes cosign again, after a restart. It decides nothing:
// a cosignature is the node's own statement, and is verified by whoever reads
// it (protocol.md section 9).
package notary

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/tlog"
)

// period is how long a checkpoint stands while the log grows: long enough for
// most nodes to cosign the same one.
const period = time.Minute

// Log is what the replica signs from; sequencer.Sequencer is one.
type Log interface {
	View(func(federation.Tx) error) error
	Checkpoint(federation.Tx) (protocol.Head, []byte, error)
}

// Notary is one replica's. Its methods may be called at once.
type Notary struct {
	log Log
	now func() time.Time

	// mu guards the checkpoint that stands and the latest cosignature of each
	// member.
	mu       sync.Mutex
	head     protocol.Head
	note     []byte
	signedAt time.Time
	cosigned map[protocol.MemberID]kept
}

type kept struct {
	head protocol.Head
	line checkpoint.Cosignature
}

// New returns a notary over a replica's log, on the given clock.
func New(log Log, now func() time.Time) *Notary {
	return &Notary{log: log, now: now, cosigned: map[protocol.MemberID]kept{}}
}

// Latest is the checkpoint that stands, with the cosignatures that came for
// it. It is of the log as this replica has it.
func (n *Notary) Latest() (c checkpoint.Checkpoint, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	err = n.log.View(func(tx federation.Tx) error {
		if err := n.renew(tx); err != nil {
			return err
		}
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		c, err = n.complete(view)
		return err
	})
	return c, err
}

// renew signs the present head, unless the last checkpoint still stands. mu is
// held.
func (n *Notary) renew(tx federation.Tx) error {
	if n.note != nil && (federation.Size(tx) == n.head.Size || n.now().Before(n.signedAt.Add(period))) {
		return nil
	}
	head, note, err := n.log.Checkpoint(tx)
	if err != nil {
		return err
	}
	n.head, n.note, n.signedAt = head, note, n.now()
	return nil
}

// complete adds the cosignatures of members who are still in good standing. mu
// is held.
func (n *Notary) complete(view governance.View) (checkpoint.Checkpoint, error) {
	c, err := checkpoint.Open(n.note, view)
	if err != nil {
		return c, err
	}
	var lines []checkpoint.Cosignature
	for _, id := range slices.Sorted(maps.Keys(n.cosigned)) {
		if _, ok := view.Active(id); ok && n.cosigned[id].head == n.head {
			lines = append(lines, n.cosigned[id].line)
		}
	}
	return c.With(lines), nil
}

// Keep takes a member's cosignature out of a checkpoint of this log, and
// forgets its earlier one.
func (n *Notary) Keep(id protocol.MemberID, note []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		c, err := checkpoint.Open(note, view)
		if err != nil {
			return fmt.Errorf("%w: %w", protocol.ErrMalformed, err)
		}
		line, ok := c.Cosigner(id)
		if !ok {
			return protocol.Refuse(protocol.ErrMalformed,
				"le point de contrôle ne porte pas la cosignature de qui l'envoie",
				"the checkpoint is not cosigned by whoever sends it")
		}
		if err := holds(tx, c.Head); err != nil {
			return err
		}
		if n.cosigned[id].head.Size <= c.Head.Size {
			n.cosigned[id] = kept{c.Head, line}
		}
		return nil
	})
}

// holds checks that the log had this head.
func holds(tx federation.Tx, head protocol.Head) error {
	if head.Size > federation.Size(tx) {
		return federation.ErrFork
	}
	own, err := tlog.HeadAt(tx, head.Size)
	if err != nil {
		return err
	}
	if own != head {
		return federation.ErrFork
	}
	return nil
}
