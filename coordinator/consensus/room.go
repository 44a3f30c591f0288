package consensus

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"coulisse/protocol/checkup"

	"github.com/hashicorp/raft"
)

// ErrNoRoom: nothing was done, because the disk is nearly full. The replica
// goes on by itself once there is room again.
var ErrNoRoom = errors.New("the replica's disk is nearly full")

// A replica stops taking entries while less than reserve is free, and goes on
// with more than enough. The reserve is for what must not fail: terms, votes
// and the deletion of what a snapshot covers. It is never left to a write to
// find the disk full, since after a failed write nobody knows what the disk
// holds, and the replica has to halt.
const (
	reserve   = 64 << 20
	enough    = 96 << 20
	roomCheck = time.Second
	// aside is how long a replica without room waits before it stands for
	// election: longer than anybody leaves a disk full.
	aside = time.Hour
)

// room says whether there is any. It is looked at every second, so entries may
// take what arrives in one from the reserve.
type room struct {
	free func() (bytes uint64, known bool)
	left atomic.Uint64
	low  atomic.Bool
}

func newRoom(dir string, free func() (uint64, bool)) *room {
	if free == nil {
		free = func() (uint64, bool) { return checkup.FreeBytes(dir) }
	}
	r := &room{free: free}
	r.look()
	return r
}

// look measures, and reports whether the answer has changed.
func (r *room) look() (changed bool) {
	free, known := r.free()
	if !known {
		return false // the next write will tell
	}
	r.left.Store(free)
	low := free < reserve || r.low.Load() && free < enough
	return r.low.Swap(low) != low
}

func (r *room) full() bool { return r.low.Load() }

// keepRoom steps back from leading while there is no room, and forward again.
func (n *Node) keepRoom(ctx context.Context, r *raft.Raft) {
	timer := time.NewTicker(roomCheck)
	defer timer.Stop()
	standing := true // for election
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if n.room.look() {
			n.tellRoom()
		}
		switch low := n.room.full(); {
		case low && r.State() == raft.Leader:
			if err := n.HandOver(); err != nil {
				n.log.Warn("no other replica takes over from one without room", "reason", err)
			}
		case low == standing:
			if err := n.stand(r, !low); err != nil {
				n.log.Error("consensus kept its timing", "error", err)
				continue
			}
			standing = !low
		}
	}
}

func (n *Node) tellRoom() {
	if n.room.full() {
		n.log.Error("the disk is nearly full: this replica takes no entries and does not lead until there is room", "free_bytes", n.room.left.Load())
	} else {
		n.log.Info("there is room on the disk again", "free_bytes", n.room.left.Load())
	}
}

// stand lets the replica stand for election soon, or hardly ever. It goes on
// voting.
func (n *Node) stand(r *raft.Raft, soon bool) error {
	conf := r.ReloadableConfig()
	conf.HeartbeatTimeout, conf.ElectionTimeout = aside, aside
	if soon {
		conf.HeartbeatTimeout, conf.ElectionTimeout = n.cfg.Timing.Heartbeat, n.cfg.Timing.Election
	}
	return r.ReloadConfig(conf)
}
