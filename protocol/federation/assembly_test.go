package federation_test

import (
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

var aPolicy = protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "une", Text: "x"}}

func stateOf(t *testing.T, town *Town, id protocol.Hash) federation.ProposalState {
	t.Helper()
	p, err := federation.FindProposal(&town.Log, id)
	town.Must(err)
	return p.State(federation.Time(&town.Log))
}

// propose posts a proposal as a member and returns its identity.
func propose(town *Town, m *Member, p protocol.Proposal) protocol.Hash {
	s := SignVote(town, m, p)
	town.Must(Post(town, s))
	return protocol.ID(town.Federation, s)
}

func TestVoteOpensOnItsDateAndWithAllItsSupport(t *testing.T) {
	town := Found(t, 5, func(c *protocol.Charter) { c.Cosigners = 2 })
	m := town.Members
	p := town.Proposal(aPolicy)
	p.Opens, p.Closes = town.Now+Day, town.Now+3*Day
	id := propose(town, m[0], p)
	cosign := protocol.Cosign{Proposal: id}
	town.Must(Vote(town, m[3], cosign))
	wants(t, Vote(town, m[3], cosign), federation.ErrAlready)
	if got := stateOf(t, town, id); got != federation.ProposalWaiting {
		t.Fatalf("with one support of two it is %s", got)
	}
	town.Must(Vote(town, m[1], cosign))
	wants(t, Vote(town, m[2], cosign), federation.ErrAlready)
	ballot := protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})
	if got := stateOf(t, town, id); got != federation.ProposalScheduled {
		t.Fatalf("before its date it is %s", got)
	}
	wants(t, Vote(town, m[0], ballot), federation.ErrRefused)
	wants(t, State(town, protocol.Close{Proposal: id}), federation.ErrRefused)
	town.Now = p.Opens
	for _, member := range m {
		town.Must(Vote(town, member, ballot))
	}
	town.Must(State(town, protocol.Close{Proposal: id}))
	if got := stateOf(t, town, id); got != federation.ProposalCarried {
		t.Fatalf("it is %s", got)
	}
	replayed(t, town)
}

func TestAuthorTakesBackUntilOthersHaveVoted(t *testing.T) {
	town := Found(t, 4)
	a, b, c := town.Members[0], town.Members[1], town.Members[2]
	id := town.Open(aPolicy)
	town.Must(Vote(town, a, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	wants(t, Vote(town, b, protocol.Withdrawal{Proposal: id}), federation.ErrRefused) // another's

	next := town.Proposal(aPolicy)
	next.Amends = id
	wants(t, Vote(town, b, next), federation.ErrRefused)
	later := propose(town, a, next)
	if got := stateOf(t, town, id); got != federation.ProposalReplaced {
		t.Fatalf("the earlier version is %s", got)
	}
	wants(t, Vote(town, c, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})), federation.ErrRefused)
	wants(t, Vote(town, c, protocol.Cosign{Proposal: id}), federation.ErrAlready)
	wants(t, State(town, protocol.Close{Proposal: id}), federation.ErrRefused)

	town.Must(Vote(town, b, protocol.Cosign{Proposal: later})) // again: support is for a version
	town.Must(Vote(town, c, protocol.NewBallot(protocol.Vote{Proposal: later, Choice: protocol.Against})))
	wants(t, Vote(town, a, protocol.Withdrawal{Proposal: later}), federation.ErrRefused) // the members' now

	alone := propose(town, a, town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 7}}))
	town.Must(Vote(town, a, protocol.Withdrawal{Proposal: alone}))
	wants(t, Vote(town, a, protocol.Withdrawal{Proposal: alone}), federation.ErrAlready)
	wants(t, Vote(town, b, protocol.Cosign{Proposal: alone}), federation.ErrRefused)
	if got := len(federation.OpenProposals(&town.Log)); got != 1 {
		t.Fatalf("%d votes are open", got)
	}
	replayed(t, town)
}

