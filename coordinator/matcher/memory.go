package matcher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"

	"golang.org/x/sync/semaphore"
)

// What the matcher's work holds in memory, each with room to spare:
// TestWhatIsHeld measures them.
const (
	// receivingMemory is an upload's while it is received: its line's window, a
	// message or two, the block that is checked and the one that is sealed.
	receivingMemory = 1 << 20
	// spoolMemory is an upload's while it is merged: a block of records, and what
	// age holds to open it. labelsMemory is a recipient's beside it.
	spoolMemory  = 256 << 10
	labelsMemory = 256 << 10
)

// DefaultMemory has room for a merge of the largest round that there may be, or
// for 512 uploads at once.
const DefaultMemory = protocol.MaxSources * (spoolMemory + labelsMemory)

// MinMemory has room for a round of 30 sources.
const MinMemory = 16 << 20

// mergingMemory is what a round's merge holds.
func mergingMemory(m protocol.Manifest) int64 {
	return int64(len(m.Sources))*spoolMemory + int64(len(m.Recipients))*labelsMemory
}

// Errors of memory.
var (
	// ErrMemory: the merge of this round needs more memory than the matcher may
	// ever take. The operator raises the limit, or the round is split.
	ErrMemory = errors.New("the round needs more memory than the matcher may take")
	// ErrCrowded: other uploads and merges have all the memory. The node tries
	// again.
	ErrCrowded = protocol.Refuse(refusal.ErrFull,
		"d'autres envois occupent toute la mémoire que le coordonnateur leur donne; rien n'est perdu, le nœud renverra le sien",
		"other uploads take all the memory that the coordinator gives them; nothing is lost, the node will send its own again")
)

// How long an upload waits in line, and how long it is told to stay away then.
const (
	inLine   = 20 * time.Second
	stayAway = 5 * time.Second
)

// memory is a limit that is kept by not beginning what does not fit. Who comes
// first is let in first, so that a large merge is not passed over for ever.
type memory struct {
	limit int64
	held  *semaphore.Weighted
	// spare frees what can be done without, when there is a line.
	spare func()
	line  *atomic.Int64 // how many wait
}

func newMemory(limit int64, spare func()) memory {
	return memory{limit, semaphore.NewWeighted(limit), spare, new(atomic.Int64)}
}

// admit waits in line, but not for long.
func (m memory) admit(ctx context.Context, size int64) error {
	waiting, cancel := context.WithTimeout(ctx, inLine)
	defer cancel()
	err := m.wait(waiting, size)
	if err != nil && ctx.Err() == nil {
		return refusal.Later(ErrCrowded, stayAway)
	}
	return err
}

// wait waits in line until ctx ends.
func (m memory) wait(ctx context.Context, size int64) error {
	if size > m.limit {
		return fmt.Errorf("%w: %d MiB of %d", ErrMemory, (size+1<<20-1)>>20, m.limit>>20)
	}
	if m.held.TryAcquire(size) {
		return nil
	}
	m.line.Add(1)
	defer m.line.Add(-1)
	m.spare()
	if m.held.Acquire(ctx, size) != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (m memory) release(size int64) { m.held.Release(size) }
