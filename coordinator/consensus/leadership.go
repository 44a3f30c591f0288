package consensus

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// reign is one uninterrupted leadership of this replica, from the moment when
// the state machine holds all that earlier leaders committed.
type reign struct {
	term uint64
	ctx  context.Context // ends with it
}

// leadership says which reign is on and lets callers wait for the next.
type leadership struct {
	mu      sync.Mutex
	current *reign        // nil while another replica leads, or before the barrier
	changed chan struct{} // closed at the next change
}

func newLeadership() *leadership { return &leadership{changed: make(chan struct{})} }

func (l *leadership) now() (current *reign, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.changed
}

// begin starts a reign, unless it has ended already.
func (l *leadership) begin(r *reign) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.ctx.Err() == nil {
		l.set(r)
	}
}

// end ends whatever reign is on; cancel is of its context.
func (l *leadership) end(cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cancel()
	l.set(nil)
}

func (l *leadership) set(r *reign) {
	l.current = r
	close(l.changed)
	l.changed = make(chan struct{})
}

// RunAsLeader runs a duty of the leader at this replica whenever it leads: after
// the state machine has caught up with all earlier leaders, once a leadership,
// with a context that ends with it. It returns when ctx or the node's Run ends.
//
// A leader learns late that it was deposed, so two replicas may run the duty at
// once. What the duty does through [Node.Apply] is safe even then.
func (n *Node) RunAsLeader(ctx context.Context, duty func(context.Context)) {
	for {
		current, changed := n.leadership.now()
		if current == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			case <-n.done:
				return
			}
		}
		during(ctx, current, duty)
		select {
		case <-current.ctx.Done():
		case <-ctx.Done():
			return
		}
	}
}

// during runs the duty with a context that ends with ctx and with the reign.
func during(ctx context.Context, r *reign, duty func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	duty(ctx)
}

// followLeadership turns raft's notices into reigns. raft waits for it to take
// each notice, so it never blocks on raft itself.
func (n *Node) followLeadership(notices <-chan bool) {
	var work sync.WaitGroup
	defer work.Wait()
	abdicate := func() {}
	defer func() { abdicate() }()
	for {
		select {
		case leads := <-notices:
			abdicate()
			abdicate = func() {}
			if leads {
				ctx, cancel := context.WithCancel(context.Background())
				work.Go(func() { n.ascend(ctx) })
				abdicate = func() { n.leadership.end(cancel) }
			}
		case <-n.stopping:
			return
		}
	}
}

// ascend starts a reign once a barrier of this term has passed the state machine.
func (n *Node) ascend(ctx context.Context) {
	for ctx.Err() == nil && n.gate.enter() {
		term, index, err := n.barrier()
		n.gate.leave()
		if err == nil {
			n.machine.applied.advance(index)
			n.leadership.begin(&reign{term, ctx})
			return
		}
		n.log.Info("leader waits to catch up", "reason", err)
		select { // for instance, a transfer of leadership that has not succeeded
		case <-time.After(n.cfg.Timing.Heartbeat):
		case <-ctx.Done():
		}
	}
}

// barrier returns the term in which, as its leader, this replica committed an
// entry, and the index up to which its state machine has executed everything.
func (n *Node) barrier() (term, index uint64, err error) {
	r := n.raft.Load()
	term = r.CurrentTerm()
	passed := r.Barrier(n.cfg.Timing.Exchange)
	if err := passed.Error(); err != nil {
		return 0, 0, err
	}
	// Terms only grow, and the barrier was appended and committed by this
	// leader between two looks at the same term: so it is an entry of that term.
	if r.CurrentTerm() != term {
		return 0, 0, raft.ErrLeadershipLost
	}
	return term, passed.(raft.IndexFuture).Index(), nil
}