func TestProxies(t *testing.T) {
	town := Found(t, 6)
	a, b, c, d, e := town.Members[0], town.Members[1], town.Members[2], town.Members[3], town.Members[4]
	id := town.Open(aPolicy)
	closes := town.Now + Day
	carry := func(by, voice *Member, choice protocol.Choice) error {
		return Vote(town, by, protocol.Ballot{For: voice.ID, Votes: []protocol.Vote{{Proposal: id, Choice: choice}}})
	}
	assembly := func(to *Member) protocol.Delegation {
		return protocol.Delegation{To: to.ID, From: closes - Hour, Until: closes + Hour}
	}
	wants(t, carry(a, b, protocol.For), federation.ErrRefused) // nobody asked it to
	wants(t, Vote(town, b, assembly(b)), federation.ErrRefused)
	for _, principal := range []*Member{b, c, d} {
		town.Must(Vote(town, principal, assembly(a)))
	}
	wants(t, Vote(town, b, assembly(c)), federation.ErrRefused) // one at a time
	town.Must(Vote(town, a, assembly(e)))
	wants(t, carry(e, b, protocol.For), federation.ErrRefused) // not passed on
	wants(t, carry(c, b, protocol.For), federation.ErrRefused) // another's proxy

	town.Must(carry(a, b, protocol.For))
	wants(t, carry(a, b, protocol.For), federation.ErrAlready)
	wants(t, carry(a, b, protocol.Against), federation.ErrRefused)
	town.Must(carry(a, c, protocol.For))
	wants(t, carry(a, d, protocol.For), federation.ErrRefused) // beyond the charter's two

	// c revokes too late, and votes itself; what a cast for b stands.
	given := federation.Delegations(&town.Log, c.ID)
	town.Must(Vote(town, c, protocol.Revocation{Delegation: given[0].ID}))
	town.Must(Vote(town, c, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.Against})))
	wants(t, carry(a, c, protocol.For), federation.ErrRefused)
	wants(t, Vote(town, c, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})), federation.ErrRefused) // final

	// Everybody's voice is in, but b's own: the vote stays open for it.
	for _, m := range []*Member{a, d, e, town.Members[5]} {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	}
	wants(t, State(town, protocol.Close{Proposal: id}), federation.ErrRefused)
	town.Now = closes + 1
	town.Must(State(town, protocol.Close{Proposal: id}))
	decision := federation.Decisions(&town.Log, 0)[0]
	want := protocol.Tally{Members: 6, Count: protocol.Count{For: 5, Against: 1}}
	if !decision.Tally.Equal(want) || len(decision.Delegations) != 1 {
		t.Fatalf("%+v with %d delegations", decision.Tally, len(decision.Delegations))
	}
	replayed(t, town)

	before, err := governance.Begin(town.Founding)
	town.Must(err)
	forged := decision
	forged.Delegations = nil
	if _, err := before.Apply(forged, town.Ballots()); err == nil {
		t.Error("a ballot by proxy counts without its delegation")
	}
}

