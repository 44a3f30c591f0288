package coordinator

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// MaxSkew is how far apart two clocks may be that are both taken for right, and
// so by how much a vote may close early or late. Machines that are kept to time
// differ by less than a second, and ones that are not by less than a minute a
// month; daylight saving time and a wrong time zone are far beyond.
const MaxSkew = 2 * time.Minute

const (
	clockTick   = time.Second
	clockPeriod = 10 * time.Second // between looks at the others' clocks
	clockAnswer = 2 * time.Second  // that the others have for an answer
	// clockAge is how old a look may be with which a leader begins: an election
	// does not wait for one, since the even clock cannot have moved.
	clockAge = 3 * clockPeriod
)

// clock is what a replica stamps entries by. It goes on evenly from when the
// replica started: a machine's clock that jumps is not followed before other
// replicas' clocks confirm it. And it is held against theirs, since it may have
// been wrong at the start.
type clock struct {
	wall   func() time.Time                // without Go's own even reading, which would hide a jump
	others func(context.Context) []reading // one for each other replica
	log    *slog.Logger

	// mu guards what follows.
	mu      sync.Mutex
	anchor  time.Time // the wall's time
	since   time.Time // of a clock that only counts
	jumped  bool      // the last look found the wall elsewhere
	doubted bool      // the last look found more against this clock than with it
	looked  time.Time // the last time that somebody answered; 0 before
}

// reading is how far another replica's clocks were ahead of this one's.
type reading struct {
	answered    bool
	wall, stamp time.Duration // ahead of this one's wall, and of its stamp
	stampToWall time.Duration // its stamp ahead of this one's wall
}

func newClock(now func() time.Time, log *slog.Logger) *clock {
	wall := func() time.Time { return now().Round(0) }
	return &clock{wall: wall, log: log, anchor: wall(), since: time.Now()}
}

// now is the time to stamp.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, _ := c.read()
	return now
}

// read reports also whether the wall is elsewhere. mu is held.
func (c *clock) read() (now time.Time, jumped bool) {
	wall, even := c.wall(), c.anchor.Add(time.Since(c.since))
	if apart(wall.Sub(even)) {
		return even, true
	}
	return wall, false
}

func apart(d time.Duration) bool { return d.Abs() > MaxSkew }

// doubt reports whether this replica must not stamp.
func (c *clock) doubt() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubted
}

// keep looks at the others' clocks until ctx ends.
func (c *clock) keep(ctx context.Context) {
	timer := time.NewTicker(clockTick)
	defer timer.Stop()
	for ctx.Err() == nil {
		c.refresh(ctx, c.patience())
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// patience is how old a look may be: not at all while the wall is elsewhere.
func (c *clock) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, jumped := c.read(); jumped {
		return 0
	}
	return clockPeriod
}

// refresh looks, unless the last look was answered, is younger than age and
// found nothing.
func (c *clock) refresh(ctx context.Context, age time.Duration) {
	c.mu.Lock()
	due := c.doubted || c.looked.IsZero() || time.Since(c.looked) > age
	c.mu.Unlock()
	if due {
		c.look(ctx)
	}
}

// look asks the other replicas, and judges.
func (c *clock) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clockAnswer)
	defer cancel()
	all := c.others(ctx)
	others := len(all)
	all = slices.DeleteFunc(all, func(r reading) bool { return !r.answered })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looked = time.Now(); len(all) == 0 {
		c.looked = time.Time{} // so that a leader asks again before it stamps
	}
	_, jumped := c.read()
	if jumped && !c.jumped {
		c.log.Warn("this machine's clock has jumped, or the machine slept; entries are stamped by the time before until other replicas confirm the new one")
	}
	if jumped && confirmed(all, others) {
		c.log.Warn("other replicas confirm this machine's clock; entries are stamped by it")
		c.anchor, c.since, jumped = c.wall(), time.Now(), false
		c.doubted = false
	} else if len(all) > 0 {
		c.judge(outvoted(all))
	}
	c.jumped = jumped
}

// judge notes a change of mind. mu is held.
func (c *clock) judge(doubted bool) {
	switch {
	case doubted && !c.doubted:
		c.log.Error("this replica's clock is not that of the others: it does not lead until they agree; set this machine's clock, by NTP",
			"max_skew", MaxSkew)
	case !doubted && c.doubted:
		c.log.Info("this replica's clock agrees with the others again")
	}
	c.doubted = doubted
}

// confirmed judges a wall that has jumped: a majority of all replicas must have
// that time, one that did not jump by its stamp, or most of the others must
// have jumped along. Alone, it is the only clock there is.
func confirmed(all []reading, others int) bool {
	walls, stamps := 0, 0
	for _, r := range all {
		if !apart(r.wall) {
			walls++
		}
		if !apart(r.stampToWall) {
			stamps++
		}
	}
	return others == 0 || 2*walls > others || 2*(stamps+1) > others+1
}

// outvoted judges what this replica would stamp: more of the others agree on
// another time than agree with it.
func outvoted(all []reading) bool {
	with, against := 0, 0
	for _, r := range all {
		if !apart(r.stamp) {
			with++
			continue
		}
		camp := 0
		for _, other := range all {
			if apart(other.stamp) && !apart(other.stamp-r.stamp) {
				camp++
			}
		}
		against = max(against, camp)
	}
	return against > with
}

// otherClocks asks the other replicas on the roll, all at once.
func (r *Replica) otherClocks(ctx context.Context, c *clock, current protocol.Roll) []reading {
	peers := slices.DeleteFunc(slices.Clone(r.peersOf(current)), func(p consensus.Peer) bool { return p.ID == r.settings.ID })
	all := make([]reading, len(peers))
	var asking sync.WaitGroup
	for i, peer := range peers {
		asking.Go(func() { all[i] = r.clockOf(ctx, c, peer) })
	}
	asking.Wait()
	return all
}

// clockOf compares with one replica's clocks. The way of the answer is far
// below MaxSkew.
func (r *Replica) clockOf(ctx context.Context, c *clock, peer consensus.Peer) (read reading) {
	err := r.callAs(peer.Address, func(stub wire.CoordinatorClient) error {
		reply, err := stub.Status(ctx, &wire.StatusRequest{})
		if err != nil {
			return err
		}
		wall, stamp := protocol.Millis(reply.GetNowMs()).Time(), protocol.Millis(reply.GetLogMs()).Time()
		ownWall, own := c.wall(), c.now()
		read = reading{
			answered: protocol.ReplicaID(reply.GetReplica()) == peer.ID && reply.GetLogMs() != 0,
			wall:     wall.Sub(ownWall), stamp: stamp.Sub(own), stampToWall: stamp.Sub(ownWall),
		}
		return nil
	})
	if err != nil {
		return reading{}
	}
	return read
}
