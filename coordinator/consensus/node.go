package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// fileLog is the log in a replica's folder.
const fileLog = "log.db"

// Node is one replica. All methods may be called from several goroutines; those
// that need a leader answer [ErrNotLeader] before and after Run.
type Node struct {
	cfg Config
	log *slog.Logger

	store   *store
	snaps   *snapshots
	room    *room
	machine *machine
	acks    acknowledgements

	leadership *leadership
	rounds     rounds
	gate       gate
	members    sync.Mutex // one change of replicas at a time

	raft     atomic.Pointer[raft.Raft] // nil before Run
	halted   chan error                // why Halt was called
	ending   atomic.Bool               // Run is stopping raft
	stopping chan struct{}             // closed once raft has stopped
	done     chan struct{}             // closed when Run ends
	fresh    bool                      // the folder held nothing yet
	close    func() error
}

// New opens and verifies the replica's folder. It starts nothing: call Run, or
// Close if it is not to run after all. It returns [ErrCorrupt] for a folder
// that has lost something it had promised to keep.
func New(cfg Config) (*Node, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg:        cfg,
		log:        cfg.Logger.With("replica", string(cfg.ID)),
		machine:    &machine{state: cfg.State},
		leadership: newLeadership(),
		halted:     make(chan error, 1),
		stopping:   make(chan struct{}),
		done:       make(chan struct{}),
	}
	n.rounds.running = make(chan struct{}, 1)
	if err := n.open(); err != nil {
		return nil, fmt.Errorf("open the replica's folder: %w", err)
	}
	n.close = sync.OnceValue(n.store.Close)
	return n, nil
}

func (n *Node) open() error {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return err
	}
	halt := func(reason error) {
		select {
		case n.halted <- reason:
			n.cfg.Halt(reason)
		default: // it halts already, for another reason
		}
	}
	s, err := openStore(filepath.Join(n.cfg.Dir, fileLog), n.cfg.Timing.Write, halt)
	if err != nil {
		return err
	}
	n.store, n.room = s, newRoom(n.cfg.Dir, n.cfg.Free)
	s.full = n.room.full
	s.slow = func(long time.Duration) {
		n.log.Warn("the disk is slow: one write of the log took long", "took", long.Round(time.Millisecond))
	}
	files, err := raft.NewFileSnapshotStoreWithLogger(n.cfg.Dir, retainedSnapshots, newRaftLogger(n.log, &n.ending))
	if err == nil {
		n.snaps = &snapshots{dir: n.cfg.Dir, files: files, settle: n.settle, kin: kin{halt: s.retire}}
		err = n.fitTogether()
	}
	if err != nil {
		s.Close()
	}
	return err
}

// fitTogether verifies the newest snapshot and that the log continues it. It
// finishes, the same way, what a crash interrupted between the two.
func (n *Node) fitTogether() error {
	newest, err := n.snaps.newest()
	if err == nil {
		err = n.store.noted(newest)
	}
	if err != nil {
		return err
	}
	if newest != nil {
		if _, err := n.store.settle(newest.Index, newest.Term); err != nil {
			return err
		}
		return n.store.note(newest.Index)
	}
	first, _ := n.store.FirstIndex()
	n.fresh = first == 0
	n.snaps.kin.empty = n.store.empty
	if first > 1 {
		return fmt.Errorf("the log begins at %d and the snapshot before it is gone: %w", first, ErrCorrupt)
	}
	return nil
}

// errRestart halts a replica whose raft would go on with entries that are gone.
var errRestart = errors.New("a snapshot replaced entries that were never committed: start the replica again")

func (n *Node) settle(index, term uint64) error {
	restart, err := n.store.settle(index, term)
	if err == nil {
		err = n.store.note(index)
	}
	if restart && err == nil {
		n.store.retire(errRestart)
	}
	return err
}

// Close frees the folder of a node that does not run.
func (n *Node) Close() error { return n.close() }

