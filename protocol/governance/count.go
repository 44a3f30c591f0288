package governance

import (
	"coulisse/protocol"
)

// count verifies every ballot, and the delegation that it rests on, and counts
// each voice once.
func (v View) count(d protocol.Decision) (protocol.Tally, error) {
	p, err := protocol.Peek(d.Proposal)
	if err != nil {
		return protocol.Tally{}, err
	}
	c := counter{
		view: v, decision: d, proposal: protocol.ID(v.Federation, d.Proposal), closes: p.Closes,
		carried: map[protocol.PartyID]int{},
		tally:   v.Count(),
	}
	if c.proxies, err = v.openDelegations(d, p.Closes); err != nil {
		return c.tally, err
	}
	last := protocol.MemberID("")
	for _, s := range d.Ballots {
		voice, err := c.add(s)
		if err != nil {
			return c.tally, err
		}
		if voice <= last {
			return c.tally, protocol.Refuse(ErrOrder,
				"les bulletins de la décision %d sont répétés ou en désordre",
				"the ballots of decision %d are repeated or out of order", d.Number)
		}
		last = voice
	}
	if c.byProxy != len(d.Delegations) {
		return c.tally, protocol.Refuse(ErrBallot,
			"la décision %d contient une procuration sous laquelle personne n'a voté",
			"decision %d holds a delegation under which nobody has voted", d.Number)
	}
	return c.tally, nil
}

// Count is a count of nothing yet over the present members.
func (v View) Count() protocol.Tally {
	t := protocol.Tally{Members: len(v.Roster())}
	if len(v.Charter.Colleges) > 0 {
		t.Colleges = make([]protocol.Count, len(v.Charter.Colleges))
	}
	return t
}

// Counted adds a member's voice to a count. The ballot was verified.
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
	tally    protocol.Tally
}

func (c *counter) add(s protocol.Signed[protocol.Ballot]) (protocol.MemberID, error) {
	b, err := c.view.openBallot(s, c.decision.OpenedAt)
	if err != nil {
		return "", err
	}
	if b.Proposal != c.proposal {
		return "", protocol.Refuse(ErrBallot,
			"un bulletin de la décision %d porte sur une autre proposition",
			"a ballot of decision %d is for another proposal", c.decision.Number)
	}
	voice := b.Principal(s.By)
	if voice != protocol.MemberID(s.By) {
		c.carried[s.By]++
		c.byProxy++
		if c.proxies[protocol.PartyID(voice)] != protocol.MemberID(s.By) || c.carried[s.By] > c.view.Charter.MaxProxies {
			return "", protocol.Refuse(ErrBallot,
				"un bulletin de la décision %d est donné pour un autre membre sans sa procuration, ou au-delà de ce que la charte permet",
				"a ballot of decision %d is cast for another member without its delegation, or beyond what the charter allows", c.decision.Number)
		}
	}
	c.view.Counted(&c.tally, voice, b.Choice)
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
