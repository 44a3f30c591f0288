package coordinator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// leadership is consensus in the words of the packages that use it: its errors
// become refusals that a node understands. A replica whose clock the others do
// not share leads nothing: it hands over.
type leadership struct {
	node  *consensus.Node
	clock *clock
	// reign is the context of the last leadership of this replica.
	reign atomic.Pointer[context.Context]
}

// run keeps the clock, and does the leader's duty whenever this replica leads,
// until ctx ends. It calls leave after each leadership.
func (l *leadership) run(ctx context.Context, duty func(context.Context), leave func()) {
	var keeping sync.WaitGroup
	defer keeping.Wait()
	keeping.Go(func() { l.clock.keep(ctx) })
	l.node.RunAsLeader(ctx, func(reign context.Context) {
		for reign.Err() == nil {
			if l.clock.refresh(reign, clockAge); !l.clock.doubt() {
				l.rule(reign, duty)
				leave()
				continue
			}
			// It may fail, or come back: nobody else is there, or all doubt.
			_ = l.node.HandOver()
			select {
			case <-reign.Done():
			case <-time.After(clockTick):
			}
		}
	})
}

// rule does the duty until the reign ends, or this replica's clock is doubted.
func (l *leadership) rule(reign context.Context, duty func(context.Context)) {
	ctx, cancel := context.WithCancel(reign)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		timer := time.NewTicker(clockTick)
		defer timer.Stop()
		for !l.clock.doubt() {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		cancel()
	})
	l.reign.Store(&ctx)
	duty(ctx)
}

// Apply implements sequencer.Consensus. Whatever is applied bears a time, so
// only a leader with a clock that counts does.
func (l *leadership) Apply(ctx context.Context, command []byte) (any, error) {
	if _, err := l.Lead(); err != nil {
		return nil, err
	}
	result, _, err := l.node.Apply(ctx, command)
	return result, explain(err)
}

// Read implements sequencer.Consensus.
func (l *leadership) Read(ctx context.Context) error { return explain(l.node.Read(ctx)) }

// Lead implements rpc.Leadership.
func (l *leadership) Lead() (context.Context, error) {
	if reign := l.reign.Load(); reign != nil && (*reign).Err() == nil && !l.clock.doubt() {
		return *reign, nil
	}
	s := l.node.Status()
	if s.Leader.ID == s.Self.ID { // about to lead, or deposed a moment ago
		return nil, refusal.NotLeader{}
	}
	return nil, refusal.NotLeader{Address: string(s.Leader.Address)}
}

// Describe implements rpc.Leadership.
func (l *leadership) Describe(reply *wire.StatusReply) {
	s := l.node.Status()
	reply.State, reply.Leader, reply.LeaderAddress = s.Role, string(s.Leader.ID), string(s.Leader.Address)
	reply.NoRoom, reply.LogMs = s.NoRoom, l.clock.now().UnixMilli()
	reply.Term, reply.CommitIndex, reply.AppliedIndex = s.Term, s.Commit, s.Applied
}

func explain(err error) error {
	var notLeader *consensus.NotLeaderError
	switch {
	case errors.As(err, &notLeader):
		return refusal.NotLeader{Address: string(notLeader.Leader.Address)}
	case errors.Is(err, consensus.ErrNoRoom):
		return protocol.Refuse(refusal.ErrFull,
			"le disque du coordonnateur est presque plein; rien n'est perdu, le bureau doit faire de la place, et tout reprendra seul",
			"the coordinator's disk is nearly full; nothing is lost, the office has to make room, and all goes on by itself")
	case errors.Is(err, consensus.ErrAmbiguous):
		return refusal.ErrUnavailable
	}
	return err
}
