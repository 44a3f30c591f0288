//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"coulisse/crypto/key"
	"coulisse/node/author"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"
)

type voteKey = key.Vote

// atOnce is how many proposals are under way at once.
const atOnce = 6

// board is what the members have agreed, by telephone, to do: who supports
// which proposal, and that all vote on each.
type board struct {
	// mu guards what follows.
	mu       sync.Mutex
	tasks    [][]task // by member
	underway int
	proposed int
	cast     map[protocol.Hash]map[protocol.MemberID]protocol.Choice // acknowledged
	closing  bool
	brief    int // votes that not all could take part in
}

// task is a proposal to support, or to vote on.
type task struct {
	proposal protocol.Hash
	cosign   bool
	choice   protocol.Choice
}

func newBoard(members int) *board {
	return &board{tasks: make([][]task, members), cast: map[protocol.Hash]map[protocol.MemberID]protocol.Choice{}}
}

// next is a member's next task; propose if it is to propose instead.
func (b *board) next(i int) (next task, propose, idle bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tasks[i]) > 0 {
		next = b.tasks[i][0]
		b.tasks[i] = b.tasks[i][1:]
		return next, false, false
	}
	if b.closing || b.underway >= atOnce {
		return task{}, false, true
	}
	b.underway++
	b.proposed++
	return task{}, true, false
}

func (b *board) put(i int, tasks ...task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tasks[i] = append(b.tasks[i], tasks...)
}

// agenda takes whatever else a member is to vote on.
func (b *board) agenda(i int) (votes []task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tasks[i] = slices.DeleteFunc(b.tasks[i], func(t task) bool {
		if !t.cosign {
			votes = append(votes, t)
		}
		return !t.cosign
	})
	return votes
}

// open has everybody vote.
func (b *board) open(id protocol.Hash, random *rand.Rand) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cast[id] = map[protocol.MemberID]protocol.Choice{}
	for i := range b.tasks {
		choice := []protocol.Choice{protocol.For, protocol.Against, protocol.Abstain}[random.IntN(3)]
		b.tasks[i] = append(b.tasks[i], task{proposal: id, choice: choice})
	}
}

func (b *board) voted(id protocol.Hash, by protocol.MemberID, choice protocol.Choice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cast[id][by] = choice
	if len(b.cast[id]) == len(b.tasks) {
		b.underway--
	}
}

// abandon notes a proposal whose fate its author was not told.
func (b *board) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underway--
}

func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing = true
}

// reopen lets the members go on after a close.
func (b *board) reopen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing = false
}

// done reports whether every proposal that was opened has every vote.
func (b *board) done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closing && b.underway == 0
}

// work does a member's part until the board is closed and all is done.
func (tw *town) work(ctx context.Context, b *board, i int, random *rand.Rand) {
	m := tw.members[i]
	for ctx.Err() == nil && !b.done() {
		next, propose, idle := b.next(i)
		switch {
		case idle:
			tw.history.look(100+i, m.witness.Size)
			tw.again(ctx, i, random)
		case propose:
			tw.propose(ctx, b, i)
		case next.cosign:
			_, err := author.Vote(ctx, m.author, m.Vote, protocol.Cosign{Proposal: next.proposal})
			if tw.settled(ctx, m, err) {
				b.open(next.proposal, random)
			} else {
				b.put(i, next)
			}
		default:
			tw.assemble(ctx, b, i, append(b.agenda(i), next))
		}
		pause(ctx, time.Duration(20+random.IntN(80))*time.Millisecond)
	}
}

// assemble casts one ballot on all that a member is to vote on. Some of it may be in the
// log already: of a ballot whose answer was lost.
func (tw *town) assemble(ctx context.Context, b *board, i int, agenda []task) {
	m, votes := tw.members[i], make([]protocol.Vote, len(agenda))
	for j, t := range agenda {
		votes[j] = protocol.Vote{Proposal: t.proposal, Choice: t.choice}
	}
	_, err := author.Vote(ctx, m.author, m.Vote, protocol.NewBallot(votes...))
	if !tw.settled(ctx, m, err) {
		b.put(i, agenda...)
		return
	}
	for _, t := range agenda {
		b.voted(t.proposal, m.ID, t.choice)
	}
}

func (tw *town) propose(ctx context.Context, b *board, i int) {
	m := tw.members[i]
	b.mu.Lock()
	title := fmt.Sprintf("Proposition %d", b.proposed)
	b.mu.Unlock()
	floors := protocol.Floors{MinMembers: 2, MinParticipants: 2, MinSize: 20, MinVariance: 100, MaxRoundCost: 20_000_000}
	id, err := author.Vote(ctx, m.author, m.Vote, protocol.Proposal{
		Title: protocol.Text{FR: title, EN: title}, Reason: protocol.Text{FR: "Parce que.", EN: "Because."},
		Effect: protocol.Effect{SetFloors: &floors}, Closes: protocol.At(time.Now().Add(72 * time.Hour)),
	})
	if tw.settled(ctx, m, err) && err == nil {
		b.put((i+1)%len(tw.members), task{proposal: id, cosign: true})
	} else {
		b.abandon()
	}
}

// settled reports whether the log says it; what was not answered is tried
// again. Nothing that the members do here may be refused.
func (tw *town) settled(ctx context.Context, m *member, err error) bool {
	switch {
	case err == nil, errors.Is(err, federation.ErrAlready):
		return true
	case ctx.Err() != nil, errors.Is(err, author.ErrUnseen), errors.Is(err, refusal.ErrUnavailable):
		return false
	case errors.Is(err, governance.ErrOrder):
		return false
	}
	tw.t.Errorf("%s was refused what the rules allow: %v", m.ID, err)
	return false
}

// again submits once more what was acknowledged: it has to be where it was.
func (tw *town) again(ctx context.Context, i int, random *rand.Rand) {
	old, ok := tw.history.any(i, random)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	call := tw.history.now()
	seq, err := tw.members[i].client.Submit(ctx, old.label, old.document)
	if err == nil {
		tw.history.asked(200+i, call, old, seq)
	}
}
