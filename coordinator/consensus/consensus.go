// Package consensus keeps the coordinator's replicas in agreement. Commands go
// in at the leader, come out in one order at every replica, and a command that
// was acknowledged survives the loss of a minority of replicas and of power.
//
// It is the one gateway to hashicorp/raft and to bbolt: a [Node] drives a
// [StateMachine], and a [Mux] shares the coordinator's port between raft and
// gRPC (protocol.md, section 7). It knows nothing of what a command means, who
// may issue it, or what a member is; and it carries facts to be agreed on, never
// uploads or other bulk. DESIGN.md says what is promised and why it holds.
package consensus

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"coulisse/protocol"
)

// MaxCommand bounds a command, in bytes. A larger one would hold up heartbeats.
const MaxCommand = 512 << 10

// StateMachine is the replicated state, driven one call at a time.
//
// Apply and Restore may run while callers read the state, so it does its own
// locking for readers. A panic in any method ends the process, on purpose: a
// replica that cannot follow the others must not guess.
type StateMachine interface {
	// Apply executes the command at that index of the log. It is deterministic:
	// no clock, no randomness, no configuration. It panics on a command it
	// cannot decode. What it returns is handed to the caller of [Node.Apply]
	// and must not be an alias of state that later commands change.
	Apply(index uint64, command []byte) any

	// Snapshot returns a consistent copy of the state, for [StateMachine.Restore].
	Snapshot() ([]byte, error)

	// Restore replaces the whole state by a snapshot. It builds the new state
	// aside and swaps it in only when r was read to its end without error.
	// Indexes seen since that snapshot may be applied again afterwards.
	Restore(r io.Reader) error
}

// StreamLayer carries raft between replicas; [Streams] is the one in use.
type StreamLayer interface {
	// Listener accepts connections of authorised replicas. Its Addr is the
	// address under which the others dial this replica. Close also ends the
	// connections that it accepted and dialled.
	net.Listener

	// Dial opens a connection to an authorised replica within the timeout.
	Dial(to Address, timeout time.Duration) (net.Conn, error)
}

// Address is where a replica is dialled, as host:port. The same port answers gRPC.
type Address string

// Peer is a replica and where to find it.
type Peer struct {
	ID      protocol.ReplicaID `json:"id"`
	Address Address            `json:"address"`
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotLeader: nothing was done, because another replica leads or none
	// does. The error is a [*NotLeaderError]; try the leader that it names.
	ErrNotLeader = errors.New("this replica does not lead")

	// ErrAmbiguous: the command may or may not take effect. Ask again with the
	// same request identifier, so that the state machine recognises it.
	ErrAmbiguous = errors.New("the command's outcome is unknown: send it again under the same request identifier")

	// ErrTooLarge: nothing was done, because the command exceeds [MaxCommand].
	ErrTooLarge = fmt.Errorf("a command has at most %d bytes", MaxCommand)

	// ErrCorrupt: what the disk holds is not what was written there. The
	// replica must not run on it: remove it from the federation's coordinator,
	// clear its folder, and admit it again under a new identifier.
	ErrCorrupt = errors.New("the replica's folder is damaged: remove this replica and admit it anew under another identifier")

	// ErrInUse: the replica runs on this folder already. Stop it first.
	ErrInUse = errors.New("another process uses the replica's log, stop that one first")

	// ErrHalted: a write failed or hung, and the process is about to end.
	ErrHalted = errors.New("the replica's disk can no longer be trusted")
)

// NotLeaderError is an [ErrNotLeader] that says who leads.
type NotLeaderError struct {
	Leader Peer // zero while there is none, for instance during an election
}

func (e *NotLeaderError) Error() string {
	if e.Leader.ID == "" {
		return ErrNotLeader.Error() + ", and no leader is known yet: try again shortly"
	}
	return fmt.Sprintf("%v: ask %s at %s", ErrNotLeader, e.Leader.ID, e.Leader.Address)
}

