package governance_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"
)

// voted is a town of five with one carried decision, number 2, on which three
// voted: three for, on the second day.
func voted(t *testing.T) (*Town, governance.View, protocol.Decision) {
	t.Helper()
	town := Found(t, 5)
	town.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "premiere", Text: "x"}})
	id := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}})
	for _, m := range town.Members[:4] {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	}
	town.Now += 2 * Day
	town.Must(State(town, protocol.Close{Proposal: id}))
	chain := federation.Decisions(&town.Log, 0)
	before, err := governance.Replay(town.Founding, chain[:1], town.Ballots())
	town.Must(err)
	return town, before, chain[1]
}

func TestForgeries(t *testing.T) {
	town, before, good := voted(t)
	ballots := town.Ballots()
	after, err := before.Apply(good, ballots)
	if err != nil || !good.Carried || after.Charter.Budget.Total != before.Charter.Budget.Total+1000 {
		t.Fatalf("the decision itself: %v, carried %v", err, good.Carried)
	}
	stranger, err := key.Generate[key.Vote]()
	town.Must(err)
	put := func(s protocol.Signed[protocol.Ballot]) protocol.Hash {
		document, err := protocol.Canonical(s)
		town.Must(err)
		ballots[protocol.HashOf(document)] = s
		return protocol.HashOf(document)
	}
	ballot := func(by *Member, ids ...protocol.Hash) protocol.Signed[protocol.Ballot] {
		var votes []protocol.Vote
		for _, id := range ids {
			votes = append(votes, protocol.Vote{Proposal: id, Choice: protocol.For})
		}
		return SignVote(town, by, protocol.NewBallot(votes...))
	}
	altered := func(d *protocol.Decision, i int, edit func(*protocol.Signed[protocol.Ballot])) {
		s := ballots[d.Ballots[i]]
		edit(&s)
		d.Ballots[i] = put(s)
	}
	id := protocol.ID(town.Federation, good.Proposal)
	for name, forgery := range map[string]struct {
		edit func(*protocol.Decision)
		want error
	}{
		"repeated decision":     {func(d *protocol.Decision) { d.Number = 1 }, governance.ErrChain},
		"skipped decision":      {func(d *protocol.Decision) { d.Number = 3 }, governance.ErrChain},
		"other previous":        {func(d *protocol.Decision) { d.Previous = town.Federation }, governance.ErrChain},
		"forged proposal":       {func(d *protocol.Decision) { d.Proposal.Sig = d.Cosigns[0].Sig }, governance.ErrProposal},
		"a stranger's proposal": {func(d *protocol.Decision) { d.Proposal.By = "un-inconnu" }, governance.ErrProposal},
		"cosigned by itself": {func(d *protocol.Decision) {
			d.Cosigns[0] = SignVote(town, town.Members[0], protocol.Cosign{Proposal: id})
		}, governance.ErrCosign},
		"forged cosignature": {func(d *protocol.Decision) { d.Cosigns[0].By = protocol.PartyID(town.Members[2].ID) }, governance.ErrCosign},
		"cosignature for another": {func(d *protocol.Decision) {
			d.Cosigns[0] = SignVote(town, town.Members[1], protocol.Cosign{Proposal: protocol.HashOf(nil)})
		}, governance.ErrCosign},
		"forged ballot": {func(d *protocol.Decision) {
			signer := protocol.Signer[key.Vote]{Federation: town.Federation, By: ballots[d.Ballots[1]].By, Key: stranger}
			forged, err := protocol.Sign(signer, town.Head(), protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))
			town.Must(err)
			d.Ballots[1] = put(forged)
		}, governance.ErrBallot},
		"ballot turned": {func(d *protocol.Decision) {
			altered(d, 1, func(s *protocol.Signed[protocol.Ballot]) { s.Body = ballot(town.Members[1], protocol.HashOf(nil)).Body })
		}, governance.ErrBallot},
		"ballot for another": {func(d *protocol.Decision) { d.Ballots[1] = put(ballot(town.Members[1], protocol.HashOf(nil))) }, governance.ErrBallot},
		"an agenda without it": {func(d *protocol.Decision) {
			d.Ballots[1] = put(ballot(town.Members[1], protocol.HashOf(nil), town.Federation))
		}, governance.ErrBallot},
		"another's choice": {func(d *protocol.Decision) {
			altered(d, 1, func(s *protocol.Signed[protocol.Ballot]) {
				s.Body = bytes.Replace(s.Body, []byte(`"for"`), []byte(`"against"`), 1)
			})
		}, governance.ErrBallot},
		"ballot missing": {func(d *protocol.Decision) { d.Ballots[1] = protocol.HashOf(nil) }, governance.ErrBallot},
		"a stranger's ballot": {func(d *protocol.Decision) {
			altered(d, 3, func(s *protocol.Signed[protocol.Ballot]) { s.By = "un-inconnu" })
		}, governance.ErrBallot},
		"ballots reordered":         {func(d *protocol.Decision) { d.Ballots[0], d.Ballots[1] = d.Ballots[1], d.Ballots[0] }, governance.ErrOrder},
		"ballot repeated":           {func(d *protocol.Decision) { d.Ballots = slices.Insert(d.Ballots, 1, d.Ballots[0]) }, governance.ErrOrder},
		"ballot dropped":            {func(d *protocol.Decision) { d.Ballots = d.Ballots[:2] }, governance.ErrTally},
		"ballot added":              {func(d *protocol.Decision) { d.Ballots = append(d.Ballots, put(ballot(town.Members[4], id))) }, governance.ErrTally},
		"altered tally":             {func(d *protocol.Decision) { d.Tally.For++ }, governance.ErrTally},
		"altered outcome":           {func(d *protocol.Decision) { d.Carried = false }, governance.ErrTally},
		"special passed for common": {func(d *protocol.Decision) { d.Special = false }, governance.ErrTally},
		"wrong roster":              {func(d *protocol.Decision) { d.Roster = protocol.HashOf(nil) }, governance.ErrRoster},
		"closed early":              {func(d *protocol.Decision) { d.ClosedAt -= 2 * Day }, governance.ErrEarly},
		"opened after its close":    {func(d *protocol.Decision) { d.OpenedAt = d.ClosedAt + 1 }, governance.ErrEarly},
	} {
		d := good
		d.Ballots, d.Cosigns = slices.Clone(good.Ballots), slices.Clone(good.Cosigns)
		forgery.edit(&d)
		_, err := before.Apply(d, ballots)
		if !errors.Is(err, forgery.want) {
			t.Errorf("%s: %v, want %v", name, err, forgery.want)
			continue
		}
		if words := refusal.Words(err); words.Check() != nil {
			t.Errorf("%s: no words", name)
		}
	}
	// A dropped ballot with its tally put right makes another decision: what
	// was signed under the true one no longer follows from it.
	d := good
	d.Ballots, d.Tally.For = good.Ballots[:3], 3
	d.Carried = false
	if other, err := before.Apply(d, ballots); err == nil && other.Last == after.Last {
		t.Error("two decisions have one identity")
	}
}

