//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/node/author"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
)

// dated finds entries whose time is not that of this machine, whose clock is
// right here: after they were sent, before they were answered, give or take
// what two clocks may differ by.
func (h *history) dated(entries []protocol.Entry) (wrong []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	places := map[protocol.Hash]protocol.Entry{}
	for _, e := range entries {
		places[protocol.HashOf(e.Doc)] = e
	}
	for _, s := range h.submissions {
		e, there := places[protocol.HashOf(s.document)]
		if !there {
			continue
		}
		if early := h.began.Add(time.Duration(s.call)).Sub(e.At.Time()); early > coordinator.MaxSkew {
			wrong = append(wrong, fmt.Sprintf("entry %d is dated %s before it was sent", e.Seq, early))
		}
		if late := e.At.Time().Sub(h.began.Add(time.Duration(s.answer))); s.seq >= 0 && late > coordinator.MaxSkew {
			wrong = append(wrong, fmt.Sprintf("entry %d is dated %s after it was acknowledged", e.Seq, late))
		}
	}
	return wrong
}

// seen is the first moment at which somebody had read so much of the log; false
// if nobody looked.
func (h *history) seen(size int64) (first time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	earliest := int64(-1)
	for _, op := range h.operations {
		if s, look := op.Input.(step); look && s.what == "look" && s.seq >= size && (earliest < 0 || op.Return < earliest) {
			earliest = op.Return
		}
	}
	return h.began.Add(time.Duration(earliest)), earliest >= 0
}

// gap is the longest time in which nothing was acknowledged, and when it began.
func (h *history) gap() (longest time.Duration, from time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var answers []int64
	for _, s := range h.submissions {
		if s.seq >= 0 {
			answers = append(answers, s.answer)
		}
	}
	slices.Sort(answers)
	for i := 1; i < len(answers); i++ {
		if d := time.Duration(answers[i] - answers[i-1]); d > longest {
			longest, from = d, h.began.Add(time.Duration(answers[i-1]))
		}
	}
	return longest, from
}

// checkTimes holds the log's times against this machine's.
func (tw *town) checkTimes(size int64) {
	var entries []protocol.Entry
	for seq := range size {
		raw, _ := tw.entry(seq)
		entry, err := protocol.Decode[protocol.Entry](raw)
		must(tw.t, err)
		entries = append(entries, entry)
	}
	for _, wrong := range tw.history.dated(entries) {
		tw.t.Error(wrong)
	}
	closed := map[protocol.Hash]int64{}
	for _, e := range entries {
		if e.Label != protocol.LabelClose {
			continue
		}
		s, err := protocol.Decode[protocol.Signed[protocol.Close]](e.Doc)
		must(tw.t, err)
		content, err := protocol.Peek(s)
		must(tw.t, err)
		closed[content.Proposal] = e.Seq
	}
	err := tw.members[0].witness.View(func(tx federation.Tx) error {
		for _, d := range federation.Decisions(tx, 0) {
			content, err := protocol.Peek(d.Proposal)
			if err != nil {
				return err
			}
			seen, looked := tw.history.seen(closed[protocol.ID(tw.id, d.Proposal)] + 1)
			early := content.Closes.Time().Sub(seen)
			if len(d.Ballots) < len(tw.members) && looked && early > coordinator.MaxSkew {
				tw.t.Errorf("decision %d was taken %s early, with %d ballots", d.Number, early, len(d.Ballots))
			}
		}
		return nil
	})
	must(tw.t, err)
}

// A brief vote is open for longer than MaxSkew, so that both a ballot that no
// right clock refuses and one that none counts can be cast.
const brief = coordinator.MaxSkew + time.Minute

// moments are when the members vote, from the close of a brief vote.
var moments = []time.Duration{-brief + 15*time.Second, -coordinator.MaxSkew - 10*time.Second, -time.Second, coordinator.MaxSkew + time.Second, coordinator.MaxSkew + 20*time.Second}

// briefly opens a brief vote now and then as long as they can end in time, and
// returns when all have.
func (tw *town) briefly(ctx context.Context, b *board, length time.Duration) (late, inTime int) {
	const between = 20 * time.Second
	var mu sync.Mutex
	var voting sync.WaitGroup
	for end, n := time.Now().Add(length-brief-coordinator.MaxSkew-time.Minute), 0; time.Now().Before(end) && ctx.Err() == nil; n++ {
		voting.Go(func() {
			l, i := tw.briefOne(ctx, b, n)
			mu.Lock()
			defer mu.Unlock()
			late, inTime = late+l, inTime+i
		})
		pause(ctx, between)
	}
	voting.Wait()
	return late, inTime
}

