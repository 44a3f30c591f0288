package federation

import (
	"sync"

	"coulisse/protocol"
	"coulisse/protocol/tlog"
)

// Heads remembers the last heads of one log that were asked for: members sign
// under the head that they saw, and many see the same one. A head never
// changes while the log only grows; whoever replaces the log takes new Heads.
type Heads struct {
	// mu guards the rest.
	mu    sync.Mutex
	known [16]protocol.Head
	next  int
}

// headed is a state that has Heads.
type headed interface{ Heads() *Heads }

// headAt is the log's head when it had size entries.
func headAt(tx Tx, size int64) (protocol.Head, error) {
	remembering, ok := tx.(headed)
	if !ok || remembering.Heads() == nil {
		return tlog.HeadAt(tx, size)
	}
	h := remembering.Heads()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, head := range h.known {
		if head.Size == size {
			return head, nil
		}
	}
	head, err := tlog.HeadAt(tx, size)
	if err == nil {
		h.known[h.next] = head
		h.next = (h.next + 1) % len(h.known)
	}
	return head, err
}
