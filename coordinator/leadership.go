package coordinator

import (
	"context"
	"errors"
	"sync/atomic"

	"coulisse/coordinator/consensus"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// leadership is consensus in the words of the packages that use it: its errors
// become refusals that a node understands.
type leadership struct {
	node *consensus.Node
	// reign is the context of the last leadership of this replica.
	reign atomic.Pointer[context.Context]
}

// run does the leader's duty whenever this replica leads, until ctx ends, and
// calls leave after each leadership.
func (l *leadership) run(ctx context.Context, duty func(context.Context), leave func()) {
	l.node.RunAsLeader(ctx, func(reign context.Context) {
		l.reign.Store(&reign)
		duty(reign)
		leave()
	})
}

// Apply implements sequencer.Consensus.
func (l *leadership) Apply(ctx context.Context, command []byte) (any, error) {
	result, _, err := l.node.Apply(ctx, command)
	return result, explain(err)
}

// Read implements sequencer.Consensus.
func (l *leadership) Read(ctx context.Context) error { return explain(l.node.Read(ctx)) }

// Lead implements rpc.Leadership.
func (l *leadership) Lead() (context.Context, error) {
	if reign := l.reign.Load(); reign != nil && (*reign).Err() == nil {
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
	reply.Term, reply.CommitIndex, reply.AppliedIndex = s.Term, s.Commit, s.Applied
}

func explain(err error) error {
	var notLeader *consensus.NotLeaderError
	switch {
	case errors.As(err, &notLeader):
		return refusal.NotLeader{Address: string(notLeader.Leader.Address)}
	case errors.Is(err, consensus.ErrAmbiguous):
		return refusal.ErrUnavailable
	}
	return err
}
