package witness

import (
	"errors"
	"fmt"
	"path/filepath"

	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/tlog"
)

// Fork is the evidence that a coordinator has stated two histories of one log:
// each under a replica's signature.
type Fork struct {
	// Theirs is the checkpoint that is not of this node's log.
	Theirs string `json:"theirs"`
	// Ours is one that is, as large or larger if this node was given any such.
	Ours string `json:"ours,omitempty"`
	// Own is this node's log at the size of theirs.
	Own protocol.Head `json:"own"`
	// Growth shows that ours grew out of Own, and so not out of theirs. It is
	// empty if ours is not larger: the log beside this file shows it then.
	Growth []protocol.Hash `json:"growth"`
}

// Compare holds a checkpoint that a replica signed against this node's log,
// which must have come so far. If the log never had that head, the two are
// evidence: both are kept, and nothing more is taken nor signed
// ([ErrEvidence]). ours is the last checkpoint that compared equal, if any.
func (w *Witness) Compare(theirs, ours *checkpoint.Checkpoint) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped != nil {
		return w.stopped
	}
	size := theirs.Head.Size
	if size > federation.Size(&w.memory) {
		return ErrBehind
	}
	own, err := tlog.HeadAt(&w.memory, size)
	if err != nil || own == theirs.Head {
		return err
	}
	fork, err := w.fork(own, theirs, ours)
	if err != nil {
		return err
	}
	defer w.wake()
	path := filepath.Join(w.dir, fmt.Sprintf(evidencePrefix+"fork-%s.json", protocol.HashOf(fork).Short()))
	w.stopped = protocol.Refuse(ErrEvidence,
		"une réplique du coordonnateur a signé, pour les %d premières entrées, une autre histoire que celle que ce nœud a reçue; il ne suit plus le journal et ne signe plus rien; la preuve est dans %s; comparez vos têtes de journal avec un autre membre, et prévenez le conseil de la coopérative",
		"a replica of the coordinator has signed another history of the first %d entries than the one that this node was given; it no longer follows the log and signs nothing more; the evidence is in %s; compare log heads with another member, and tell the co-operative's board",
		size, path)
	if err := durable.WriteFile(path, fork); err != nil {
		return errors.Join(w.stopped, err)
	}
	return w.stopped
}

// fork is the evidence as a file. mu is held.
func (w *Witness) fork(own protocol.Head, theirs, ours *checkpoint.Checkpoint) ([]byte, error) {
	f := Fork{Theirs: theirs.String(), Own: own, Growth: []protocol.Hash{}}
	if ours != nil {
		f.Ours = ours.String()
		if ours.Head.Size > own.Size {
			var err error
			if f.Growth, err = tlog.ProveGrowth(&w.memory, own.Size, ours.Head.Size); err != nil {
				return nil, err
			}
		}
	}
	return protocol.Indented(f)
}
