package governance

import (
	"coulisse/protocol"
)

// Ballots are those that a chain of decisions names, by the hash of each.
type Ballots map[protocol.Hash]protocol.Signed[protocol.Ballot]

// BallotsOf hashes ballots, each once.
func BallotsOf(signed []protocol.Signed[protocol.Ballot]) (Ballots, error) {
	ballots := make(Ballots, len(signed))
	for _, s := range signed {
		document, err := protocol.Canonical(s)
		if err != nil {
			return nil, err
		}
		ballots[protocol.HashOf(document)] = s
	}
	return ballots, nil
}

// Voice is a vote that was verified: whose it is, who signed it, what it says.
type Voice struct {
	Member protocol.MemberID
	By     protocol.PartyID
	Choice protocol.Choice
}

// Own reports whether the member has voted itself.
func (v Voice) Own() bool { return protocol.PartyID(v.Member) == v.By }

// own counts the voices of members that voted themselves.
func own(voices []Voice) (n int) {
	for _, v := range voices {
		if v.Own() {
			n++
		}
	}
	return n
}

// verify takes every voice out of the ballots of a decision, with the delegation
// that it rests on, each once.
func (v View) verify(p protocol.Proposal, d protocol.Decision, ballots Ballots) ([]Voice, error) {
	c := counter{
		view: v, decision: d, proposal: protocol.ID(v.Federation, d.Proposal), closes: p.Closes,
		carried: map[protocol.PartyID]int{},
	}
	var err error
	if c.proxies, err = v.openDelegations(d, p.Closes); err != nil {
		return nil, err
	}
	voices, last := make([]Voice, 0, len(d.Ballots)), protocol.MemberID("")
	for _, hash := range d.Ballots {
		s, ok := ballots[hash]
		if !ok {
			return nil, protocol.Refuse(ErrBallot,
				"un bulletin de la décision %d manque, ou a été changé",
				"a ballot of decision %d is missing, or was altered", d.Number)
		}
		voice, err := c.open(s)
		if err != nil {
			return nil, err
		}
		if voice.Member <= last {
			return nil, protocol.Refuse(ErrOrder,
				"les bulletins de la décision %d sont répétés ou en désordre",
				"the ballots of decision %d are repeated or out of order", d.Number)
		}
		voices, last = append(voices, voice), voice.Member
	}
	if c.byProxy != len(d.Delegations) {
		return nil, protocol.Refuse(ErrBallot,
			"la décision %d contient une procuration sous laquelle personne n'a voté",
			"decision %d holds a delegation under which nobody has voted", d.Number)
	}
	return voices, nil
}

// count adds up voices that were verified.
func (v View) count(voices []Voice) protocol.Tally {
	t := v.Count()
	for _, voice := range voices {
		v.Counted(&t, voice.Member, voice.Choice)
	}
	return t
}

// Count is a count of nothing yet over the present members.
func (v View) Count() protocol.Tally {
	t := protocol.Tally{Members: len(v.Roster())}
	if len(v.Charter.Colleges) > 0 {
		t.Colleges = make([]protocol.Count, len(v.Charter.Colleges))
	}
	return t
}

// Counted adds a member's voice to a count. The vote was verified.
func (v View) Counted(t *protocol.Tally, voice protocol.MemberID, choice protocol.Choice) {
	m, ok := v.Active(voice)
	if !ok {
		return
	}
	t.Add(choice)
	if i := v.Charter.CollegeOf(m.Card.Kind); i >= 0 {
		t.Colleges[i].Add(choice)
	}
	if voice == v.Charter.Chair {
		t.Chair = choice
	}
}

// counter is a recount under way.
type counter struct {
	view     View
	decision protocol.Decision
	proposal protocol.Hash
	closes   protocol.Millis
	proxies  map[protocol.PartyID]protocol.MemberID // by who gave them
	carried  map[protocol.PartyID]int               // ballots of others, by proxy
	byProxy  int                                    // and of all proxies together
}

// open takes the vote on the proposal out of a ballot, which may hold others.
func (c *counter) open(s protocol.Signed[protocol.Ballot]) (Voice, error) {
	b, err := c.view.openBallot(s, c.decision.OpenedAt)
	if err != nil {
		return Voice{}, err
	}
	choice, ok := b.On(c.proposal)
	if !ok {
		return Voice{}, protocol.Refuse(ErrBallot,
			"un bulletin de la décision %d ne porte pas sur cette proposition",
			"a ballot of decision %d holds no vote on this proposal", c.decision.Number)
	}
	voice := Voice{Member: b.Principal(s.By), By: s.By, Choice: choice}
	if !voice.Own() {
		c.carried[s.By]++
		c.byProxy++
		if c.proxies[protocol.PartyID(voice.Member)] != protocol.MemberID(s.By) || c.carried[s.By] > c.view.Charter.MaxProxies {
			return Voice{}, protocol.Refuse(ErrBallot,
				"un bulletin de la décision %d est donné pour un autre membre sans sa procuration, ou au-delà de ce que la charte permet",
				"a ballot of decision %d is cast for another member without its delegation, or beyond what the charter allows", c.decision.Number)
		}
	}
	return voice, nil
}

// openDelegations verifies the delegations of a decision: who gave one, to whom.
func (v View) openDelegations(d protocol.Decision, closes protocol.Millis) (map[protocol.PartyID]protocol.MemberID, error) {
	proxies := map[protocol.PartyID]protocol.MemberID{}
	for i, s := range d.Delegations {
		if i > 0 && d.Delegations[i-1].By >= s.By {
			return nil, protocol.Refuse(ErrOrder,
				"les procurations de la décision %d sont répétées ou en désordre",
				"the delegations of decision %d are repeated or out of order", d.Number)
		}
		to, err := v.CheckDelegation(s, d.OpenedAt, closes)
		if err != nil {
			return nil, err
		}
		proxies[s.By] = to
	}
	return proxies, nil
}

// CheckDelegation verifies that a delegation lets somebody vote on what opened
// and closes then, and returns whom. One that was signed under a key replaced
// before the vote opened does not.
func (v View) CheckDelegation(s protocol.Signed[protocol.Delegation], opened, closes protocol.Millis) (protocol.MemberID, error) {
	principal, ok := v.Active(protocol.MemberID(s.By))
	if !ok {
		return "", protocol.Refuse(ErrBallot,
			"une procuration ne vient pas d'un membre en règle",
			"a delegation is not from a member in good standing")
	}
	d, err := openUnder(v.Federation, s, principal.voteKeys(opened))
	if err != nil {
		return "", both(ErrBallot, err)
	}
	if !d.Covers(closes) || d.To == protocol.MemberID(s.By) {
		return "", protocol.Refuse(ErrBallot,
			"une procuration ne vaut pas pour ce vote",
			"a delegation is not for this vote")
	}
	return d.To, nil
}
