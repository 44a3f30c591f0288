package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coulisse/protocol"
	"github.com/hashicorp/raft"
)

// ledger is a state machine that remembers every command.
type ledger struct {
	mu      sync.Mutex
	entries []ledgerEntry
}

type ledgerEntry struct {
	Index   uint64
	Command string
}

func (l *ledger) Apply(index uint64, command []byte) any {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, ledgerEntry{index, string(command)})
	return len(l.entries)
}

func (l *ledger) Snapshot() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.Marshal(l.entries)
}

func (l *ledger) Restore(r io.Reader) error {
	var entries []ledgerEntry
	if err := json.NewDecoder(r).Decode(&entries); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = entries
	return nil
}

func (l *ledger) commands() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		all = append(all, e.Command)
	}
	return all
}

func (l *ledger) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return ""
	}
	return l.entries[len(l.entries)-1].Command
}

// cluster is three replicas in one process, on a network that can fail.
type cluster struct {
	t     *testing.T
	net   *network
	dir   string
	peers []Peer
	tune  func(*Config)

	mu    sync.Mutex // only the test's own goroutine writes, so it reads without
	nodes map[protocol.ReplicaID]*replica
}

// replica is a running Node.
type replica struct {
	*Node
	ledger *ledger
	cancel context.CancelFunc
	ended  chan struct{}
}

func newCluster(t *testing.T, size int, tune func(*Config)) *cluster {
	c := &cluster{t: t, net: newNetwork(), dir: t.TempDir(), nodes: map[protocol.ReplicaID]*replica{}, tune: tune}
	for i := range size {
		id := protocol.ReplicaID(fmt.Sprintf("replica-%c", 'a'+i))
		c.peers = append(c.peers, Peer{id, Address(id + ":1")})
	}
	for _, p := range c.peers {
		c.start(p, c.peers)
	}
	return c
}

func (c *cluster) start(p Peer, founders []Peer) *replica {
	c.t.Helper()
	state := &ledger{}
	cfg := Config{
		ID: p.ID, Dir: filepath.Join(c.dir, string(p.ID)), Streams: c.net.listen(p.Address), State: state,
		Peers: founders, Logger: slog.New(slog.DiscardHandler),
		Halt: func(reason error) { c.t.Errorf("%s halted: %v", p.ID, reason) },
	}
	if c.tune != nil {
		c.tune(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &replica{n, state, cancel, make(chan struct{})}
	go func() {
		defer close(r.ended)
		if err := n.Run(ctx); err != nil && !errors.Is(err, errRestart) && !errors.Is(err, ErrLineage) {
			c.t.Errorf("%s: %v", p.ID, err)
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[p.ID] = r
	return r
}

func (c *cluster) node(id protocol.ReplicaID) *replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

func (c *cluster) stop(r *replica) {
	r.cancel()
	<-r.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nodes, r.cfg.ID)
}

// kill stops a replica that cannot say goodbye.
func (c *cluster) kill(r *replica) {
	c.net.isolate(c.address(r), c.peers)
	c.stop(r)
	c.net.join(c.address(r), c.peers)
}

func (c *cluster) stopAll() {
	for _, r := range c.nodes {
		r.cancel()
	}
	for _, r := range c.nodes {
		c.stop(r)
	}
}

func (c *cluster) address(r *replica) Address { return Address(r.cfg.Streams.Addr().String()) }

func (c *cluster) isolate(r *replica) { c.net.isolate(c.address(r), c.peers) }
func (c *cluster) join(r *replica)    { c.net.join(c.address(r), c.peers) }

// leader waits for a leader among the replicas given, all by default.
func (c *cluster) leader(among ...*replica) (leader *replica) {
	c.t.Helper()
	if among == nil {
		for _, r := range c.nodes {
			among = append(among, r)
		}
	}
	c.await("a leader", func() bool {
		for _, r := range among {
			if r.IsLeader() {
				leader = r
				return true
			}
		}
		return false
	})
	return leader
}

func (c *cluster) others(than *replica) (others []*replica) {
	for _, r := range c.nodes {
		if r != than {
			others = append(others, r)
		}
	}
	return others
}

// await polls a condition; inside a synctest bubble the clock is not the wall's.
func (c *cluster) await(what string, condition func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !condition() {
		if time.Now().After(deadline) {
			for _, r := range c.nodes {
				c.t.Logf("%+v", r.Status())
			}
			c.t.Fatalf("no %s within a minute", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (c *cluster) apply(r *replica, command string) {
	c.t.Helper()
	if _, _, err := r.Apply(c.t.Context(), []byte(command)); err != nil {
		c.t.Fatalf("apply %q: %v", command, err)
	}
}

// converge waits until all replicas hold the same commands, and returns them.
func (c *cluster) converge() []string {
	c.t.Helper()
	var want []string
	leader := c.leader()
	if err := leader.Read(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	want = leader.ledger.commands()
	c.await("agreement", func() bool {
		for _, r := range c.nodes {
			if !slices.Equal(r.ledger.commands(), want) {
				return false
			}
		}
		return true
	})
	return want
}

func TestElectionApplyAndFollowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		defer c.stopAll()
		leader := c.leader()
		result, index, err := leader.Apply(t.Context(), []byte("one"))
		if err != nil || result != 1 || index == 0 {
			t.Fatalf("Apply = %v, %d, %v", result, index, err)
		}
		c.apply(leader, "two")
		if got := c.converge(); !slices.Equal(got, []string{"one", "two"}) {
			t.Fatalf("commands %q", got)
		}
		for _, f := range c.others(leader) {
			_, _, err := f.Apply(t.Context(), []byte("three"))
			var refused *NotLeaderError
			if !errors.As(err, &refused) || !errors.Is(err, ErrNotLeader) {
				t.Fatalf("a follower answered %v", err)
			}
			if want := (Peer{leader.cfg.ID, c.address(leader)}); refused.Leader != want {
				t.Errorf("the follower names %+v, the leader is %+v", refused.Leader, want)
			}
			if err := f.Read(t.Context()); !errors.Is(err, ErrNotLeader) {
				t.Errorf("Read at a follower: %v", err)
			}
		}
		if _, _, err := leader.Apply(t.Context(), make([]byte, MaxCommand+1)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a large command: %v", err)
		}
	})
}

func TestLosingTheLeaderLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		defer c.stopAll()
		var want []string
		for round := range 4 {
			leader := c.leader()
			for i := range 5 {
				want = append(want, fmt.Sprint(round, i))
				c.apply(leader, want[len(want)-1])
			}
			c.kill(leader)
			c.leader()
			c.start(Peer{leader.cfg.ID, c.address(leader)}, c.peers)
		}
		if got := c.converge(); !slices.Equal(got, want) {
			t.Fatalf("acknowledged %q, kept %q", want, got)
		}
	})
}

func TestRestartOfAllKeepsWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		var want []string
		for range 3 {
			leader := c.leader()
			for range 10 {
				want = append(want, fmt.Sprint(len(want)))
				c.apply(leader, want[len(want)-1])
			}
			c.stopAll()
			for _, p := range c.peers {
				c.start(p, nil)
			}
		}
		defer c.stopAll()
		if got := c.converge(); !slices.Equal(got, want) {
			t.Fatalf("acknowledged %q, kept %q", want, got)
		}
	})
}