// briefOne has the members vote on one brief proposal, and judges who may.
func (tw *town) briefOne(ctx context.Context, b *board, n int) (late, inTime int) {
	closes := time.Now().Add(brief)
	proposer, second := tw.members[n%len(tw.members)], tw.members[(n+1)%len(tw.members)]
	title := fmt.Sprintf("Brève %d", n)
	floors := protocol.Floors{MinMembers: 2, MinParticipants: 2, MinSize: 20, MinVariance: 100, MaxRoundCost: 20_000_000}
	id, err := author.Vote(ctx, proposer.author, proposer.Vote, protocol.Proposal{
		Title: protocol.Text{FR: title, EN: title}, Reason: protocol.Text{FR: "Parce que.", EN: "Because."},
		Effect: protocol.Effect{SetFloors: &floors}, Closes: protocol.At(closes),
	})
	if err != nil {
		return 0, 0 // nobody was there; the others' votes tell of that
	}
	if _, err := author.Vote(ctx, second.author, second.Vote, protocol.Cosign{Proposal: id}); err != nil {
		return 0, 0
	}
	b.mu.Lock()
	b.cast[id] = map[protocol.MemberID]protocol.Choice{}
	b.brief++
	b.mu.Unlock()
	var voting sync.WaitGroup
	counted := make([]bool, len(moments))
	for k, m := range tw.members {
		voting.Go(func() { counted[k] = tw.ballotAt(ctx, b, id, m, closes, moments[(k+n)%len(moments)]) })
	}
	voting.Wait()
	for _, c := range counted {
		if c {
			inTime++
		} else {
			late++
		}
	}
	return late, inTime
}

// ballotAt casts one at a moment, until it is told whether it counts.
func (tw *town) ballotAt(ctx context.Context, b *board, id protocol.Hash, m *member, closes time.Time, moment time.Duration) bool {
	pause(ctx, time.Until(closes.Add(moment)))
	for first := time.Now(); ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		_, err := author.Vote(ctx, m.author, m.Vote, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))
		switch {
		case err == nil, errors.Is(err, federation.ErrAlready):
			if first.After(closes.Add(coordinator.MaxSkew)) {
				tw.t.Errorf("a ballot of %s was counted that was cast %s late", m.ID, first.Sub(closes))
			}
			b.mu.Lock()
			b.cast[id][m.ID] = protocol.For
			b.mu.Unlock()
			return true
		case errors.Is(err, author.ErrUnseen), errors.Is(err, refusal.ErrUnavailable), ctx.Err() != nil:
			continue
		}
		if time.Now().Before(closes.Add(-coordinator.MaxSkew)) {
			tw.t.Errorf("a ballot of %s was refused %s before the close: %v", m.ID, time.Until(closes), err)
		}
		return false
	}
	return false
}

// TestDated checks that the judge of times can say no.
func TestDated(t *testing.T) {
	began := time.Now()
	const sent, answered = int64(10 * time.Second), int64(12 * time.Second)
	for name, test := range map[string]struct {
		at    time.Duration // from when it was sent
		seq   int64
		wrong bool
	}{
		"in time":                      {time.Second, 0, false},
		"within the skew, before":      {-coordinator.MaxSkew + time.Second, 0, false},
		"within the skew, after":       {coordinator.MaxSkew, 0, false},
		"an hour behind":               {-time.Hour, 0, true},
		"an hour ahead":                {time.Hour, 0, true},
		"not answered, and much later": {time.Hour, -1, false},
		"not answered, and behind":     {-time.Hour, -1, true},
	} {
		h := history{began: began, submissions: []submission{{document: []byte("a"), call: sent, answer: answered, seq: test.seq}}}
		entry := protocol.Entry{At: protocol.At(began.Add(time.Duration(sent) + test.at)), Doc: []byte("a")}
		if got := h.dated([]protocol.Entry{entry}); (len(got) > 0) != test.wrong {
			t.Errorf("%s: %v", name, got)
		}
	}
}
