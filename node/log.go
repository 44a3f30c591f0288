package node

import (
	"errors"
	"io"

	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
)

// LogHead is the node's own copy of the log beside the newest checkpoint that
// it has cosigned.
type LogHead struct {
	LogStatus
	// Checkpoint has a head of size zero until there is one.
	Checkpoint CheckpointStatus `json:"checkpoint"`
	// Keys verify it, with any tool that reads C2SP checkpoints.
	Keys         []checkpoint.Key `json:"replica_keys"`
	CosignerKeys []checkpoint.Key `json:"cosigner_keys"`
}

// CheckpointStatus is a checkpoint and who vouches for it.
type CheckpointStatus struct {
	Head     protocol.Head            `json:"head"`
	Replicas []protocol.ReplicaID     `json:"replicas"`
	Cosigned []checkpoint.Cosignature `json:"cosigned"`
	Members  int                      `json:"members"` // in good standing now
	Note     string                   `json:"note"`    // as C2SP tools read it: see checkpoint.Short
}

// errNoCheckpoint: see its words.
var errNoCheckpoint = protocol.Refuse(errors.New("no checkpoint yet"),
	"ce nœud n'a pas encore de point de contrôle du journal; il en prend un dès que le coordonnateur répond; réessayez dans une minute",
	"this node has no checkpoint of the log yet; it takes one as soon as the coordinator answers; try again in a minute")

// LogHead tells where the log is, and who says so.
func (n *Node) LogHead() (h LogHead, err error) {
	err = n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return errNoCheckpoint
		}
		head, err := federation.Head(tx)
		if err != nil {
			return err
		}
		h.LogStatus = LogStatus{Size: head.Size, Root: head.Root, At: federation.Time(tx)}
		h.Keys, h.CosignerKeys = checkpoint.ReplicaKeys(view), checkpoint.CosignerKeys(view)
		h.Checkpoint.Members = len(view.Roster())
		if c := n.checkpoint.Load(); c != nil {
			h.Checkpoint.Head, h.Checkpoint.Note, h.Checkpoint.Replicas = c.Head, c.Short(), c.Replicas
			// Of the members as they are now: one that cosigned may be gone since.
			for _, by := range c.Cosigned {
				if _, ok := view.Active(by.Member); ok {
					h.Checkpoint.Cosigned = append(h.Checkpoint.Cosigned, by)
				}
			}
		}
		return nil
	})
	return h, err
}

// ProveEntry proves an entry of the log under the newest checkpoint.
func (n *Node) ProveEntry(seq int64) (p archive.Proof, err error) {
	c := n.checkpoint.Load()
	if c == nil {
		return p, errNoCheckpoint
	}
	err = n.witness.View(func(tx federation.Tx) error { p, err = archive.Prove(tx, seq, *c); return err })
	return p, err
}

// CopyLog returns what writes a copy of the log, with the newest checkpoint.
func (n *Node) CopyLog() (write func(io.Writer) error, err error) {
	c := n.checkpoint.Load()
	if c == nil {
		return nil, errNoCheckpoint
	}
	return func(w io.Writer) error { return archive.Write(w, *c, n.witness.View) }, nil
}