func TestMembersChangeTheirKeys(t *testing.T) {
	town := Found(t, 4).Keyed()
	a, b, d := town.Members[0], town.Members[1], town.Members[3]
	id := town.Open(aPolicy)
	town.Must(Vote(town, b, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	town.Must(town.ChangeKeys(b))
	town.Must(town.ChangeKeys(a)) // the author
	wants(t, Vote(town, b, town.Proposal(aPolicy)), protocol.ErrSignature)
	wants(t, Node(town, b, ticket(1, 1)), protocol.ErrSignature)
	wants(t, town.ChangeKeys(b), protocol.ErrSignature) // with the old key
	town.Must(Node(town, town.Members[1], ticket(1, 1)))

	foreign := town.Renewed(d)
	wants(t, Vote(town, town.Members[1], protocol.KeyChange{Card: foreign.Signed}), governance.ErrEffect)
	moved := town.Renewed(d)
	moved.Card.Group = "ailleurs"
	moved.Resign(t)
	wants(t, Vote(town, d, protocol.KeyChange{Card: moved.Signed}), governance.ErrEffect)
	back := town.Renewed(b)
	back.Card.Vote, back.Vote = b.Card.Vote, b.Vote
	back.Resign(t)
	wants(t, Vote(town, town.Members[1], protocol.KeyChange{Card: back.Signed}), governance.ErrEffect) // a key it had

	for _, m := range []*Member{town.Members[0], town.Members[2], d} {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	}
	town.Must(State(town, protocol.Close{Proposal: id}))
	if got := stateOf(t, town, id); got != federation.ProposalCarried {
		t.Fatalf("%s: a ballot under a key replaced since does not count", got)
	}
	replayed(t, town)
}

func TestLostKeyIsReplacedByAVote(t *testing.T) {
	town := Found(t, 4)
	b := town.Members[1]
	id := town.Open(aPolicy)
	town.Must(Vote(town, b, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))) // by a thief, say
	next := town.Renewed(b)
	replace := town.Open(protocol.Effect{ReplaceCard: &next.Signed})
	for _, m := range []*Member{town.Members[0], town.Members[2], town.Members[3]} {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: replace, Choice: protocol.For})))
	}
	town.Now += 2 * Day
	town.Must(State(town, protocol.Close{Proposal: replace}))
	town.Replace(next)
	wants(t, Vote(town, b, protocol.Leave{Member: b.ID}), protocol.ErrSignature)
	if got := len(federation.Counting(&town.Log, town.View(), id)); got != 0 {
		t.Fatalf("%d ballots of the lost key count", got)
	}
	replayed(t, town)
}

func TestSuspendedMemberHasNoVoiceUntilReinstated(t *testing.T) {
	town := Found(t, 5)
	e := town.Members[4]
	id := town.Open(aPolicy)
	ballot := protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})
	town.Must(Vote(town, e, ballot))
	town.Decide(protocol.Effect{Suspend: e.ID})
	if m, _ := town.View().Member(e.ID); m.Active() || !m.Belongs() {
		t.Fatal("suspended is neither in good standing nor gone")
	}
	wants(t, Vote(town, e, protocol.Cosign{Proposal: id}), governance.ErrCosign)
	wants(t, Vote(town, e, protocol.Delegation{To: town.Members[0].ID, From: town.Now, Until: town.Now + Day}), governance.ErrEffect)
	wants(t, Node(town, e, ticket(1, 1)), federation.ErrRefused)
	if view := town.View(); len(federation.Counting(&town.Log, view, id)) != 0 {
		t.Fatal("its ballot counts")
	}
	town.Decide(protocol.Effect{Reinstate: e.ID})
	if view := town.View(); len(federation.Counting(&town.Log, view, id)) != 1 {
		t.Fatal("its ballot does not count again")
	}
	replayed(t, town)
}

func TestAnybodyMayLeave(t *testing.T) {
	town := Found(t, 5).Keyed()
	a, d := town.Members[0], town.Members[3]
	waiting := propose(town, d, town.Proposal(aPolicy))
	r := town.Advance(town.Begin(town.Manifest(town.Members[2], d)).ID, federation.Keyed)
	wants(t, Vote(town, d, protocol.Leave{Member: a.ID}), governance.ErrEffect)
	town.Must(Vote(town, d, protocol.Leave{Member: d.ID}))
	if got := town.Round(r.ID); got.Stage != federation.Aborted {
		t.Errorf("its round is %s", got.Stage)
	}
	if got := stateOf(t, town, waiting); got != federation.ProposalWithdrawn {
		t.Errorf("its proposal is %s", got)
	}
	wants(t, Vote(town, d, protocol.Leave{Member: d.ID}), governance.ErrEffect)
	// A steward in the middle of a ceremony: it goes on without.
	c := town.Elect(2, town.Members[1], town.Members[2], town.Members[4])
	gone := town.Member(c.Receivers[0].Member)
	town.Must(Vote(town, gone, protocol.Leave{Member: gone.ID}))
	next := town.Ceremony()
	if next.Attempt.Number != c.Attempt.Number+1 || len(next.Receivers) != 2 || next.Failed {
		t.Errorf("the ceremony: %+v", next)
	}
	replayed(t, town)
}

