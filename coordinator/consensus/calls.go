package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"coulisse/protocol"
	"github.com/hashicorp/raft"
)

// Apply has the command executed at every replica and returns what the state
// machine at this one answered, and the command's index, once a majority has it
// on disk. The caller leaves the command's bytes alone from then on.
//
// It fails with [ErrNotLeader], [ErrTooLarge] or [ErrNoRoom] if nothing was done, and with
// [ErrAmbiguous] if leadership was lost, or ctx ended, on the way.
func (n *Node) Apply(ctx context.Context, command []byte) (result any, index uint64, err error) {
	if len(command) > MaxCommand {
		return nil, 0, ErrTooLarge
	}
	if n.room.full() && n.IsLeader() {
		return nil, 0, ErrNoRoom
	}
	r := n.raft.Load()
	if r == nil || r.State() != raft.Leader || !n.gate.enter() {
		return nil, 0, n.notLeader()
	}
	type outcome struct {
		result any
		index  uint64
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer n.gate.leave()
		future := r.Apply(command, n.cfg.Timing.Exchange)
		if err := future.Error(); err != nil {
			done <- outcome{err: err}
			return
		}
		done <- outcome{future.Response(), future.Index(), nil}
	}()
	select {
	case o := <-done:
		return o.result, o.index, n.explain(o.err)
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("%w (%v)", ErrAmbiguous, ctx.Err())
	}
}

// explain sorts raft's errors by what the caller may conclude from them.
func (n *Node) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout): // refused before it reached the log
		return n.notLeader()
	case errors.Is(err, ErrNoRoom): // before it was replicated
		return ErrNoRoom
	default:
		return fmt.Errorf("%w (%v)", ErrAmbiguous, err)
	}
}

func (n *Node) notLeader() error {
	leader, _ := n.Leader()
	if leader.ID == n.cfg.ID { // in transfer, or deposed a moment ago
		leader = Peer{}
	}
	return &NotLeaderError{Leader: leader}
}

// Leader returns the replica that leads, as far as this one knows.
func (n *Node) Leader() (Peer, bool) {
	r := n.raft.Load()
	if r == nil {
		return Peer{}, false
	}
	address, id := r.LeaderWithID()
	return Peer{protocol.ReplicaID(id), Address(address)}, id != ""
}

// IsLeader reports whether this replica leads and has caught up with all
// earlier leaders. It may be deposed without knowing it yet: see [Node.Read].
func (n *Node) IsLeader() bool {
	current, _ := n.leadership.now()
	return current != nil
}

// Read returns once this replica's state machine holds everything that anyone
// was told is done before Read was called. A read of the state after it is
// linearizable. It fails with [ErrNotLeader], or when ctx ends.
//
// Concurrent calls share one exchange with the followers.
func (n *Node) Read(ctx context.Context) error {
	if err := n.awaitReign(ctx); err != nil {
		return err
	}
	r := n.joinRound()
	if r == nil {
		return n.notLeader()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.err != nil {
		return r.err
	}
	return n.machine.applied.wait(ctx, r.index)
}

// awaitReign lets a reader wait out the moment between election and barrier.
func (n *Node) awaitReign(ctx context.Context) error {
	for {
		current, changed := n.leadership.now()
		if current != nil {
			return nil
		}
		if r := n.raft.Load(); r == nil || r.State() != raft.Leader {
			return n.notLeader()
		}
		select {
		case <-changed:
		case <-n.done:
			return n.notLeader()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rounds lets readers share confirmations of leadership. A reader may join the
// next round but not the one under way, which may have begun before its call.
type rounds struct {
	running chan struct{} // holds a token while a round is under way

	mu   sync.Mutex
	next *round
}

// round is one confirmation, valid for those who joined before it began.
type round struct {
	done  chan struct{} // closed when index and err are set
	index uint64
	err   error
}

func (n *Node) joinRound() *round {
	n.rounds.mu.Lock()
	defer n.rounds.mu.Unlock()
	if n.rounds.next == nil {
		if !n.gate.enter() {
			return nil
		}
		n.rounds.next = &round{done: make(chan struct{})}
		go n.runRound(n.rounds.next)
	}
	return n.rounds.next
}

func (n *Node) runRound(r *round) {
	defer n.gate.leave()
	n.rounds.running <- struct{}{}
	defer func() { <-n.rounds.running }()
	n.rounds.mu.Lock()
	n.rounds.next = nil
	n.rounds.mu.Unlock()
	r.index, r.err = n.confirm()
	close(r.done)
}

// confirm returns an index that covers all that was committed, by anyone, before
// it was called: section 6.4 of Ongaro's thesis.
//
// raft's VerifyLeader alone is not enough. It counts the answer to a heartbeat
// that was sent before the question, however long that answer was on its way,
// and the votes of replicas that have none. So its success only ends a turn of
// the loop, and what counts is that a majority of voters accepted requests sent
// since. Each follower can have one old answer on its way, so turns are few.
func (n *Node) confirm() (index uint64, err error) {
	r := n.raft.Load()
	current, _ := n.leadership.now()
	if current == nil || r.CurrentTerm() != current.term {
		return 0, n.notLeader()
	}
	// The reign began with an entry of its own term, so this covers whatever
	// earlier leaders committed.
	index = r.CommitIndex()
	self, since := raft.ServerID(n.cfg.ID), n.acks.tick()
	for {
		if err := r.VerifyLeader().Error(); err != nil {
			return 0, n.notLeader()
		}
		voters := r.GetConfiguration().Configuration().Servers
		if n.acks.confirmed(voters, self, current.term, since) {
			break
		}
	}
	if r.State() != raft.Leader || r.CurrentTerm() != current.term {
		return 0, n.notLeader()
	}
	return index, nil
}
