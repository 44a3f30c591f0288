package consensus

import (
	"strings"
	"time"

	"coulisse/protocol"
	"github.com/hashicorp/raft"
)

// Status is a replica as it sees itself, for the operator.
type Status struct {
	Self     Peer     `json:"self"`
	Role     string   `json:"role"` // leader, follower, candidate or stopped
	Leader   Peer     `json:"leader"`
	Term     uint64   `json:"term"`
	First    uint64   `json:"first_index"` // of the log kept on disk
	Last     uint64   `json:"last_index"`
	Commit   uint64   `json:"commit_index"`   // agreed on, as far as this replica knows
	Applied  uint64   `json:"applied_index"`  // last command in the state machine
	Snapshot uint64   `json:"snapshot_index"` // covered by the newest snapshot
	Members  []Member `json:"members"`
	Silence  string   `json:"silence,omitempty"` // since the leader was last heard
	Free     uint64   `json:"free_bytes"`        // on the folder's disk
	NoRoom   bool     `json:"no_room,omitempty"` // it takes no entries until there is more
}

// Member is a replica in the list that consensus goes by.
type Member struct {
	Peer
	Votes bool `json:"votes"`
}

// Status never waits for other replicas.
func (n *Node) Status() Status {
	s := Status{Self: Peer{n.cfg.ID, Address(n.cfg.Streams.Addr().String())}, Role: "stopped", Free: n.room.left.Load(), NoRoom: n.room.full()}
	r := n.raft.Load()
	if r == nil {
		return s
	}
	state := r.State()
	if state != raft.Shutdown {
		s.Role = strings.ToLower(state.String())
	}
	s.Leader, _ = n.Leader()
	s.Term = r.CurrentTerm()
	s.First, _ = n.store.FirstIndex()
	s.Last, s.Commit, s.Applied = r.LastIndex(), r.CommitIndex(), n.machine.applied.now()
	if all, err := n.snaps.List(); err == nil && len(all) > 0 {
		s.Snapshot = all[0].Index
	}
	for _, m := range r.GetConfiguration().Configuration().Servers {
		s.Members = append(s.Members, Member{Peer{protocol.ReplicaID(m.ID), Address(m.Address)}, m.Suffrage == raft.Voter})
	}
	if heard := r.LastContact(); state != raft.Leader && !heard.IsZero() {
		s.Silence = time.Since(heard).Round(time.Millisecond).String()
	}
	return s
}

// SlowestWrite is the longest write to disk since it was last asked for.
func (n *Node) SlowestWrite() time.Duration { return time.Duration(n.store.slowest.Swap(0)) }
