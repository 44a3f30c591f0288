package governance

import "coulisse/protocol"

// Special reports whether an effect takes a special vote: lowering a privacy
// floor or adding to the budget, expelling, electing stewards, changing the
// charter. The rest is ordinary.
func (v View) Special(e protocol.Effect) bool {
	switch {
	case e.SetFloors != nil:
		return v.Charter.Floors.Lowers(*e.SetFloors)
	case e.GrantBudget != nil, e.Expel != "", e.ElectStewards != nil, e.SetCharter != nil:
		return true
	}
	return false
}

// Rule is the voting rule for an effect.
func (v View) Rule(e protocol.Effect) protocol.VotingRule {
	if v.Special(e) {
		return v.Charter.Special
	}
	return v.Charter.Ordinary
}

// Carried reports whether a count carries under a rule: a quorum of the
// members, abstentions included, and a majority of those expressed.
func Carried(r protocol.VotingRule, t protocol.Tally) bool {
	cast, expressed := t.For+t.Against+t.Abstain, t.For+t.Against
	quorum := cast*100 >= r.QuorumPercent*t.Members
	majority := t.For*r.Denominator >= r.Numerator*expressed && 2*t.For > expressed
	return quorum && majority
}

// CheckProposal verifies a proposal as a new one: signed by a member in good
// standing, and with an effect that could be applied now.
func (v View) CheckProposal(s protocol.Signed[protocol.Proposal]) (protocol.Proposal, error) {
	author, ok := v.Active(protocol.MemberID(s.By))
	if !ok {
		return protocol.Proposal{}, protocol.Refuse(ErrProposal,
			"une proposition vient d'un membre en règle",
			"a proposal comes from a member in good standing")
	}
	p, err := protocol.Open(v.Federation, s, author.Card.Vote)
	if err != nil {
		return p, err
	}
	if _, err := v.applyEffect(p.Effect); err != nil {
		return p, err
	}
	return p, nil
}

// CheckCosign verifies the support of a second organisation. The author must
// still be a member: nobody carries on a proposal of one that was expelled.
func (v View) CheckCosign(s protocol.Signed[protocol.Cosign], author protocol.PartyID) (protocol.Cosign, error) {
	second, ok := v.Active(protocol.MemberID(s.By))
	if _, stays := v.Active(protocol.MemberID(author)); !ok || !stays || s.By == author {
		return protocol.Cosign{}, protocol.Refuse(ErrCosign,
			"une proposition est appuyée par un deuxième membre en règle, et son auteur l'est encore",
			"a proposal is cosigned by another member in good standing, while its author still is one")
	}
	return protocol.Open(v.Federation, s, second.Card.Vote)
}

// CheckBallot verifies one ballot.
func (v View) CheckBallot(s protocol.Signed[protocol.Ballot]) (protocol.Ballot, error) {
	voter, ok := v.Active(protocol.MemberID(s.By))
	if !ok {
		return protocol.Ballot{}, protocol.Refuse(ErrBallot,
			"ce bulletin ne vient pas d'un membre en règle",
			"the ballot is not from a member in good standing")
	}
	b, err := protocol.Open(v.Federation, s, voter.Card.Vote)
	if err != nil {
		return b, both(ErrBallot, err)
	}
	return b, nil
}

// both gives an error a second kind, for errors.Is.
func both(kind, err error) error { return doubled{kind, err} }

type doubled struct{ kind, cause error }

func (d doubled) Error() string   { return d.kind.Error() + ": " + d.cause.Error() }
func (d doubled) Unwrap() []error { return []error{d.kind, d.cause} }

// Due reports whether a vote may close: its time is up, or everybody voted.
func (v View) Due(p protocol.Proposal, ballots int, at protocol.Millis) bool {
	return at > p.Closes || ballots >= len(v.Roster())
}

// Decide closes a vote: it counts the ballots and links the decision to the
// chain. The caller has checked that the vote is due.
func (v View) Decide(d protocol.Decision) (protocol.Decision, error) {
	p, err := protocol.Peek(d.Proposal)
	if err != nil {
		return d, err
	}
	roster, err := v.RosterHash()
	if err != nil {
		return d, err
	}
	d.Number, d.Previous, d.Roster = v.Decisions+1, v.Last, roster
	if d.Tally, err = v.count(d); err != nil {
		return d, err
	}
	d.Special = v.Special(p.Effect)
	d.Carried = Carried(v.Rule(p.Effect), d.Tally)
	if d.Carried {
		// The members changed under the proposal: it lapses rather than block
		// the chain.
		if _, err := v.applyEffect(p.Effect); err != nil {
			d.Carried = false
		}
	}
	return d, nil
}