// Run takes part in consensus until ctx ends, then hands leadership over, waits
// for calls under way, and frees the folder. It runs once. It returns early,
// with the reason, if the replica halted and Config.Halt did not end the process.
func (n *Node) Run(ctx context.Context) error {
	defer n.close()
	defer close(n.done)
	trans := newTransport(n.cfg.Streams, n.cfg.Timing.Exchange, &n.acks, newRaftLogger(n.log, &n.ending))
	notices := make(chan bool)
	r, err := n.start(trans, notices)
	if err != nil {
		trans.Close()
		trans.CloseStreams()
		return fmt.Errorf("start consensus: %w", err)
	}
	n.raft.Store(r)
	var following sync.WaitGroup
	following.Go(func() { n.followLeadership(notices) })
	watching, unwatch := context.WithCancel(ctx)
	following.Go(func() { n.keepRoom(watching, r) })
	select {
	case <-ctx.Done():
	case err = <-n.halted:
	}
	unwatch()
	n.stop(r, trans)
	following.Wait()
	return err
}

func (n *Node) start(trans *transport, notices chan<- bool) (*raft.Raft, error) {
	if err := n.found(); err != nil {
		return nil, err
	}
	conf := n.cfg.Timing.settings()
	conf.LocalID = raft.ServerID(n.cfg.ID)
	conf.Logger = newRaftLogger(n.log, &n.ending)
	conf.NotifyCh = notices
	return raft.NewRaft(conf, n.machine, n.store, n.store, n.snaps, trans)
}

// settings are raft's own.
func (t Timing) settings() *raft.Config {
	conf := raft.DefaultConfig()
	conf.HeartbeatTimeout = t.Heartbeat
	conf.ElectionTimeout = t.Election
	conf.LeaderLeaseTimeout = t.Lease
	conf.CommitTimeout = t.Commit
	conf.SnapshotInterval = t.SnapshotCheck
	conf.SnapshotThreshold = t.SnapshotAfter
	conf.TrailingLogs = t.Trailing
	conf.ShutdownOnRemove = false // a removed replica stays, without a vote, until it is stopped
	conf.NoLegacyTelemetry = true
	return conf
}

// found writes the founding list as the first entry, if this folder is new. It
// is the same entry at every founder. A crash halfway leaves a term and no
// entry, which still counts as new; raft's own function would refuse it.
func (n *Node) found() error {
	if !n.fresh || len(n.cfg.Peers) == 0 {
		return nil
	}
	if term, err := n.store.GetUint64([]byte(keyTerm)); err != nil {
		return err
	} else if term == 0 {
		if err := n.store.SetUint64([]byte(keyTerm), 1); err != nil {
			return err
		}
	}
	return n.store.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(configurationOf(n.cfg.Peers))})
}

func configurationOf(peers []Peer) (c raft.Configuration) {
	for _, p := range peers {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address)})
	}
	return c
}

// stop ends raft gently. Its futures do not all resolve once it has shut down,
// so the calls that wait on them come first. They cannot take long: a leader
// without a majority steps down after its lease.
func (n *Node) stop(r *raft.Raft, trans *transport) {
	n.ending.Store(true)
	empty := n.gate.shut()
	if r.State() == raft.Leader {
		if err := r.LeadershipTransfer().Error(); err != nil {
			n.log.Info("leadership was not handed over", "reason", err)
		}
	}
	select {
	case <-empty:
	case <-time.After(n.cfg.Timing.Lease + 5*n.cfg.Timing.Election):
		n.log.Warn("stopping with calls under way")
	}
	stopped := r.Shutdown()
	trans.Close() // ends the exchanges that raft would wait for
	if err := stopped.Error(); err != nil {
		n.log.Error("consensus did not stop cleanly", "error", err)
	}
	trans.CloseStreams()
	trans.silence() // the store is closed next
	close(n.stopping)
}

// gate counts the calls that wait on raft and, once shut, lets no more in.
type gate struct {
	mu     sync.Mutex
	inside int
	empty  chan struct{} // nil while open
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.empty != nil {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.empty != nil {
		close(g.empty)
	}
}

// shut returns a channel that closes when all have left. It is called once.
func (g *gate) shut() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	return g.empty
}
