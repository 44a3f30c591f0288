package governance

import (
	"slices"

	"coulisse/crypto/key"
	"coulisse/protocol"
)

// Special reports whether an effect takes a special vote: lowering a privacy
// floor or adding to the budget, expelling or suspending, giving somebody new
// keys, electing, changing the charter, going on with one replica. The rest is
// ordinary.
func (v View) Special(e protocol.Effect) bool {
	switch {
	case e.SetFloors != nil:
		return v.Charter.Floors.Lowers(*e.SetFloors)
	case e.Expel != "", e.Suspend != "", e.ReplaceCard != nil:
		return true
	case e.GrantBudget != nil, e.ElectStewards != nil, e.ElectWorkers != nil, e.SetCharter != nil, e.SoleReplica != nil:
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

// Carried reports whether a count carries under a rule: a quorum, a majority of
// those expressed, and one in each college if the rule asks for it. A tie is
// settled by the chair, if the rule says so and the chair voted for or against;
// the chair settles nothing else, neither a quorum nor a higher majority.
func Carried(r protocol.VotingRule, t protocol.Tally) bool {
	expressed := t.For + t.Against
	present := expressed + t.Abstain
	if r.ExpressedQuorum {
		present = expressed
	}
	if present*100 < r.QuorumPercent*t.Members {
		return false
	}
	tie := t.For == t.Against && t.For > 0
	settled := tie && r.CastingVote && t.Chair == protocol.For
	majority := t.For*r.Denominator >= r.Numerator*expressed && (2*t.For > expressed || settled)
	return majority && (!r.EachCollege || eachCollege(t.Colleges))
}

func eachCollege(counts []protocol.Count) bool {
	return !slices.ContainsFunc(counts, func(c protocol.Count) bool {
		return c.For+c.Against > 0 && c.For <= c.Against
	})
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
	if _, err := v.applyEffect(p.Effect, 0); err != nil {
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

// SupportNeeded is how many members besides its author must support a proposal:
// as many as the charter asks for, or all others where there are fewer. Else a
// charter, or a few departures, could end all voting, and with it the vote that
// would put that right.
func (v View) SupportNeeded() int { return min(v.Charter.Cosigners, len(v.Roster())-1) }

// Supported reports whether these support a proposal well enough to open it.
// Only those still in good standing count; what they signed stays with the
// proposal all the same.
func (v View) Supported(cosigns []protocol.Signed[protocol.Cosign]) bool {
	support := 0
	for _, s := range cosigns {
		if _, ok := v.Active(protocol.MemberID(s.By)); ok {
			support++
		}
	}
	return support >= v.SupportNeeded()
}

// CheckOwn verifies a document that a member in good standing signs with its
// voting key, whatever it is about.
func CheckOwn[T protocol.Document[key.Vote]](v View, s protocol.Signed[T]) (T, error) {
	m, ok := v.Active(protocol.MemberID(s.By))
	if !ok {
		var zero T
		return zero, notActive(protocol.MemberID(s.By))
	}
	return protocol.Open(v.Federation, s, m.Card.Vote)
}

// CheckBallot verifies one ballot as it is cast: only the voter's present key
// is good.
func (v View) CheckBallot(s protocol.Signed[protocol.Ballot]) (protocol.Ballot, error) {
	return v.openBallot(s, protocol.MaxInstant)
}

// openBallot verifies a ballot under the keys that were good when the vote
// opened, or since.
func (v View) openBallot(s protocol.Signed[protocol.Ballot], opened protocol.Millis) (protocol.Ballot, error) {
	voter, ok := v.Active(protocol.MemberID(s.By))
	if !ok {
		return protocol.Ballot{}, protocol.Refuse(ErrBallot,
			"ce bulletin ne vient pas d'un membre en règle",
			"the ballot is not from a member in good standing")
	}
	b, err := openUnder(v.Federation, s, voter.voteKeys(opened))
	if err != nil {
		return b, both(ErrBallot, err)
	}
	if _, ok := v.Active(b.Principal(s.By)); !ok {
		return b, protocol.Refuse(ErrBallot,
			"le bulletin est pour une organisation qui n'est pas un membre en règle",
			"the ballot is for an organisation that is not a member in good standing")
	}
	return b, nil
}

// openUnder opens a document under the first of the keys that fits.
func openUnder[T protocol.Document[key.Vote]](federation protocol.Hash, s protocol.Signed[T], keys []key.Public[key.Vote]) (doc T, err error) {
	for _, k := range keys {
		if doc, err = protocol.Open(federation, s, k); err == nil {
			return doc, nil
		}
	}
	return doc, err
}

// both gives an error a second kind, for errors.Is.
func both(kind, err error) error { return doubled{kind, err} }

type doubled struct{ kind, cause error }

func (d doubled) Error() string   { return d.kind.Error() + ": " + d.cause.Error() }
func (d doubled) Unwrap() []error { return []error{d.kind, d.cause} }

// Due reports whether a vote may close: its time is up, or every member has
// cast its own ballot. One cast by proxy does not count here, since whose voice
// it is may still vote itself.
func (v View) Due(p protocol.Proposal, own int, at protocol.Millis) bool {
	return at > p.Closes || own >= len(v.Roster())
}

// Decide closes a vote: it verifies and counts the ballots and links the decision
// to the chain. The caller has checked that the vote is due.
func (v View) Decide(d protocol.Decision, ballots Ballots) (protocol.Decision, error) {
	p, err := protocol.Peek(d.Proposal)
	if err != nil {
		return d, err
	}
	voices, err := v.verify(p, d, ballots)
	if err != nil {
		return d, err
	}
	return v.decide(p, d, voices)
}

func (v View) decide(p protocol.Proposal, d protocol.Decision, voices []Voice) (protocol.Decision, error) {
	roster, err := v.RosterHash()
	if err != nil {
		return d, err
	}
	d.Number, d.Previous, d.Roster = v.Decisions+1, v.Last, roster
	d.Tally = v.count(voices)
	d.Special = v.Special(p.Effect)
	d.Carried = Carried(v.Rule(p.Effect), d.Tally) && !overtaken(p, d.ClosedAt)
	if d.Carried {
		// The members changed under the proposal: it lapses rather than block
		// the chain.
		if _, err := v.applyEffect(p.Effect, d.ClosedAt); err != nil {
			d.Carried = false
		}
	}
	return d, nil
}

// Conclude closes a vote whose ballots were verified when they were cast, and
// returns the view that [View.Apply] would of the decision.
func (v View) Conclude(d protocol.Decision, voices []Voice) (protocol.Decision, View, error) {
	p, err := v.openDecided(d)
	if err != nil {
		return d, v, err
	}
	if d, err = v.decide(p, d, voices); err != nil {
		return d, v, err
	}
	if err := v.checkTimes(p, d, own(voices)); err != nil {
		return d, v, err
	}
	next, err := v.enact(p, d)
	if err != nil {
		return d, v, err
	}
	next, err = next.after(d)
	return d, next, err
}

// enact applies what was decided.
func (v View) enact(p protocol.Proposal, d protocol.Decision) (View, error) {
	if !d.Carried {
		return v, nil
	}
	return v.applyEffect(p.Effect, d.ClosedAt)
}

// after is the view with a decision as the last of the chain.
func (v View) after(d protocol.Decision) (View, error) {
	last, err := d.ID()
	v.Decisions, v.Last = d.Number, last
	return v, err
}

// Apply verifies a decision from its signatures up and returns the view after
// it. It is the recount: nothing stated in the decision is believed.
func (v View) Apply(d protocol.Decision, ballots Ballots) (View, error) {
	if d.Number != v.Decisions+1 || d.Previous != v.Last {
		return v, protocol.Refuse(ErrChain,
			"la décision %d ne suit pas la décision %d; il en manque une, ou une autre a été glissée",
			"decision %d does not follow decision %d; one is missing, or another was slipped in", d.Number, v.Decisions)
	}
	next, err := v.carryOut(d, ballots)
	if err != nil {
		return v, err
	}
	return next.after(d)
}

// carryOut counts a vote again and applies what it decided, or does what a
// member decided for itself.
func (v View) carryOut(d protocol.Decision, ballots Ballots) (View, error) {
	if d.Act != nil {
		if err := v.checkLink(d); err != nil {
			return v, err
		}
		return v.act(*d.Act, d.ClosedAt)
	}
	p, err := v.openDecided(d)
	if err != nil {
		return v, err
	}
	voices, err := v.verify(p, d, ballots)
	if err != nil {
		return v, err
	}
	recount, err := v.decide(p, d, voices)
	if err != nil {
		return v, err
	}
	if err := v.checkTimes(p, d, own(voices)); err != nil {
		return v, err
	}
	if err := compare(d, recount); err != nil {
		return v, err
	}
	return v.enact(p, d)
}

// checkTimes refuses a decision on a vote that was not open, or not due.
func (v View) checkTimes(p protocol.Proposal, d protocol.Decision, own int) error {
	if d.OpenedAt > d.ClosedAt || d.OpenedAt > p.Closes || d.OpenedAt < p.Opens || !v.Due(p, own, d.ClosedAt) {
		return protocol.Refuse(ErrEarly,
			"le vote de la décision %d a été fermé avant l'heure, sans que tous aient voté",
			"the vote of decision %d was closed before its time, with ballots missing", d.Number)
	}
	return nil
}

// compare holds a stated decision against the recount of its ballots.
func compare(stated, recount protocol.Decision) error {
	switch {
	case stated.Roster != recount.Roster:
		return protocol.Refuse(ErrRoster,
			"la décision %d compte d'autres membres que ceux qui sont en règle",
			"decision %d counts other members than those in good standing", stated.Number)
	case !stated.Tally.Equal(recount.Tally) || stated.Carried != recount.Carried || stated.Special != recount.Special:
		return protocol.Refuse(ErrTally,
			"les bulletins de la décision %d ne donnent pas le résultat annoncé",
			"the ballots of decision %d do not give the stated outcome", stated.Number)
	}
	return nil
}

// openDecided verifies the proposal and its cosignatures. Their authors were
// members in good standing when they signed; one expelled since does not undo a
// vote that others have taken part in. How many cosignatures it took is
// the log's to check: the charter may have changed since.
func (v View) openDecided(d protocol.Decision) (protocol.Proposal, error) {
	author, ok := v.Member(protocol.MemberID(d.Proposal.By))
	if !ok {
		return protocol.Proposal{}, protocol.Refuse(ErrProposal,
			"la proposition de la décision %d n'est pas celle d'un membre",
			"the proposal of decision %d is not a member's", d.Number)
	}
	p, err := openUnder(v.Federation, d.Proposal, author.everyVoteKey())
	if err != nil {
		return p, both(ErrProposal, err)
	}
	for i, s := range d.Cosigns {
		if i > 0 && d.Cosigns[i-1].By >= s.By {
			return p, notCosigned(d)
		}
		if err := v.checkCosigned(d, s); err != nil {
			return p, err
		}
	}
	if len(d.Cosigns) == 0 {
		return p, notCosigned(d)
	}
	return p, nil
}

func notCosigned(d protocol.Decision) error {
	return protocol.Refuse(ErrCosign,
		"la proposition de la décision %d n'est pas appuyée par d'autres membres, chacun une fois",
		"the proposal of decision %d is not cosigned by other members, each once", d.Number)
}

func (v View) checkCosigned(d protocol.Decision, s protocol.Signed[protocol.Cosign]) error {
	second, ok := v.Member(protocol.MemberID(s.By))
	if !ok || s.By == d.Proposal.By {
		return notCosigned(d)
	}
	cosign, err := openUnder(v.Federation, s, second.everyVoteKey())
	if err != nil {
		return both(ErrCosign, err)
	}
	if cosign.Proposal != protocol.ID(v.Federation, d.Proposal) {
		return protocol.Refuse(ErrCosign,
			"l'appui de la décision %d porte sur une autre proposition",
			"the cosignature of decision %d is for another proposal", d.Number)
	}
	return nil
}