// Apply verifies a decision from its signatures up and returns the view after
// it. It is the recount: nothing stated in the decision is believed.
func (v View) Apply(d protocol.Decision) (View, error) {
	if d.Number != v.Decisions+1 || d.Previous != v.Last {
		return v, protocol.Refuse(ErrChain,
			"la décision %d ne suit pas la décision %d; il en manque une, ou une autre a été glissée",
			"decision %d does not follow decision %d; one is missing, or another was slipped in", d.Number, v.Decisions)
	}
	p, err := v.openDecided(d)
	if err != nil {
		return v, err
	}
	recount, err := v.Decide(d)
	if err != nil {
		return v, err
	}
	if err := v.compare(p, d, recount); err != nil {
		return v, err
	}
	next := v
	if d.Carried {
		if next, err = v.applyEffect(p.Effect); err != nil {
			return v, err
		}
	}
	next.Decisions = d.Number
	if next.Last, err = d.ID(); err != nil {
		return v, err
	}
	return next, nil
}

// compare holds a stated decision against the recount of its ballots.
func (v View) compare(p protocol.Proposal, stated, recount protocol.Decision) error {
	switch {
	case stated.OpenedAt > stated.ClosedAt || stated.OpenedAt > p.Closes || !v.Due(p, len(stated.Ballots), stated.ClosedAt):
		return protocol.Refuse(ErrEarly,
			"le vote de la décision %d a été fermé avant l'heure, sans que tous aient voté",
			"the vote of decision %d was closed before its time, with ballots missing", stated.Number)
	case stated.Roster != recount.Roster:
		return protocol.Refuse(ErrRoster,
			"la décision %d compte d'autres membres que ceux qui sont en règle",
			"decision %d counts other members than those in good standing", stated.Number)
	case stated.Tally != recount.Tally || stated.Carried != recount.Carried || stated.Special != recount.Special:
		return protocol.Refuse(ErrTally,
			"les bulletins de la décision %d ne donnent pas le résultat annoncé",
			"the ballots of decision %d do not give the stated outcome", stated.Number)
	}
	return nil
}

// openDecided verifies the proposal and its cosignature. Their authors were
// members in good standing when the vote opened; one expelled since does not
// undo a vote that others have taken part in.
func (v View) openDecided(d protocol.Decision) (protocol.Proposal, error) {
	author, ok := v.Member(protocol.MemberID(d.Proposal.By))
	if !ok {
		return protocol.Proposal{}, protocol.Refuse(ErrProposal,
			"la proposition de la décision %d n'est pas celle d'un membre",
			"the proposal of decision %d is not a member's", d.Number)
	}
	p, err := protocol.Open(v.Federation, d.Proposal, author.Card.Vote)
	if err != nil {
		return p, both(ErrProposal, err)
	}
	second, ok := v.Member(protocol.MemberID(d.Cosign.By))
	if !ok || d.Cosign.By == d.Proposal.By {
		return p, protocol.Refuse(ErrCosign,
			"la proposition de la décision %d n'est pas appuyée par un deuxième membre",
			"the proposal of decision %d is not cosigned by another member", d.Number)
	}
	cosign, err := protocol.Open(v.Federation, d.Cosign, second.Card.Vote)
	if err != nil {
		return p, both(ErrCosign, err)
	}
	if cosign.Proposal != protocol.ID(v.Federation, d.Proposal) {
		return p, protocol.Refuse(ErrCosign,
			"l'appui de la décision %d porte sur une autre proposition",
			"the cosignature of decision %d is for another proposal", d.Number)
	}
	return p, nil
}

// count verifies every ballot and counts it once.
func (v View) count(d protocol.Decision) (protocol.Tally, error) {
	tally := protocol.Tally{Members: len(v.Roster())}
	proposal := protocol.ID(v.Federation, d.Proposal)
	for i, s := range d.Ballots {
		if i > 0 && d.Ballots[i-1].By >= s.By {
			return tally, protocol.Refuse(ErrOrder,
				"les bulletins de la décision %d sont répétés ou en désordre",
				"the ballots of decision %d are repeated or out of order", d.Number)
		}
		b, err := v.CheckBallot(s)
		if err != nil {
			return tally, err
		}
		if b.Proposal != proposal {
			return tally, protocol.Refuse(ErrBallot,
				"un bulletin de la décision %d porte sur une autre proposition",
				"a ballot of decision %d is for another proposal", d.Number)
		}
		switch b.Choice {
		case protocol.For:
			tally.For++
		case protocol.Against:
			tally.Against++
		case protocol.Abstain:
			tally.Abstain++
		}
	}
	return tally, nil
}
