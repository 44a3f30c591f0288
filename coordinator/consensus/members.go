package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"coulisse/protocol"
	"github.com/hashicorp/raft"
)

// ErrMembers: a change of replicas was refused, and the error says what is in its way.
var ErrMembers = errors.New("the list of replicas was not changed")

// Admit adds a replica that starts from an empty folder, without a vote; the
// leader brings it up to date. Identifiers are permanent: a machine that lost
// its folder comes back under a new one, after the old one was removed. Only
// the leader can do it.
func (n *Node) Admit(ctx context.Context, p Peer) error {
	if err := p.ID.Check(); err != nil {
		return fmt.Errorf("admit a replica: %w", err)
	}
	return n.change(ctx, func(r *raft.Raft, servers []raft.Server, limit time.Duration) (raft.IndexFuture, error) {
		for _, s := range servers {
			if s.ID == raft.ServerID(p.ID) || s.Address == raft.ServerAddress(p.Address) {
				return nil, fmt.Errorf("%w: that identifier or address belongs to a replica, remove that one first", ErrMembers)
			}
		}
		return r.AddNonvoter(raft.ServerID(p.ID), raft.ServerAddress(p.Address), 0, limit), nil
	})
}

// Promote gives an admitted replica its vote. Wait until its [Status] shows
// that it has caught up: until then its vote only slows the others down.
func (n *Node) Promote(ctx context.Context, id protocol.ReplicaID) error {
	return n.change(ctx, func(r *raft.Raft, servers []raft.Server, limit time.Duration) (raft.IndexFuture, error) {
		for _, s := range servers {
			if s.ID == raft.ServerID(id) {
				return r.AddVoter(s.ID, s.Address, 0, limit), nil
			}
		}
		return nil, fmt.Errorf("%w: admit the replica first", ErrMembers)
	})
}

// Remove ends a replica's part in consensus, for good.
func (n *Node) Remove(ctx context.Context, id protocol.ReplicaID) error {
	return n.change(ctx, func(r *raft.Raft, servers []raft.Server, limit time.Duration) (raft.IndexFuture, error) {
		for _, s := range servers {
			if s.ID == raft.ServerID(id) {
				return r.RemoveServer(s.ID, 0, limit), nil
			}
		}
		return nil, fmt.Errorf("%w: it names no such replica", ErrMembers)
	})
}

type memberChange func(*raft.Raft, []raft.Server, time.Duration) (raft.IndexFuture, error)

// change looks at the list as of now and changes it, one change at a time.
func (n *Node) change(ctx context.Context, change memberChange) error {
	if err := n.Read(ctx); err != nil {
		return err
	}
	n.members.Lock()
	defer n.members.Unlock()
	if !n.gate.enter() {
		return n.notLeader()
	}
	defer n.gate.leave()
	r := n.raft.Load()
	future, err := change(r, r.GetConfiguration().Configuration().Servers, n.cfg.Timing.Exchange)
	if err != nil {
		return err
	}
	return n.explain(future.Error())
}

// HandOver gives leadership to another replica that votes.
func (n *Node) HandOver() error {
	if !n.gate.enter() {
		return n.notLeader()
	}
	defer n.gate.leave()
	return n.explain(n.raft.Load().LeadershipTransfer().Error())
}