func smallSnapshots(cfg *Config) {
	cfg.Timing.SnapshotCheck = time.Second
	cfg.Timing.SnapshotAfter = 20
	cfg.Timing.Trailing = 5
}

func TestLaggingReplicaTakesASnapshotIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, smallSnapshots)
		defer c.stopAll()
		leader := c.leader()
		c.apply(leader, "before")
		c.converge()
		lagging := c.others(leader)[0]
		c.isolate(lagging)
		want := []string{"before"}
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			c.apply(leader, want[len(want)-1])
		}
		c.await("a compacted log", func() bool { return leader.Status().First > lagging.Status().Last })
		c.join(lagging)
		if got := c.converge(); !slices.Equal(got, want) {
			t.Fatalf("acknowledged %q, kept %q", want, got)
		}
		if s := lagging.Status(); s.Snapshot == 0 {
			t.Fatalf("it caught up without a snapshot: %+v", s)
		}
		// What it took in must serve it as well as its own.
		c.stop(lagging)
		c.start(Peer{lagging.cfg.ID, c.address(lagging)}, nil)
		c.apply(c.leader(), "after")
		c.converge()
	})
}

// TestUncommittedTailGivesWay has a leader cut off with entries of its own that
// reach beyond the snapshot it gets afterwards.
func TestUncommittedTailGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		halted := make(chan protocol.ReplicaID, 1)
		c := newCluster(t, 3, func(cfg *Config) {
			smallSnapshots(cfg)
			id := cfg.ID
			cfg.Halt = func(error) { halted <- id }
		})
		defer c.stopAll()
		old := c.leader()
		c.apply(old, "before")
		c.converge()
		c.isolate(old)
		var lost sync.WaitGroup
		for i := range 200 {
			lost.Go(func() {
				if _, _, err := old.Apply(t.Context(), fmt.Append(nil, "lost ", i)); err == nil {
					t.Error("acknowledged without a majority")
				}
			})
		}
		lost.Wait()
		next := c.leader(c.others(old)...)
		want := []string{"before"}
		for i := range 80 {
			want = append(want, fmt.Sprint(i))
			c.apply(next, want[len(want)-1])
		}
		c.await("a compacted log", func() bool { return next.Status().First > 10 })
		if old.Status().Last < next.Status().Snapshot {
			t.Fatal("the tail is too short to be in the way")
		}
		c.join(old)
		if id := <-halted; id != old.cfg.ID {
			t.Fatalf("%s halted", id)
		}
		<-old.ended
		c.start(Peer{old.cfg.ID, c.address(old)}, nil)
		if got := c.converge(); !slices.Equal(got, want) {
			t.Fatalf("acknowledged %q, kept %q", want, got)
		}
	})
}

