package consensus

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"coulisse/protocol"

	"github.com/hashicorp/raft"
)

// seeding is a restoration to those commands.
func (c *cluster) seeding(mark byte, commands ...string) Seeding {
	entries := []ledgerEntry{}
	for _, command := range commands {
		entries = append(entries, ledgerEntry{seedIndex, command})
	}
	state, err := json.Marshal(entries)
	if err != nil {
		c.t.Fatal(err)
	}
	return Seeding{Peers: c.peers, Lineage: Lineage{mark}, At: protocol.At(time.Now()), State: state}
}

// restore starts a replica in a fresh folder, out of a seed.
func (c *cluster) restore(p Peer, s Seeding) *replica {
	c.t.Helper()
	dir := filepath.Join(c.dir, string(p.ID))
	if err := os.Rename(dir, dir+".lost"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	if err := Seed(dir, s); err != nil {
		c.t.Fatal(err)
	}
	return c.start(p, c.peers)
}

// three are the peers of a cluster that has not started.
func three(t *testing.T, tune func(*Config)) *cluster {
	c := newCluster(t, 0, tune)
	for _, id := range []protocol.ReplicaID{"replica-a", "replica-b", "replica-c"} {
		c.peers = append(c.peers, Peer{id, Address(id + ":1")})
	}
	return c
}

func TestReplicasBeginFromASeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t, smallSnapshots)
		seed := c.seeding(1, "one", "two")
		for _, p := range c.peers {
			c.restore(p, seed)
		}
		want := []string{"one", "two"}
		if got := c.converge(); !slices.Equal(got, want) {
			t.Fatalf("they begin with %q", got)
		}
		for range 40 { // beyond a snapshot of their own
			want = append(want, "more")
			c.apply(c.leader(), "more")
		}
		c.stopAll()
		for _, p := range c.peers {
			c.start(p, nil)
		}
		defer c.stopAll()
		if got := c.converge(); !slices.Equal(got, want) {
			t.Fatalf("after a restart: %d of %d commands", len(got), len(want))
		}
		// A machine that is new takes on their lineage, and keeps it.
		leader := c.leader()
		fresh := Peer{"replica-d", "replica-d:1"}
		c.peers = append(c.peers, fresh)
		c.start(fresh, nil)
		if err := leader.Admit(t.Context(), fresh); err != nil {
			t.Fatal(err)
		}
		c.converge()
		c.stop(c.node(fresh.ID))
		if again := c.start(fresh, nil); again.snaps.kin.now() != seed.Lineage {
			t.Error("it has not kept the lineage")
		}
		c.apply(c.leader(), "after")
		c.converge()
	})
}

// halting collects who halts.
func halting(halted chan<- protocol.ReplicaID) func(*Config) {
	return func(cfg *Config) {
		id := cfg.ID
		cfg.Halt = func(reason error) {
			if errors.Is(reason, ErrLineage) {
				halted <- id
			}
		}
	}
}

func TestSeedsThatDifferDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		halted := make(chan protocol.ReplicaID, 3)
		c := three(t, halting(halted))
		defer c.stopAll()
		one := c.seeding(1, "one", "two", "three")
		other := c.seeding(2, "one", "two")
		other.At-- // it has less
		c.restore(c.peers[0], one)
		c.restore(c.peers[1], one)
		c.leader()
		apart := c.restore(c.peers[2], other)
		if id := <-halted; id != apart.cfg.ID {
			t.Fatalf("%s halted", id)
		}
		<-apart.ended
		if got := apart.ledger.commands(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("it went on with %q", got)
		}
		c.stop(apart)
		c.apply(c.leader(), "four")
		if got := c.converge(); len(got) != 4 {
			t.Errorf("the others hold %q", got)
		}
	})
}

// A replica that everybody thought lost comes back with the log that was given
// up, longer than the restored one and with many elections behind it.
func TestAReplicaLeftOverFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		halted := make(chan protocol.ReplicaID, 3)
		c := newCluster(t, 3, halting(halted))
		for range 3 {
			for range 10 {
				c.apply(c.leader(), "before")
			}
			c.kill(c.leader())
			for _, p := range c.peers {
				if c.node(p.ID) == nil {
					c.start(p, c.peers)
				}
			}
		}
		c.converge()
		c.stopAll()
		seed := c.seeding(1, "restored")
		c.start(c.peers[2], nil) // it is there first, and stands for election
		c.restore(c.peers[0], seed)
		c.restore(c.peers[1], seed)
		defer c.stopAll()
		leader := c.leader(c.node(c.peers[0].ID), c.node(c.peers[1].ID))
		c.apply(leader, "after")
		if id := <-halted; id != c.peers[2].ID {
			t.Fatalf("%s halted", id)
		}
		left := c.node(c.peers[2].ID)
		<-left.ended
		c.stop(left)
		if got := c.converge(); !slices.Equal(got, []string{"restored", "after"}) {
			t.Errorf("the others hold %q", got)
		}
	})
}