// What waits for support ends with its author's membership, however that ends.
func TestExpelledAuthorsProposals(t *testing.T) {
	town := Found(t, 5)
	d := town.Members[3]
	waiting := propose(town, d, town.Proposal(aPolicy))
	open := propose(town, d, town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	town.Must(Vote(town, town.Members[0], protocol.Cosign{Proposal: open}))
	town.Decide(protocol.Effect{Expel: d.ID})
	if got := stateOf(t, town, waiting); got != federation.ProposalWithdrawn {
		t.Errorf("its waiting proposal is %s", got)
	}
	if got := stateOf(t, town, open); got != federation.ProposalOpen {
		t.Errorf("its open proposal is %s: others may have voted", got)
	}
	replayed(t, town)
}

func TestWorkersAreNoStewards(t *testing.T) {
	town := Found(t, 5)
	m := town.Members
	elect := func(a, b *Member) protocol.Effect {
		return protocol.Effect{ElectWorkers: &protocol.WorkerRoll{First: a.ID, Second: b.ID}}
	}
	town.Decide(elect(m[3], m[4]))
	stewards := &protocol.StewardRoll{Members: []protocol.MemberID{m[0].ID, m[3].ID}, Threshold: 2}
	wants(t, Vote(town, m[0], town.Proposal(protocol.Effect{ElectStewards: stewards})), governance.ErrEffect)
	wants(t, Vote(town, m[0], town.Proposal(protocol.Effect{Suspend: m[4].ID})), governance.ErrEffect)
	town.Decide(protocol.Effect{SetFees: &protocol.Fees{Yearly: []protocol.Fee{{Kind: protocol.KindHouse, Cents: 25_000}}}})
	if f := town.View().Fees; f == nil || f.Yearly[0].Cents != 25_000 {
		t.Error("the fees are not in the view")
	}
	replayed(t, town)
}

func TestCollegesAndTheChair(t *testing.T) {
	town := Found(t, 6, func(c *protocol.Charter) {
		c.Chair, c.Ordinary.CastingVote, c.Ordinary.EachCollege = "membre-02", true, true
		c.Colleges = []protocol.College{
			{Name: protocol.Text{FR: "Lieux", EN: "Venues"}, Kinds: []protocol.MemberKind{protocol.KindHouse}},
			{Name: protocol.Text{FR: "Médias", EN: "Media"}, Kinds: []protocol.MemberKind{protocol.KindMedia}},
		}
	})
	paper := NewMember(t, "un-journal")
	paper.Card.Kind = protocol.KindMedia
	paper.Resign(t)
	town.Decide(protocol.Effect{Admit: &paper.Signed})
	town.Members = append(town.Members, paper)
	vote := func(choices ...protocol.Choice) protocol.Decision {
		id := town.Open(aPolicy)
		for i, choice := range choices {
			if choice != "" {
				town.Must(Vote(town, town.Members[i], protocol.NewBallot(protocol.Vote{Proposal: id, Choice: choice})))
			}
		}
		town.Now += 2 * Day
		town.Must(State(town, protocol.Close{Proposal: id}))
		return federation.Decisions(&town.Log, town.View().Decisions-1)[0]
	}
	const yes, no = protocol.For, protocol.Against
	for _, c := range []struct {
		name    string
		choices []protocol.Choice
		carried bool
	}{
		{"the whole and both colleges", []protocol.Choice{yes, yes, yes, no, "", "", yes}, true},
		{"the whole, and not the media", []protocol.Choice{yes, yes, yes, yes, yes, yes, no}, false},
		{"the media said nothing", []protocol.Choice{yes, yes, yes, no, "", "", ""}, true},
		{"a tie in the whole, and in the houses", []protocol.Choice{no, yes, no, yes, "", "", ""}, false},
	} {
		d := vote(c.choices...)
		if d.Carried != c.carried || len(d.Tally.Colleges) != 2 || d.Tally.Chair != yes {
			t.Errorf("%s: carried %v, %+v", c.name, d.Carried, d.Tally)
		}
	}
	replayed(t, town)
}
