package federation_test

import (
	"fmt"
	"slices"

	"coulisse/protocol"
	. "coulisse/protocol/federation/federationtest"

	"pgregory.net/rapid"
)

// ballot casts a vote on each of the motions, all on one ballot.
func (a *assembly) ballot(by, of *Member, motions ...*motion) {
	votes, fresh := []protocol.Vote{}, []*motion{}
	want, again, what := a.active(by.ID) && a.active(of.ID), false, "ballot"
	if by != of {
		what = "proxy"
	}
	for _, q := range motions {
		v := protocol.Vote{Proposal: q.id, Choice: a.choice(q.ballots[of.ID].choice)}
		votes = append(votes, v)
		switch earlier, cast := q.ballots[of.ID]; {
		case cast && earlier == voice{by.ID, v.Choice}:
			again = true
			continue // it stands
		case cast:
			want = want && by == of && earlier.by != of.ID
		case by != of:
			want = want && a.carries(by.ID, of.ID, q)
		}
		want = want && a.votable(q) && a.town.Now <= q.closes
		fresh = append(fresh, q)
	}
	b := protocol.NewBallot(votes...)
	if by != of {
		b.For = of.ID
	}
	if again {
		what += " again"
	}
	if len(motions) > 1 {
		what += fmt.Sprint(" on ", len(motions))
	}
	if !a.expect(what, want && len(fresh) > 0, Vote(a.town, by, b)) {
		return
	}
	for _, q := range fresh {
		choice, _ := b.On(q.id)
		q.ballots[of.ID] = voice{by.ID, choice}
	}
}

// choice is any, and often what was said before.
func (a *assembly) choice(said protocol.Choice) protocol.Choice {
	if said != "" && rapid.Bool().Draw(a.t, "the same") {
		return said
	}
	return rapid.SampledFrom([]protocol.Choice{protocol.For, protocol.For, protocol.Against, protocol.Abstain}).Draw(a.t, "choice")
}

// agenda is some motions, mostly those that ballots are taken on.
func (a *assembly) agenda() (motions []*motion) {
	for range rapid.IntRange(2, 5).Draw(a.t, "agenda") {
		if q := a.motion(); !slices.Contains(motions, q) {
			motions = append(motions, q)
		}
	}
	votable := slices.DeleteFunc(slices.Clone(motions), func(q *motion) bool { return !a.votable(q) || a.town.Now > q.closes })
	if len(votable) > 0 && rapid.IntRange(0, 3).Draw(a.t, "only open ones") > 0 {
		return votable
	}
	return motions
}

// open are a motion and all others that ballots are taken on, as far as one ballot
// goes.
func (a *assembly) open(q *motion) []*motion {
	motions := []*motion{q}
	for _, other := range a.motions {
		if other != q && a.votable(other) && a.town.Now <= other.closes && len(motions) < protocol.MaxVotes {
			motions = append(motions, other)
		}
	}
	return motions
}
