package federation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

// agenda opens so many proposals.
func agenda(town *Town, n int) (ids []protocol.Hash) {
	for i := range n {
		ids = append(ids, town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: dp.NanoRho(i + 1)}}))
	}
	return ids
}

// on is a ballot that says the same of each proposal.
func on(choice protocol.Choice, ids ...protocol.Hash) protocol.Ballot {
	var votes []protocol.Vote
	for _, id := range ids {
		votes = append(votes, protocol.Vote{Choice: choice, Proposal: id})
	}
	return protocol.NewBallot(votes...)
}

func TestAgenda(t *testing.T) {
	town := Found(t, 4)
	ids := agenda(town, 3)
	m := town.Members
	size := len(town.Entries)
	for _, voter := range m[:3] {
		town.Must(Vote(town, voter, on(protocol.For, ids...)))
	}
	town.Must(Vote(town, m[3], protocol.NewBallot(protocol.Vote{Choice: protocol.Against, Proposal: ids[0]}, protocol.Vote{Choice: protocol.Abstain, Proposal: ids[1]})))
	if len(town.Entries) != size+4 {
		t.Fatal("a ballot is one entry")
	}
	// Everybody has voted on two of the three: these are due, and close.
	due, err := federation.DueProposals(&town.Log, town.Now)
	town.Must(err)
	if want := ids[:2]; !slices.Equal(due, want) {
		t.Fatalf("due: %v, want %v", due, want)
	}
	for _, id := range due {
		town.Must(State(town, protocol.Close{Proposal: id}))
	}
	wants(t, State(town, protocol.Close{Proposal: ids[2]}), federation.ErrRefused)
	decisions := federation.Decisions(&town.Log, 0)
	for i, want := range []protocol.Count{{For: 3, Against: 1}, {For: 3, Abstain: 1}} {
		if decisions[i].Tally.Count != want {
			t.Errorf("decision %d counts %+v", i+1, decisions[i].Tally)
		}
	}
	if got := len(federation.BallotsOf(&town.Log, decisions...)); got != 4 {
		t.Errorf("%d ballots for two decisions", got)
	}
	replayed(t, town)
}

// unchecked is a ballot whose author's program checks nothing.
type unchecked protocol.Ballot

func (unchecked) Label() protocol.Label { return protocol.LabelBallot }
func (unchecked) Role() (r key.Vote)    { return }
func (unchecked) Check() error          { return nil }

