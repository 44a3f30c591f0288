package federation_test

import (
	"slices"
	"testing"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

// Documents of one command share an instant: a member that changes its keys in
// the one in which a vote opened must not keep everybody from closing it.
func TestKeysChangedInTheInstantOfTheOpening(t *testing.T) {
	town := Found(t, 4)
	s := SignVote(town, town.Members[0], town.Proposal(aPolicy))
	town.Must(Post(town, s))
	id, now := protocol.ID(town.Federation, s), town.Now
	b := town.Members[1]
	town.Must(Vote(town, b, protocol.Cosign{Proposal: id}))
	town.Now = now
	town.Must(Vote(town, b, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	town.Now = now
	town.Must(town.ChangeKeys(b))
	town.Now = now + 2*Day
	town.Must(State(town, protocol.Close{Proposal: id}))
	replayed(t, town)
}

// A charter that asks for more support than there are others must not end all
// voting, for want of a vote that changes it.
func TestNoMoreSupportThanThereIs(t *testing.T) {
	town := Found(t, 5, func(c *protocol.Charter) { c.Cosigners = 4 })
	m := town.Members
	town.Must(Vote(town, m[4], protocol.Leave{Member: m[4].ID}))
	id := propose(town, m[0], town.Proposal(aPolicy))
	for _, other := range m[1:4] {
		town.Must(Vote(town, other, protocol.Cosign{Proposal: id}))
	}
	if got := stateOf(t, town, id); got != federation.ProposalOpen {
		t.Fatalf("with the support of all others it is %s", got)
	}
}

func TestSupportOfOneThatLeftDoesNotOpen(t *testing.T) {
	town := Found(t, 5, func(c *protocol.Charter) { c.Cosigners = 2 })
	m := town.Members
	id := propose(town, m[0], town.Proposal(aPolicy))
	town.Must(Vote(town, m[4], protocol.Cosign{Proposal: id}))
	town.Must(Vote(town, m[4], protocol.Leave{Member: m[4].ID}))
	town.Must(Vote(town, m[1], protocol.Cosign{Proposal: id}))
	if got := stateOf(t, town, id); got != federation.ProposalWaiting {
		t.Fatalf("with one supporter left of two it is %s", got)
	}
}

// Nothing may be put into a decision that no ballot rests on.
func TestIdleDelegationInADecision(t *testing.T) {
	town := Found(t, 4)
	m := town.Members
	before, err := governance.Begin(town.Founding)
	town.Must(err)
	idle := SignVote(town, m[3], protocol.Delegation{To: m[1].ID, From: town.Now, Until: town.Now + 3*Day})
	town.Must(Post(town, idle))
	town.Decide(aPolicy)
	d := federation.Decisions(&town.Log, 0)[0]
	if _, err := before.Apply(d, town.Ballots()); err != nil {
		t.Fatal(err)
	}
	padded := d
	padded.Delegations = append(slices.Clone(d.Delegations), idle)
	if _, err := before.Apply(padded, town.Ballots()); err == nil {
		t.Error("a decision with a delegation that nothing rests on was taken")
	}
}

// A thief delegates, changes the keys, and is found out: what it signed before
// the change lets nobody vote for the member either.
func TestThiefsDelegationDoesNotOutliveTheKeys(t *testing.T) {
	town := Found(t, 5)
	victim, accomplice := town.Members[2], town.Members[3]
	id := town.Open(aPolicy)
	town.Must(Vote(town, victim, protocol.Delegation{To: accomplice.ID, From: town.Now, Until: town.Now + 5*Day}))
	town.Must(town.ChangeKeys(victim))
	next := town.Renewed(victim)
	replace := town.Open(protocol.Effect{ReplaceCard: &next.Signed})
	for _, m := range town.Members {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: replace, Choice: protocol.For})))
	}
	town.Must(State(town, protocol.Close{Proposal: replace}))
	town.Replace(next)
	if err := Vote(town, accomplice, protocol.Ballot{For: victim.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.For}}}); err == nil {
		t.Error("a delegation of a thief's counts after its key was replaced by a vote")
	}
	// It is gone, and in the way of no other.
	if left := federation.Delegations(&town.Log, victim.ID); len(left) != 0 {
		t.Errorf("%d void delegations are listed", len(left))
	}
	town.Must(Vote(town, next, protocol.Delegation{To: accomplice.ID, From: town.Now, Until: town.Now + 5*Day}))
}

// A vote that rejects the expulsion of a holder is closed like any other.
func TestRejectedExpulsionOfAHolderCloses(t *testing.T) {
	town := Found(t, 5).Keyed()
	m := town.Members
	target := m[4]
	p := town.Proposal(protocol.Effect{Expel: target.ID})
	p.Closes = town.Now + 3*Day
	id := propose(town, m[0], p)
	town.Must(Vote(town, m[1], protocol.Cosign{Proposal: id}))
	town.Elect(2, m[2], m[3], target)
	town.RunCeremony()
	for _, one := range m {
		town.Must(Vote(town, one, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.Against})))
	}
	due, err := federation.DueProposals(&town.Log, town.Now)
	town.Must(err)
	if !slices.Contains(due, id) {
		t.Error("the vote is over, against, and stays open")
	}
	town.Must(State(town, protocol.Close{Proposal: id}))
}