// TestShutdownAnswersEveryCall stops a leader in the middle of its work. A call
// left without an answer would keep the bubble from ending.
func TestShutdownAnswersEveryCall(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 1, nil)
			leader := c.leader()
			var calls sync.WaitGroup
			for i := range 300 {
				calls.Go(func() {
					var err error
					if i%3 == 0 {
						err = leader.Read(t.Context())
					} else {
						_, _, err = leader.Apply(t.Context(), []byte("x"))
					}
					if err != nil && !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrAmbiguous) {
						t.Error(err)
					}
				})
			}
			c.stopAll()
			calls.Wait()
			if _, _, err := leader.Apply(t.Context(), []byte("x")); !errors.Is(err, ErrNotLeader) {
				t.Errorf("after Run ended: %v", err)
			}
		})
	}
}

func TestDutiesFollowLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var duties sync.WaitGroup
		began := make(chan protocol.ReplicaID, 10)
		ended := make(chan protocol.ReplicaID, 10)
		for _, r := range c.nodes {
			duties.Go(func() {
				r.RunAsLeader(ctx, func(ctx context.Context) {
					if r.machine.applied.now() == 0 {
						t.Error("the duty began before the barrier")
					}
					began <- r.cfg.ID
					<-ctx.Done()
					ended <- r.cfg.ID
				})
			})
		}
		first := c.leader()
		if got := <-began; got != first.cfg.ID {
			t.Fatalf("%s began, %s leads", got, first.cfg.ID)
		}
		c.isolate(first)
		if got := <-ended; got != first.cfg.ID {
			t.Fatalf("%s ended instead of %s", got, first.cfg.ID)
		}
		second := <-began
		if second == first.cfg.ID {
			t.Fatal("a replica without a majority went on leading")
		}
		c.join(first)
		c.stopAll()
		cancel()
		duties.Wait()
	})
}

func TestShutdownHandsLeadershipOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Followers so patient that only a hand-over is quick.
		c := newCluster(t, 3, func(cfg *Config) { cfg.Timing.Heartbeat, cfg.Timing.Election = 20*time.Second, 20*time.Second })
		defer c.stopAll()
		leader := c.leader()
		began := time.Now()
		c.stop(leader)
		next := c.leader()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the next leader took %v", took)
		}
		c.apply(next, "on")
	})
}

func TestReplicasComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, smallSnapshots)
		defer c.stopAll()
		leader := c.leader()
		for i := range 60 {
			c.apply(leader, fmt.Sprint(i))
		}
		fresh := Peer{"replica-d", "replica-d:1"}
		for _, bad := range []Peer{{"replica-d", c.peers[0].Address}, {c.peers[0].ID, "elsewhere:1"}} {
			if err := leader.Admit(t.Context(), bad); !errors.Is(err, ErrMembers) {
				t.Errorf("Admit(%+v) = %v", bad, err)
			}
		}
		if err := leader.Admit(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
		c.start(fresh, nil)
		c.converge()
		if err := leader.Promote(t.Context(), fresh.ID); err != nil {
			t.Fatal(err)
		}
		gone := c.others(leader)[0]
		if err := leader.Remove(t.Context(), gone.cfg.ID); err != nil {
			t.Fatal(err)
		}
		c.stop(gone)
		c.apply(c.leader(), "last")
		c.converge()
		members := leader.Status().Members
		if len(members) != 3 || slices.ContainsFunc(members, func(m Member) bool { return m.ID == gone.cfg.ID || !m.Votes }) {
			t.Errorf("members %+v", members)
		}
	})
}

// raft 1.8.0 offers to replay committed entries at the start. It then forgets
// who the replicas are, so [Node] does without. This fails when raft mends it.
func TestRaftForgetsReplicasWhenItReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs, stable, snaps := raft.NewInmemCommitTrackingStore(), raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		conf := raft.DefaultConfig()
		conf.LocalID, conf.RestoreCommittedLogs, conf.Logger = "a", true, newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool))
		start := func() *raft.Raft {
			_, trans := raft.NewInmemTransport("a")
			raft.BootstrapCluster(conf, logs, stable, snaps, trans, raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}})
			r, err := raft.NewRaft(conf, &machine{state: &ledger{}}, logs, stable, snaps, trans)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := start()
		<-r.LeaderCh()
		for range 2 { // the second stages the first's index
			if err := r.Apply([]byte("x"), 0).Error(); err != nil {
				t.Fatal(err)
			}
		}
		r.Shutdown().Error()
		r = start()
		if got := r.GetConfiguration().Configuration().Servers; len(got) != 0 {
			t.Errorf("raft kept %v: RestoreCommittedLogs can be reconsidered", got)
		}
		r.Shutdown().Error()
	})
}
