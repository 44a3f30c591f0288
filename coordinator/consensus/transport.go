package consensus

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// transport is raft's network transport, which also notes when followers
// accepted this replica as leader, for [Node.Read].
type transport struct {
	*raft.NetworkTransport
	acks *acknowledgements

	// beats is held, shared, while a heartbeat is handled. raft does so on the
	// connection's goroutine, which its shutdown does not wait for: one that came
	// with a new term would write it to a store that is closed.
	beats sync.RWMutex
	quiet bool
}

func newTransport(streams StreamLayer, limit time.Duration, acks *acknowledgements, log *raftLogger) *transport {
	return &transport{acks: acks, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  raftStreams{streams},
		MaxPool: 3,
		Timeout: limit,
		Logger:  log.Named("net"),
	})}
}

// SetHeartbeatHandler implements raft.Transport.
func (t *transport) SetHeartbeatHandler(handle func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) { t.beat(rpc, handle) })
}

func (t *transport) beat(rpc raft.RPC, handle func(raft.RPC)) {
	t.beats.RLock()
	defer t.beats.RUnlock()
	if t.quiet {
		rpc.Respond(&raft.AppendEntriesResponse{}, raft.ErrTransportShutdown)
		return
	}
	handle(rpc)
}

// silence waits for heartbeats under way, and lets none through afterwards.
func (t *transport) silence() {
	t.beats.Lock()
	defer t.beats.Unlock()
	t.quiet = true
}

// AppendEntries sends entries or, without any, a heartbeat.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress,
	args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	began := t.acks.tick()
	err := t.NetworkTransport.AppendEntries(id, target, args, resp)
	if err == nil && resp.Success && resp.Term == args.Term {
		t.acks.record(id, acknowledgement{args.Term, began})
	}
	return err
}

// AppendEntriesPipeline has raft send a follower one request after the other.
// Its pipeline can wait for itself for ever, once a follower has refused: the
// follower hears heartbeats and gets no more entries, and raft never stops.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// raftStreams puts raft's type of address on a StreamLayer.
type raftStreams struct{ StreamLayer }

func (s raftStreams) Dial(to raft.ServerAddress, limit time.Duration) (net.Conn, error) {
	return s.StreamLayer.Dial(Address(to), limit)
}

// acknowledgements holds, for each follower, when the latest request that it
// accepted was sent. Times are ticks of a counter, so that none are equal.
type acknowledgements struct {
	clock atomic.Uint64

	mu     sync.Mutex
	latest map[raft.ServerID]acknowledgement
}

type acknowledgement struct{ term, began uint64 }

func (a *acknowledgements) tick() uint64 { return a.clock.Add(1) }

func (a *acknowledgements) record(id raft.ServerID, ack acknowledgement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest == nil {
		a.latest = map[raft.ServerID]acknowledgement{}
	}
	old := a.latest[id]
	if ack.term > old.term || ack.term == old.term && ack.began > old.began {
		a.latest[id] = ack
	}
}

// confirmed reports whether a majority of the voters, self being one, accepted
// self as the leader of that term by requests sent after since.
func (a *acknowledgements) confirmed(servers []raft.Server, self raft.ServerID, term, since uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	voters, accept := 0, 0
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		ack := a.latest[s.ID]
		if s.ID == self || ack.term == term && ack.began > since {
			accept++
		}
	}
	return accept > voters/2
}