// The attacks of the brief, on each new document.
func TestAttacksOnTheAssembly(t *testing.T) {
	town, fork := Found(t, 5), Found(t, 5)
	a, b, c, d := town.Members[0], town.Members[1], town.Members[2], town.Members[3]
	stranger := NewMember(t, "un-inconnu")
	id := town.Open(aPolicy)
	closes := town.Now + Day
	span := protocol.Delegation{To: a.ID, From: closes - 2*Day, Until: closes + Day}
	given := SignVote(town, b, span)
	town.Must(Post(town, given))
	gid := protocol.ID(town.Federation, given)
	size := federation.Size(&town.Log)
	for name, err := range map[string]error{
		"delegation twice":            Post(town, given),
		"delegation by a stranger":    Vote(town, stranger, span),
		"delegation to a stranger":    Vote(town, c, protocol.Delegation{To: stranger.ID, From: span.From, Until: span.Until}),
		"delegation that is over":     Vote(town, c, protocol.Delegation{To: a.ID, From: town.Now - 2*Day, Until: town.Now - Day}),
		"delegation of another log":   Post(town, SignVote(fork, fork.Members[2], span)),
		"revocation of another's":     Vote(town, a, protocol.Revocation{Delegation: gid}),
		"revocation of nothing":       Vote(town, b, protocol.Revocation{Delegation: protocol.HashOf(nil)}),
		"revocation by a stranger":    Vote(town, stranger, protocol.Revocation{Delegation: gid}),
		"withdrawal by a stranger":    Vote(town, stranger, protocol.Withdrawal{Proposal: id}),
		"withdrawal of nothing":       Vote(town, a, protocol.Withdrawal{Proposal: protocol.HashOf(nil)}),
		"withdrawal of another's":     Vote(town, d, protocol.Withdrawal{Proposal: id}),
		"proxy by a stranger":         Vote(town, stranger, protocol.Ballot{For: b.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.For}}}),
		"proxy for a stranger":        Vote(town, a, protocol.Ballot{For: stranger.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.For}}}),
		"proxy without leave":         Vote(town, d, protocol.Ballot{For: b.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.For}}}),
		"an amendment of what is not": Vote(town, a, amended(town, protocol.HashOf(nil))),
		"an amendment of another's":   Vote(town, b, amended(town, id)),
		"forged: b's name, d's key":   forged(town, b, d, protocol.Revocation{Delegation: gid}),
		"forged: a withdrawal":        forged(town, a, d, protocol.Withdrawal{Proposal: id}),
		"forged: a delegation":        forged(town, c, d, span),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := federation.Size(&town.Log); got != size {
		t.Fatalf("%d entries were added", got-size)
	}
	town.Must(Vote(town, b, protocol.Revocation{Delegation: gid}))
	for name, err := range map[string]error{
		"revoked twice":       Vote(town, b, protocol.Revocation{Delegation: gid}),
		"under one revoked":   Vote(town, a, protocol.Ballot{For: b.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.For}}}),
		"given again, replay": Post(town, given),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	town.Must(Vote(town, a, protocol.Withdrawal{Proposal: id}))
	for name, err := range map[string]error{
		"a ballot on one withdrawn":     Vote(town, c, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})),
		"a close of one withdrawn":      State(town, protocol.Close{Proposal: id}),
		"an amendment of one withdrawn": Vote(town, a, amended(town, id)),
		"support for one withdrawn":     Vote(town, d, protocol.Cosign{Proposal: id}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	replayed(t, town)
}

func amended(town *Town, earlier protocol.Hash) protocol.Proposal {
	p := town.Proposal(aPolicy)
	p.Amends = earlier
	return p
}

func forged[T protocol.Document[key.Vote]](town *Town, as, by *Member, doc T) error {
	s := SignVote(town, by, doc)
	s.By = protocol.PartyID(as.ID)
	return Post(town, s)
}

// A charter that lets a member carry less, decided while a vote is open: the
// first of those whose voice it carries, by name, still counts, and the vote
// closes.
func TestLoweredLimitWhileAVoteIsOpen(t *testing.T) {
	town := Found(t, 5)
	m := town.Members
	id := town.Open(aPolicy)
	for _, principal := range m[1:3] {
		town.Must(Vote(town, principal, protocol.Delegation{To: m[0].ID, From: town.Now, Until: town.Now + 3*Day}))
		town.Must(Vote(town, m[0], protocol.Ballot{For: principal.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.Against}}}))
	}
	lower := town.View().Charter
	from, err := lower.ID()
	town.Must(err)
	lower.MaxProxies = 1
	town.Decide(protocol.Effect{SetCharter: &protocol.CharterChange{Charter: lower, From: from}})
	town.Now += 2 * Day
	town.Must(State(town, protocol.Close{Proposal: id}))
	d := federation.Decisions(&town.Log, 1)[0]
	if len(d.Ballots) != 1 || len(d.Delegations) != 1 || d.Delegations[0].By != protocol.PartyID(m[1].ID) || d.Tally.Against != 1 {
		t.Fatalf("%+v with %d delegations", d.Tally, len(d.Delegations))
	}
	replayed(t, town)
}