// Is makes every NotLeaderError an [ErrNotLeader].
func (e *NotLeaderError) Is(target error) bool { return target == ErrNotLeader }

// Config is what a [Node] needs.
type Config struct {
	ID      protocol.ReplicaID // permanent, never given to another machine
	Dir     string             // belongs to this replica alone; losing it is losing the replica
	Streams StreamLayer
	State   StateMachine
	Logger  *slog.Logger // slog.Default() if nil

	// Peers founds a new coordinator: the same list, with this replica in it, at
	// every founder. It counts only while Dir is empty. Leave it out afterwards
	// and for a replica that is to be admitted: a founder that lost its folder
	// and came back with this list would have forgotten its votes.
	Peers []Peer

	// Halt is called once when a write failed or hung, or a read found damage.
	// It must end the process: raft elects no other leader while this one
	// seems alive. The default logs and exits.
	Halt func(reason error)

	Timing Timing

	// Free tells how many bytes the folder's disk has left, if that is known; it
	// is asked of the system if nil.
	Free func() (bytes uint64, known bool)
}

// Timing has usable defaults for replicas in different cities.
type Timing struct {
	Heartbeat time.Duration // without a leader for that long, stand for election; 1 s
	Election  time.Duration // how long an election may take before the next; 1 s
	Lease     time.Duration // a leader that cannot reach a majority steps down; 500 ms
	Commit    time.Duration // after which followers learn of the last commit, or up to twice that; 20 ms
	Exchange  time.Duration // one request and answer between replicas; 10 s
	Write     time.Duration // a write that takes longer halts the replica; 10 s

	SnapshotCheck time.Duration // how often to consider a snapshot; 2 min
	SnapshotAfter uint64        // take one once the log grew by this many entries; 8192
	Trailing      uint64        // entries kept behind a snapshot, for slow followers; 10240
}

func (t Timing) withDefaults() Timing {
	return Timing{
		Heartbeat:     cmp.Or(t.Heartbeat, time.Second),
		Election:      cmp.Or(t.Election, time.Second),
		Lease:         cmp.Or(t.Lease, 500*time.Millisecond),
		Commit:        cmp.Or(t.Commit, 20*time.Millisecond),
		Exchange:      cmp.Or(t.Exchange, 10*time.Second),
		Write:         cmp.Or(t.Write, 10*time.Second),
		SnapshotCheck: cmp.Or(t.SnapshotCheck, 2*time.Minute),
		SnapshotAfter: cmp.Or(t.SnapshotAfter, 8192),
		Trailing:      cmp.Or(t.Trailing, 10240),
	}
}

func (c Config) checked() (Config, error) {
	if err := c.ID.Check(); err != nil {
		return c, fmt.Errorf("consensus: %w", err)
	}
	if c.Dir == "" || c.Streams == nil || c.State == nil {
		return c, errors.New("consensus: a replica needs a folder, a stream layer and a state machine")
	}
	if err := checkFounders(c.Peers, c.ID); err != nil {
		return c, err
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Halt == nil {
		log := c.Logger
		c.Halt = func(reason error) {
			log.Error("replica halts", "reason", reason)
			os.Exit(1)
		}
	}
	c.Timing = c.Timing.withDefaults()
	return c, nil
}

func checkFounders(peers []Peer, self protocol.ReplicaID) error {
	ids, addresses := map[protocol.ReplicaID]bool{}, map[Address]bool{}
	for _, p := range peers {
		if err := p.ID.Check(); err != nil {
			return fmt.Errorf("consensus: founding list: %w", err)
		}
		if p.Address == "" || ids[p.ID] || addresses[p.Address] {
			return errors.New("consensus: the founding list names each replica and each address once")
		}
		ids[p.ID], addresses[p.Address] = true, true
	}
	if len(peers) > 0 && !ids[self] {
		return errors.New("consensus: the founding list must name this replica")
	}
	return nil
}
