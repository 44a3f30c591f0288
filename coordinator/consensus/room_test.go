package consensus

import (
	"bytes"
	"errors"
	"log/slog"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"coulisse/protocol"
)

// disks are what the replicas of a cluster have left, as the test says.
type disks map[protocol.ReplicaID]*atomic.Uint64

func newDisks(ids ...protocol.ReplicaID) disks {
	d := disks{}
	for _, id := range ids {
		d[id] = &atomic.Uint64{}
		d[id].Store(1 << 30)
	}
	return d
}

func (d disks) tune(cfg *Config) {
	left := d[cfg.ID]
	cfg.Free = func() (uint64, bool) { return left.Load(), true }
}

// TestAFullDiskStepsAside fills the leader's disk, then everybody's, and makes
// room again: another leads, then nobody takes anything while all still read,
// and then all goes on by itself with nothing lost.
func TestAFullDiskStepsAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks("replica-a", "replica-b", "replica-c")
		c := newCluster(t, 3, d.tune)
		defer c.stopAll()
		first := c.leader()
		c.apply(first, "before")
		d[first.cfg.ID].Store(reserve - 1)
		c.await("another leader", func() bool { return !first.IsLeader() && c.leader().cfg.ID != first.cfg.ID })
		second := c.leader()
		c.apply(second, "by another")
		time.Sleep(time.Minute) // of the bubble: many elections, were there any
		if first.IsLeader() || c.leader() != second {
			t.Error("a replica without room stood for election")
		}
		if s := first.Status(); !s.NoRoom || s.Free != reserve-1 {
			t.Errorf("its status: %+v", s)
		}
		for _, r := range c.nodes {
			d[r.cfg.ID].Store(0)
		}
		c.await("all to notice", func() bool {
			for _, r := range c.nodes {
				if !r.Status().NoRoom {
					return false
				}
			}
			return true
		})
		for _, r := range c.nodes {
			if _, _, err := r.Apply(t.Context(), []byte("lost")); !errors.Is(err, ErrNoRoom) && !errors.Is(err, ErrNotLeader) {
				t.Errorf("a command without room: %v", err)
			}
			if got := r.ledger.commands(); len(got) == 0 {
				t.Error("what was there cannot be read")
			}
		}
		for _, r := range c.nodes {
			d[r.cfg.ID].Store(enough)
		}
		c.await("a leader that takes commands", func() bool {
			_, _, err := c.leader().Apply(t.Context(), []byte("after"))
			return err == nil
		})
		want := []string{"before", "by another", "after"}
		if got := c.converge(); len(got) != len(want) || got[0] != want[0] || got[2] != want[2] {
			t.Errorf("the commands are %q", got)
		}
	})
}

// TestAFollowerWithoutRoomCatchesUp shows that the others go on meanwhile.
func TestAFollowerWithoutRoomCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisks("replica-a", "replica-b", "replica-c")
		c := newCluster(t, 3, d.tune)
		defer c.stopAll()
		leader := c.leader()
		follower := c.others(leader)[0]
		d[follower.cfg.ID].Store(0)
		c.await("it to notice", func() bool { return follower.Status().NoRoom })
		for range 20 {
			c.apply(leader, "on")
		}
		if got := len(follower.ledger.commands()); got > 1 {
			t.Errorf("it took %d commands without room", got)
		}
		d[follower.cfg.ID].Store(enough)
		if got := c.converge(); len(got) != 20 {
			t.Errorf("%d commands", len(got))
		}
	})
}

// TestRoomOnARealDisk fills a small file system of its own under a replica, and
// enlarges it.
func TestRoomOnARealDisk(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Skip("it mounts a file system as Linux does")
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=160m", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("it takes root to mount a file system: %v, %s", err, out)
	}
	peer := Peer{"alone", "alone:1"}
	n, err := New(Config{ID: peer.ID, Dir: dir, Streams: newNetwork().listen(peer.Address), State: &ledger{}, Peers: []Peer{peer},
		Logger: slog.New(slog.DiscardHandler),
		Halt:   func(reason error) { t.Errorf("halted: %v", reason) }})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(t.Context()) }()
	t.Cleanup(func() { // t's context has ended by then
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := exec.Command("umount", dir).Run(); err != nil {
			t.Error(err)
		}
	})
	await := func(what string, met func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !met(); <-time.After(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited for %s: %+v", what, n.Status())
			}
		}
	}
	await("a leader", n.IsLeader)
	big := bytes.Repeat([]byte("x"), MaxCommand)
	written := 0
	await("the disk to be full", func() bool {
		_, _, err := n.Apply(t.Context(), big)
		if err == nil {
			written++
		} else if !errors.Is(err, ErrNoRoom) && !errors.Is(err, ErrNotLeader) {
			t.Fatalf("after %d commands: %v", written, err)
		}
		return n.Status().NoRoom
	})
	if written < 20 {
		t.Errorf("only %d commands of half a MiB in 160 MiB", written)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=400m", dir).CombinedOutput(); err != nil {
		t.Fatalf("no room can be made: %v, %s", err, out)
	}
	await("it to go on by itself", func() bool {
		_, _, err := n.Apply(t.Context(), []byte("after"))
		return err == nil
	})
}