// One vote that does not count keeps all others of its ballot from being
// counted, and the refusal says which.
func TestAgendaIsCountedWholeOrNotAtAll(t *testing.T) {
	town := Found(t, 5)
	m := town.Members
	ids := agenda(town, 4)
	closed, open := ids[0], ids[1:]
	for _, voter := range m {
		town.Must(Vote(town, voter, on(protocol.For, closed)))
	}
	town.Must(State(town, protocol.Close{Proposal: closed}))
	waiting := SignVote(town, m[0], town.Proposal(aPolicy))
	town.Must(Post(town, waiting))
	withdrawn := SignVote(town, m[1], town.Proposal(aPolicy))
	town.Must(Post(town, withdrawn))
	town.Must(Vote(town, m[1], protocol.Withdrawal{Proposal: protocol.ID(town.Federation, withdrawn)}))
	other := Found(t, 3)
	town.Must(Vote(town, m[4], on(protocol.Against, open[1])))

	before := dump(&town.Log)
	for name, bad := range map[string]struct {
		by     *Member
		id     protocol.Hash
		choice protocol.Choice
		kind   error
	}{
		"unknown":                 {m[2], protocol.HashOf(nil), protocol.For, federation.ErrNotFound},
		"another federation's":    {m[2], other.Open(aPolicy), protocol.For, federation.ErrNotFound},
		"not yet open":            {m[2], protocol.ID(town.Federation, waiting), protocol.For, federation.ErrRefused},
		"withdrawn":               {m[2], protocol.ID(town.Federation, withdrawn), protocol.For, federation.ErrRefused},
		"closed, and otherwise":   {m[2], closed, protocol.Against, federation.ErrRefused},
		"voted on, and otherwise": {m[4], open[1], protocol.For, federation.ErrRefused},
	} {
		err := Vote(town, bad.by, protocol.NewBallot(protocol.Vote{Choice: bad.choice, Proposal: bad.id},
			protocol.Vote{Choice: protocol.For, Proposal: open[0]}, protocol.Vote{Choice: protocol.For, Proposal: open[2]}))
		var refusal protocol.Refusal
		if !errors.Is(err, bad.kind) || !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if words := refusal.Words(); !strings.Contains(words.FR, bad.id.Short()) || !strings.Contains(words.EN, bad.id.Short()) ||
			!strings.Contains(words.FR, "rien de ce bulletin") || !strings.Contains(words.EN, "nothing of this ballot") {
			t.Errorf("%s: %+v", name, words)
		}
	}
	many := make([]protocol.Hash, protocol.MaxVotes+1)
	for i := range many {
		many[i] = protocol.HashOf([]byte{byte(i)})
	}
	votes := on(protocol.For, open...).Votes
	for name, b := range map[string]unchecked{
		"nothing": {}, "65 votes": unchecked(on(protocol.For, many...)),
		"unsorted":  {Votes: []protocol.Vote{votes[1], votes[0]}},
		"twice":     {Votes: []protocol.Vote{votes[0], votes[0]}},
		"both ways": {Votes: []protocol.Vote{votes[0], {Choice: protocol.Against, Proposal: votes[0].Proposal}}},
		"no choice": {Votes: []protocol.Vote{votes[0], {Choice: "perhaps", Proposal: votes[1].Proposal}}},
	} {
		if err := Vote(town, m[2], b); !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unasked := on(protocol.For, open...)
	unasked.For = m[3].ID
	wants(t, Vote(town, m[2], unasked), federation.ErrRefused)
	if dump(&town.Log) != before {
		t.Error("something of a refused ballot is in the state")
	}
}

// Whoever sends an agenda again is told that it stands, or has what is new in it
// counted; whatever happened meanwhile to what it had said.
func TestAgendaAgain(t *testing.T) {
	town := Found(t, 4)
	ids := agenda(town, 4)
	m := town.Members
	said := on(protocol.For, ids[:2]...)
	town.Must(Vote(town, m[3], said))
	wants(t, Vote(town, m[3], said), federation.ErrAlready) // under a later head
	wants(t, Vote(town, m[3], on(protocol.For, ids[0])), federation.ErrAlready)
	for _, voter := range m[:3] {
		town.Must(Vote(town, voter, on(protocol.For, ids[0])))
	}
	town.Must(State(town, protocol.Close{Proposal: ids[0]}))
	wants(t, Vote(town, m[3], said), federation.ErrAlready)
	// It changes its mind on one that is closed: the rest is not counted either.
	wants(t, Vote(town, m[3], protocol.NewBallot(protocol.Vote{Choice: protocol.Against, Proposal: ids[0]}, protocol.Vote{Choice: protocol.For, Proposal: ids[2]})), federation.ErrRefused)
	town.Must(Vote(town, m[3], on(protocol.For, ids...)))
	for _, id := range ids[1:] {
		if got := federation.Counting(&town.Log, town.View(), id); len(got) != 1 || got[0] != (governance.Voice{Member: m[3].ID, By: protocol.PartyID(m[3].ID), Choice: protocol.For}) {
			t.Errorf("%+v", got)
		}
	}
	replayed(t, town)
}

// watched notes which proposals are read.
type watched struct {
	federation.Tx
	read *int
}

func (w watched) Get(key string) (string, bool) {
	if strings.HasPrefix(key, "proposal/") {
		*w.read++
	}
	return w.Tx.Get(key)
}

// Every proposal that ever was may be on a ballot again, and proposals are large: to
// say that its votes stand, none is read.
func TestVotesThatStandCostNoProposal(t *testing.T) {
	town := Found(t, 4)
	ids := agenda(town, 3)
	m := town.Members
	town.Must(Vote(town, m[2], on(protocol.For, ids...)))
	for _, c := range []struct {
		ballot protocol.Ballot
		read   int
		want   error
	}{
		{on(protocol.For, ids...), 0, federation.ErrAlready},
		{on(protocol.Against, ids...), 0, federation.ErrRefused},
		{on(protocol.For, append(agenda(town, 1), ids...)...), 1, nil},
		{on(protocol.For, append([]protocol.Hash{{0xff, 0xff}}, ids...)...), 1, federation.ErrNotFound},
	} {
		document, err := protocol.Canonical(SignVote(town, m[2], c.ballot))
		town.Must(err)
		read := 0
		err = federation.Try(watched{&town.Log, &read}, town.Now, protocol.LabelBallot, document)
		if !errors.Is(err, c.want) || read != c.read {
			t.Errorf("%d proposals read, want %d: %v", read, c.read, err)
		}
	}
}

// A proxy's agenda is many votes: the member replaces one of them by its own, and
// the charter's bound is on each proposal.
func TestAgendaByProxy(t *testing.T) {
	town := Found(t, 6)
	m := town.Members
	ids := agenda(town, 2)
	for _, principal := range m[1:4] {
		town.Must(Vote(town, principal, protocol.Delegation{To: m[0].ID, From: town.Now, Until: town.Now + 3*Day}))
	}
	carried := func(of *Member, ids ...protocol.Hash) error {
		b := on(protocol.Against, ids...)
		b.For = of.ID
		return Vote(town, m[0], b)
	}
	town.Must(carried(m[1], ids...))
	town.Must(carried(m[2], ids[0]))
	wants(t, carried(m[3], ids...), federation.ErrRefused) // a third on the first
	town.Must(carried(m[3], ids[1]))
	town.Must(Vote(town, m[1], on(protocol.For, ids[0]))) // itself, on one
	wants(t, carried(m[1], ids[0]), federation.ErrRefused)
	town.Must(Vote(town, m[5], on(protocol.For, ids...)))
	town.Now += 2 * Day
	for _, id := range ids {
		town.Must(State(town, protocol.Close{Proposal: id}))
	}
	decisions := federation.Decisions(&town.Log, 0)
	for i, want := range []protocol.Count{{For: 2, Against: 1}, {For: 1, Against: 2}} {
		if decisions[i].Tally.Count != want || len(decisions[i].Delegations) != 1+i {
			t.Errorf("decision %d counts %+v with %d delegations", i+1, decisions[i].Tally, len(decisions[i].Delegations))
		}
	}
	// One that was given under keys changed before the vote opened is no good, and
	// the refusal says for what.
	town.Must(Vote(town, m[4], protocol.Delegation{To: m[5].ID, From: town.Now, Until: town.Now + 3*Day}))
	town.Must(town.ChangeKeys(m[4]))
	stale := on(protocol.For, agenda(town, 1)...)
	stale.For = m[4].ID
	err := Vote(town, m[5], stale)
	if !errors.Is(err, governance.ErrBallot) || !strings.Contains(err.Error(), stale.Votes[0].Proposal.Short()) {
		t.Error(err)
	}
	replayed(t, town)
}

// What a lost key has said is void on every open proposal of an agenda, and stays on
// the closed ones.
func TestAgendaUnderALostKey(t *testing.T) {
	town := Found(t, 5)
	m := town.Members
	ids := agenda(town, 3)
	for _, voter := range m {
		town.Must(Vote(town, voter, on(protocol.For, ids[0])))
	}
	stolen := on(protocol.Against, ids[1:]...)
	town.Must(Vote(town, m[2], stolen))
	town.Must(State(town, protocol.Close{Proposal: ids[0]}))
	next := town.Renewed(m[2])
	town.Decide(protocol.Effect{ReplaceCard: &next.Signed})
	wants(t, Vote(town, m[2], on(protocol.Against, ids[1])), governance.ErrBallot)
	town.Replace(next)
	for _, id := range ids[1:] {
		if got := federation.Counting(&town.Log, town.View(), id); len(got) != 0 {
			t.Errorf("%+v counts", got)
		}
	}
	town.Must(Vote(town, next, on(protocol.For, ids[1:]...)))
	replayed(t, town)
}