func TestGenesisForgeries(t *testing.T) {
	for name, edit := range map[string]func(*Town){
		"assent missing":  func(town *Town) { town.Founding.Assents = town.Founding.Assents[:2] },
		"assent repeated": func(town *Town) { town.Founding.Assents[2] = town.Founding.Assents[0] },
		"assent forged":   func(town *Town) { town.Founding.Assents[2].Sig = town.Founding.Assents[0].Sig },
		"charter altered": func(town *Town) { town.Founding.Genesis.Charter.Allowance++ },
		"founder dropped": func(town *Town) { town.Founding.Genesis.Founders = town.Founding.Genesis.Founders[:3] },
		"founder twice": func(town *Town) {
			town.Founding.Genesis.Founders[1] = town.Founding.Genesis.Founders[0]
		},
		"key shared": func(town *Town) {
			m := town.Members[1]
			m.Card.Node = town.Members[0].Card.Node
			m.Resign(t)
			town.Founding.Genesis.Founders[1] = m.Signed
		},
		"no time": func(town *Town) { town.Founding.Genesis.At = 0 },
	} {
		town := New(t, 4)
		edit(town)
		if _, err := governance.Begin(town.Founding); !errors.Is(err, governance.ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Everybody has signed; but nobody could ever settle a tie.
func TestChairIsAFounder(t *testing.T) {
	for chair, want := range map[protocol.MemberID]error{"": nil, "membre-02": nil, "un-inconnu": governance.ErrGenesis} {
		town := New(t, 4, func(c *protocol.Charter) { c.Chair = chair })
		if _, err := governance.Begin(town.Founding); !errors.Is(err, want) {
			t.Errorf("chair %q: %v", chair, err)
		}
	}
}

// changed is a change from the charter in force.
func changed(t *testing.T, town *Town, to protocol.Charter) *protocol.CharterChange {
	from, err := town.View().Charter.ID()
	if err != nil {
		t.Fatal(err)
	}
	return &protocol.CharterChange{Charter: to, From: from}
}

func chaired(by protocol.MemberID) protocol.Charter {
	c := Charter()
	c.Chair = by
	return c
}

func TestEffects(t *testing.T) {
	town := Found(t, 4)
	m := town.Members
	outsider := NewMember(t, "nouveau")
	twin := NewMember(t, "jumeau")
	twin.Card.Vote, twin.Vote = m[0].Card.Vote, m[0].Vote
	twin.Resign(t)
	kin := NewMember(t, "parente")
	kin.Card.Group = m[1].Card.Group
	kin.Resign(t)
	town.Decide(protocol.Effect{Admit: &kin.Signed})
	town.Members = append(town.Members, kin)
	far := Charter()
	far.Namespace = "ailleurs"
	for name, e := range map[string]protocol.Effect{
		"expel a stranger":               {Expel: outsider.ID},
		"remove no policy":               {RemovePolicy: "aucune"},
		"admit a member again":           {Admit: &m[0].Signed},
		"admit a second voice":           {Admit: &twin.Signed},
		"elect a stranger":               {ElectStewards: &protocol.StewardRoll{Members: []protocol.MemberID{m[0].ID, outsider.ID}, Threshold: 2}},
		"elect one group twice":          {ElectStewards: &protocol.StewardRoll{Members: []protocol.MemberID{m[1].ID, kin.ID}, Threshold: 2}},
		"another namespace":              {SetCharter: changed(t, town, far)},
		"a charter written from another": {SetCharter: &protocol.CharterChange{Charter: Charter(), From: protocol.HashOf(nil)}},
		"suspend a stranger":             {Suspend: outsider.ID},
		"reinstate who is in":            {Reinstate: m[1].ID},
		"new keys for a stranger":        {ReplaceCard: &outsider.Signed},
		"workers of one group":           {ElectWorkers: &protocol.WorkerRoll{First: m[1].ID, Second: kin.ID}},
		"a chair from elsewhere":         {SetCharter: changed(t, town, chaired(outsider.ID))},
		"grant beyond all bounds":        {GrantBudget: &protocol.Grant{NanoRho: 1e12}},
	} {
		p := town.Proposal(e)
		if name == "grant beyond all bounds" {
			rich := Charter()
			rich.Budget.Total = protocol.MaxBudget
			town.Decide(protocol.Effect{SetCharter: changed(t, town, rich)})
		}
		if err := Vote(town, m[0], p); !errors.Is(err, governance.ErrEffect) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A proposal that became impossible while it was open lapses.
	first := town.Open(protocol.Effect{Admit: &outsider.Signed})
	second := SignVote(town, m[2], town.Proposal(protocol.Effect{Admit: &outsider.Signed}))
	town.Must(Post(town, second))
	id := protocol.ID(town.Federation, second)
	town.Must(Vote(town, m[3], protocol.Cosign{Proposal: id}))
	for _, p := range []protocol.Hash{first, id} {
		for _, one := range town.Members {
			town.Must(Vote(town, one, protocol.NewBallot(protocol.Vote{Proposal: p, Choice: protocol.For})))
		}
	}
	town.Must(State(town, protocol.Close{Proposal: first}))
	wants := federation.Size(&town.Log)
	town.Must(Vote(town, outsider, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.Abstain})))
	town.Must(State(town, protocol.Close{Proposal: id}))
	chain := federation.Decisions(&town.Log, 0)
	if last := chain[len(chain)-1]; last.Carried || federation.Size(&town.Log) != wants+2 {
		t.Errorf("an admission carried twice")
	}
}

func TestFloorsAreLoweredBySpecialVoteOnly(t *testing.T) {
	view := Found(t, 3).View()
	raised, lowered := view.Charter.Floors, view.Charter.Floors
	raised.MinSize++
	lowered.MaxRoundCost++
	if view.Special(protocol.Effect{SetFloors: &raised}) || !view.Special(protocol.Effect{SetFloors: &lowered}) {
		t.Error("raising takes an ordinary vote, lowering a special one")
	}
	policy := protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "p1", Text: "x"}}
	if view.Special(policy) || !view.Special(protocol.Effect{Expel: "membre-01"}) {
		t.Error("a policy takes an ordinary vote, an expulsion a special one")
	}
}
