package consensus

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

// machine is raft's view of the [StateMachine]. raft calls it from one goroutine.
type machine struct {
	state   StateMachine
	applied watermark
}

// Apply executes one committed command.
func (m *machine) Apply(l *raft.Log) any {
	reach(beforeExecuted)
	result := m.state.Apply(l.Index, l.Data)
	m.applied.advance(l.Index)
	reach(afterExecuted)
	return result
}

// StoreConfiguration is called in the place of Apply when replicas change.
func (m *machine) StoreConfiguration(index uint64, _ raft.Configuration) { m.applied.advance(index) }

// Snapshot copies the state while raft holds commands back.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	state, err := m.state.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("copy the state: %w", err)
	}
	return &copied{m.applied.now(), state}, nil
}

// Restore takes a snapshot from [snapshots.Open], which has verified it.
func (m *machine) Restore(r io.ReadCloser) error {
	head := make([]byte, snapshotHeader)
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("read a snapshot: %w", err)
	}
	h, err := parseSnapshotHeader(head)
	if err != nil {
		return err
	}
	if err := m.state.Restore(r); err != nil {
		return fmt.Errorf("restore the state: %w", err)
	}
	m.applied.reset(h.applied)
	return nil
}

// copied is a state on its way into a snapshot.
type copied struct {
	applied uint64
	state   []byte
}

func (c *copied) Persist(sink raft.SnapshotSink) error {
	return sink.(*snapshotSink).put(c.applied, c.state) // all sinks are ours
}

func (c *copied) Release() {}

// watermark is an index that callers can wait for.
type watermark struct {
	mu    sync.Mutex
	at    uint64
	moved chan struct{} // closed at the next move, nil if nobody waits
}

func (w *watermark) now() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watermark) advance(to uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to <= w.at {
		return
	}
	w.at = to
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
}

// reset may go back, when an older snapshot is restored.
func (w *watermark) reset(to uint64) {
	w.mu.Lock()
	w.at = min(w.at, to)
	w.mu.Unlock()
	w.advance(to)
}

func (w *watermark) wait(ctx context.Context, index uint64) error {
	for {
		w.mu.Lock()
		if w.at >= index {
			w.mu.Unlock()
			return nil
		}
		if w.moved == nil {
			w.moved = make(chan struct{})
		}
		moved := w.moved
		w.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
