package consensus

import (
	"errors"
	"sync"
)

// Lineage tells apart coordinators that began from different states under the
// same names. It is zero since a founding; [Seed] gives another one to replicas
// that were restored. A replica takes in no snapshot of another lineage than
// its own, unless it holds nothing yet.
type Lineage [32]byte

// ErrLineage: the leader comes from another founding or restoration than this
// replica. One of the two was left behind by a disaster, or they were restored
// apart. The replica halts: its folder is evidence of what it knew.
var ErrLineage = errors.New("this replica and the leader were restored from different logs, or one of them was replaced by a restoration: " +
	"keep this replica stopped, and restore all replicas by one command, or admit this machine anew under another identifier")

// kin are the replicas of one lineage. The zero value is that of founders.
type kin struct {
	halt func(error)
	// empty reports whether the replica holds nothing, and so has no lineage.
	// nil: it holds something.
	empty func() bool

	mu      sync.Mutex
	lineage Lineage
}

func (k *kin) now() Lineage {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lineage
}

func (k *kin) join(l Lineage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lineage, k.empty = l, nil
}

// admit takes in a snapshot of one's own lineage, or of any as the first thing.
func (k *kin) admit(l Lineage) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l != k.lineage && (k.empty == nil || !k.empty()) {
		if k.halt != nil {
			k.halt(ErrLineage)
		}
		return ErrLineage
	}
	k.lineage, k.empty = l, nil
	return nil
}

// empty reports whether the log has no entry.
func (s *store) empty() bool { return s.extent.Load().last == 0 }