func TestTermsOfSeedsGrow(t *testing.T) {
	now := protocol.At(time.Now())
	early, late := Seeding{At: now, Lineage: Lineage{0xff, 0xff, 0xff}}, Seeding{At: now + 1}
	if early.term() >= late.term() || early.term() == (Seeding{At: now}).term() {
		t.Error("terms do not follow time, or do not tell lineages apart")
	}
	if most := (Seeding{At: protocol.MaxInstant, Lineage: early.Lineage}).term(); most>>63 != 0 || most < late.term() {
		t.Error("the last instant overflows")
	}
}

func TestASeedGoesIntoAnEmptyFolder(t *testing.T) {
	c := three(t, nil)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Seed(dir, c.seeding(1)); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	// A seed that was damaged on the way is not begun from.
	dir = filepath.Join(c.dir, "replica-a")
	if err := Seed(dir, c.seeding(1, "one")); err != nil {
		t.Fatal(err)
	}
	states, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
	if err != nil || len(states) != 1 {
		t.Fatal(states, err)
	}
	raw, err := os.ReadFile(states[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{40, 50, snapshotHeader + 3} {
		raw[at] ^= 1
		if err := os.WriteFile(states[0], raw, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := New(Config{ID: "replica-a", Dir: dir, Streams: c.net.listen("replica-a:1"), State: &ledger{}, Logger: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("damaged at %d: %v", at, err)
		}
		raw[at] ^= 1
	}
}

// A replica whose log is empty, as after a restoration or a snapshot of the
// leader's, holds all that it knows in its snapshots. Without them it must not
// pass for a new one: it would found the coordinator again, or vote twice.
func TestSnapshotsThatVanish(t *testing.T) {
	c := three(t, nil)
	dir := filepath.Join(c.dir, "replica-a")
	if err := Seed(dir, c.seeding(1, "one")); err != nil {
		t.Fatal(err)
	}
	open := func() error {
		n, err := New(Config{ID: "replica-a", Dir: dir, Streams: c.net.listen("replica-a:1"), State: &ledger{}, Peers: c.peers, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			n.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "snapshots")); err != nil {
		t.Fatal(err)
	}
	if err := open(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("it passes for a new one: %v", err)
	}
	if err := Salvage(dir, &ledger{}, func() error { return nil }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("it passes for a survivor: %v", err)
	}
}

// An older snapshot does not stand in for the newest, whose folder is gone.
func TestTheNewestSnapshotVanishes(t *testing.T) {
	dir := t.TempDir()
	store := testStore(t, filepath.Join(dir, fileLog))
	for _, index := range []uint64{7, 12, 9} {
		if err := store.note(index); err != nil {
			t.Fatal(err)
		}
	}
	for index, fine := range map[uint64]bool{9: false, 12: true, 13: true} {
		if err := store.noted(&raft.SnapshotMeta{Index: index}); errors.Is(err, ErrCorrupt) == fine {
			t.Errorf("up to %d: %v", index, err)
		}
	}
}

// What a replica that survives alone has on its disk comes out whole, and what
// was never agreed on comes last.
func TestSalvage(t *testing.T) {
	c := newCluster(t, 3, smallSnapshots)
	want := []string{}
	for i := range 60 {
		want = append(want, string(rune('a'+i%26)))
		c.apply(c.leader(), want[i])
	}
	c.converge()
	leader := c.leader()
	c.await("a snapshot", func() bool { return leader.Status().Snapshot > 40 })
	for range 3 { // too few for another one
		want = append(want, "last")
		c.apply(leader, "last")
	}
	id := leader.cfg.ID
	c.stopAll()
	state, settled := &ledger{}, 0
	err := Salvage(filepath.Join(c.dir, string(id)), state, func() error { settled = len(state.commands()); return nil })
	if err != nil || !slices.Equal(state.commands(), want) {
		t.Fatalf("%d of %d commands: %v", len(state.commands()), len(want), err)
	}
	if settled == 0 || settled >= len(want) {
		t.Errorf("%d of them were in the snapshot", settled)
	}
	if err := Salvage(t.TempDir(), state, func() error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
	c.start(Peer{id, Address(id + ":1")}, nil) // the folder is as it was
	defer c.stopAll()
}
