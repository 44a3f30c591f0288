package coordinator

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// stamps are others whose stamps are so far ahead of this one's.
func stamps(ahead ...time.Duration) (all []reading) {
	for _, d := range ahead {
		all = append(all, reading{answered: true, stamp: d})
	}
	return all
}

func TestOutvoted(t *testing.T) {
	const h, m = time.Hour, time.Minute
	for _, test := range []struct {
		name   string
		others []reading
		want   bool
	}{
		{"nobody answers", nil, false},
		{"all agree", stamps(0, m), false},
		{"within the skew", stamps(2*m, -2*m), false},
		{"an hour ahead of both", stamps(-h, -h+m), true},
		{"an hour behind both", stamps(h, h), true},
		{"one agrees, one does not", stamps(0, h), false},
		{"one answers, and does not agree", stamps(-h), true},
		{"no two agree", stamps(h, -h), true},
		{"two of five are wrong, this one with them", stamps(0, h, h, h), true},
		{"two of five are wrong, this one not", stamps(0, 0, h, h), false},
	} {
		if got := outvoted(test.others); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestConfirmed(t *testing.T) {
	const h = time.Hour
	same, along, away := reading{stampToWall: 0, wall: 0}, reading{wall: 0, stampToWall: h}, reading{wall: h, stampToWall: h}
	for _, test := range []struct {
		name   string
		all    []reading
		others int
		want   bool
	}{
		{"alone", nil, 0, true},
		{"nobody answers", nil, 2, false},
		{"this one jumped", []reading{away, away}, 2, false},
		{"this one slept", []reading{same, same}, 2, true},
		{"this one slept, and a third is down", []reading{same}, 2, true},
		{"two of three jumped", []reading{along, away}, 2, false},
		{"two of three jumped, and the third is down", []reading{along}, 2, false},
		{"all jumped", []reading{along, along}, 2, true},
		{"two of five jumped", []reading{along, away, away, away}, 4, false},
	} {
		if got := confirmed(test.all, test.others); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestAClockThatJumpsIsNotFollowed(t *testing.T) {
	var ahead atomic.Int64
	c := newClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, slog.New(slog.DiscardHandler))
	others := []reading{{}, {}}
	c.others = func(context.Context) []reading { return append([]reading(nil), others...) }
	if at := c.wall().String(); strings.Contains(at, " m=") {
		t.Error("a jump of the machine's clock would not be seen: ", at)
	}
	off := func() time.Duration { return time.Since(c.now()).Abs() }
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 3 * time.Minute} {
		ahead.Store(int64(jump))
		if c.look(t.Context()); off() > time.Second || c.doubt() {
			t.Errorf("a jump by %s moves the stamp by %s, doubted: %t", jump, off(), c.doubt())
		}
	}
	ahead.Store(int64(time.Hour))
	others = []reading{{answered: true, wall: 0, stampToWall: time.Hour}, {answered: true, wall: 0, stampToWall: time.Hour}}
	if c.look(t.Context()); off() < time.Hour-time.Second {
		t.Error("a time that all machines have is not taken up")
	}
	others = []reading{{answered: true, stamp: -time.Hour, wall: -time.Hour, stampToWall: -time.Hour}, {}}
	if c.look(t.Context()); !c.doubt() {
		t.Error("a clock that nobody shares is believed")
	}
}

// timely finds entries that were dated beyond MaxSkew of when they were made:
// after began, and before now.
func (c *cluster) timely(began time.Time, from int64) {
	c.t.Helper()
	log := c.log()
	for seq := from; seq < federation.Size(log); seq++ {
		raw, _ := federation.EntryBytes(log, seq)
		entry, err := protocol.Decode[protocol.Entry](raw)
		if err != nil {
			c.t.Fatal(err)
		}
		if at := entry.At.Time(); at.After(time.Now().Add(MaxSkew)) || at.Before(began.Add(-MaxSkew)) {
			c.t.Errorf("entry %d is dated %s from now", seq, time.Until(at).Round(time.Second))
		}
	}
}

// One replica is an hour ahead from its start. Whoever leads, no entry is.
func TestAReplicaWithAWrongClockDoesNotLead(t *testing.T) {
	began := time.Now()
	c := &cluster{}
	c.clocks[1].Store(int64(time.Hour))
	foundOn(t, c, 3)
	clients := c.enrolAll()
	c.decide(clients, protocol.Effect{SetFloors: &floors})
	// It would be the only heir of a leader that hands over.
	for range 2 {
		leader := c.leader()
		c.stop(leader)
		if err := c.start(leader); err != nil {
			t.Fatal(err)
		}
		other := floors
		other.MinSize++
		c.decide(clients, protocol.Effect{SetFloors: &other})
		c.decide(clients, protocol.Effect{SetFloors: &floors})
	}
	c.timely(began, 0)
	says := false
	for _, problem := range c.office.Diagnose(c.office.Status(t.Context()), time.Now()) {
		says = says || problem.EN == "Replica r2 does not have the time of the others: it does not lead. Set its machine by NTP; it goes on by itself."
	}
	if !says {
		t.Error("the office is not told")
	}
}

// The leader's machine jumps by an hour: votes go on, and nothing is misdated.
func TestVotesGoOnWhenTheLeadersClockJumps(t *testing.T) {
	began := time.Now()
	c := found(t, 3)
	clients := c.enrolAll()
	id := c.open(clients, protocol.Effect{SetFloors: &floors})
	for i, jump := range []time.Duration{time.Hour, -time.Hour, 0} {
		c.clocks[c.leader()].Store(int64(jump))
		vote(clients[i], protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))
	}
	log := c.until("the vote is closed", func(log *federation.Memory) bool { return len(federation.Decisions(log, 0)) == 1 })
	if d := federation.Decisions(log, 0)[0]; d.Tally.For != 3 {
		t.Errorf("the decision: %+v", d.Tally)
	}
	c.timely(began, 0)
}
