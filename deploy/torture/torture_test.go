//go:build unix

package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/node/coordclient"
	"coulisse/protocol"
	"coulisse/protocol/federation"

	"github.com/anishathalye/porcupine"
)

// shortTime is how long faults strike without TORTURE_TIME. Found and judged,
// it makes less than 25 seconds.
const shortTime = 11 * time.Second

func settings(t *testing.T) (seed uint64, length time.Duration, short bool) {
	t.Helper()
	seed, length, short = 11, shortTime, true
	var err error
	if text := os.Getenv("TORTURE_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal("TORTURE_SEED is a number: ", err)
		}
	}
	if text := os.Getenv("TORTURE_TIME"); text != "" {
		short = false
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal("TORTURE_TIME is a duration, such as 20m: ", err)
		}
	}
	return seed, length, short
}

// TestTorture has members vote while everything fails around them, and then
// checks that nothing they were told was untrue. A seed gives the same faults
// in the same order; what they hit is the machine's to say.
func TestTorture(t *testing.T) {
	seed, length, short := settings(t)
	t.Logf("TORTURE_SEED=%d, faults for %s", seed, length)
	tw := found(t, 5)
	watching, stopWatching := context.WithCancel(context.Background())
	observer, watchers := tw.watch(watching)
	defer watchers.Wait()
	defer stopWatching()

	b := newBoard(len(tw.members))
	working, stopWorking := context.WithTimeout(context.Background(), length+3*time.Minute)
	defer stopWorking()
	var work sync.WaitGroup
	for i := range tw.members {
		work.Go(func() { tw.work(working, b, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	late, inTime := 0, 0
	if !short {
		work.Go(func() { late, inTime = tw.briefly(working, b, length) })
	}
	striking, stopStriking := context.WithTimeout(context.Background(), length)
	struck := tw.disturb(striking, observer, rand.New(rand.NewPCG(seed, 99)), short)
	stopStriking()
	b.close()
	work.Wait()
	if !b.done() {
		t.Error("the members could not finish their votes on a network that was whole again")
	}
	// What was acknowledged outlives a last power cut.
	for _, r := range tw.replicas {
		r.end(syscall.SIGKILL)
	}
	tw.repair()
	tw.check(b, struck, observer)
	t.Logf("%d brief votes: %d ballots in time, %d late ones refused", b.brief, inTime, late)
	t.Logf("TORTURE_SEED=%d", seed)
}

// check is what must hold in the end.
func (tw *town) check(b *board, struck map[string]int, o *observer) {
	t := tw.t
	all := tw.settle()
	for i, s := range all {
		if s.LogRoot != all[0].LogRoot || s.LogSize != all[0].LogSize || s.StateHash != all[0].StateHash {
			t.Errorf("%s and %s do not agree: %d and %d entries", s.ID, all[0].ID, s.LogSize, all[0].LogSize)
		}
		tw.compare(i, all[0].LogSize)
	}
	for _, m := range tw.members {
		head, err := m.witness.Head()
		if err != nil || head.Size != all[0].LogSize || head.Root.String() != all[0].LogRoot {
			t.Errorf("the witness of %s does not agree: %d of %d entries, %v", m.ID, head.Size, all[0].LogSize, err)
		}
	}
	acknowledged := tw.checkAcknowledged(all[0].LogSize)
	tw.checkTimes(all[0].LogSize)
	ballots := tw.checkVotes(b)
	result, operations := tw.history.judge(tw.places(all[0].LogSize), all[0].LogSize)
	if result != porcupine.Ok {
		t.Errorf("no order explains what the members saw in %d operations: %s", operations, result)
	}
	gap, from := tw.history.gap()
	verdict := "0 violations"
	if t.Failed() {
		verdict = "VIOLATIONS, see above"
	}
	var lines []string
	total := 0
	for _, name := range slices.Sorted(maps.Keys(struck)) {
		lines = append(lines, fmt.Sprintf("%6d  %s", struck[name], name))
		total += struck[name]
	}
	t.Logf("%s\n%d operations judged, %d documents acknowledged, %d entries in the log, %d ballots in %d votes; %s\nlongest time without an acknowledgement: %s, from %s\n%d faults:\n%s",
		verdict, operations, acknowledged, all[0].LogSize, ballots, len(b.cast), o,
		gap.Round(10*time.Millisecond), from.UTC().Format("15:04:05"), total, strings.Join(lines, "\n"))
}

// settle waits until every replica and every witness has as much as any.
func (tw *town) settle() (all []coordinator.ReplicaStatus) {
	tw.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		all = tw.office.Status(ctx)
		if tw.level(all) {
			return all
		}
		pause(ctx, 100*time.Millisecond)
	}
	for _, r := range tw.replicas {
		tw.t.Logf("%s: %s", r.id, lastOf(r.dir+".log"))
	}
	tw.t.Fatalf("the replicas and witnesses never came to the same size: %+v", all)
	return nil
}

// level reports whether all have the same size, somebody leads, and no vote
// is waiting to be closed.
func (tw *town) level(all []coordinator.ReplicaStatus) bool {
	led := false
	for _, s := range all {
		led = led || s.State == "leader"
		if s.Error != "" || s.LogSize != all[0].LogSize {
			return false
		}
	}
	for _, m := range tw.members {
		if m.witness.Size() != all[0].LogSize {
			return false
		}
	}
	open := 0
	err := tw.members[0].witness.View(func(tx federation.Tx) error { open = len(federation.OpenProposals(tx)); return nil })
	return led && err == nil && open == 0
}

var errEnough = errors.New("read far enough")

// compare reads the whole log of one replica.
func (tw *town) compare(i int, size int64) {
	c := coordclient.New(coordclient.Config{Addresses: []string{tw.replicas[i].listen}, TLS: tw.members[0].tls, Logger: quiet})
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	next := int64(0)
	err := c.Follow(ctx, func() int64 { return next }, func(entry []byte) error {
		own, _ := tw.entry(next)
		if !bytes.Equal(own, entry) {
			return fmt.Errorf("entry %d is another one", next)
		}
		if next++; next == size {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		tw.t.Errorf("the log of %s: %v", tw.replicas[i].id, err)
	}
}

// entry is of the first member's verified copy.
func (tw *town) entry(seq int64) (raw []byte, ok bool) {
	_ = tw.members[0].witness.View(func(tx federation.Tx) error { raw, ok = federation.EntryBytes(tx, seq); return nil })
	return raw, ok
}

// places says where each document is. One that is there twice is a violation.
func (tw *town) places(size int64) map[protocol.Hash]int64 {
	places := map[protocol.Hash]int64{}
	for seq := range size {
		raw, _ := tw.entry(seq)
		entry, err := protocol.Decode[protocol.Entry](raw)
		must(tw.t, err)
		id := protocol.HashOf(entry.Doc)
		if before, twice := places[id]; twice {
			tw.t.Errorf("the document at %d is also at %d", seq, before)
		}
		places[id] = seq
	}
	return places
}

func (tw *town) checkAcknowledged(size int64) (n int) {
	places := tw.places(size)
	tw.history.mu.Lock()
	defer tw.history.mu.Unlock()
	for _, s := range tw.history.submissions {
		if s.seq < 0 {
			continue
		}
		n++
		if place, there := places[protocol.HashOf(s.document)]; !there || place != s.seq {
			tw.t.Errorf("a %s was acknowledged at %d and is at %d (%t)", s.label, s.seq, place, there)
		}
	}
	return n
}

// checkVotes compares every decision with what the members were told that they
// had cast.
func (tw *town) checkVotes(b *board) (ballots int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	decided := map[protocol.Hash]bool{}
	err := tw.members[0].witness.View(func(tx federation.Tx) error {
		for _, d := range federation.Decisions(tx, 0) {
			id := protocol.ID(tw.id, d.Proposal)
			decided[id] = true
			want := map[protocol.Choice]int{}
			for _, choice := range b.cast[id] {
				want[choice]++
				ballots++
			}
			if d.Tally.For != want[protocol.For] || d.Tally.Against != want[protocol.Against] || d.Tally.Abstain != want[protocol.Abstain] {
				tw.t.Errorf("decision %d counts %+v, the members cast %v", d.Number, d.Tally, want)
			}
		}
		return nil
	})
	must(tw.t, err)
	for id := range b.cast {
		if !decided[id] {
			tw.t.Error("a vote was never decided")
		}
	}
	return ballots
}
