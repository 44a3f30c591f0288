package node

import (
	"slices"
	"strings"

	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/record"
)

// ProposalLine is a proposal in a list.
type ProposalLine struct {
	ID     protocol.Hash            `json:"id"`
	Title  protocol.Text            `json:"title"`
	Effect protocol.Text            `json:"effect"`
	By     protocol.MemberID        `json:"by"`
	State  federation.ProposalState `json:"state"`
	// Opens is its opening date, if it has one.
	Opens  protocol.Millis `json:"opens_ms,omitzero"`
	Closes protocol.Millis `json:"closes_ms"`
	// Tally counts the ballots that would count now, or did at the close.
	Tally protocol.Tally `json:"tally"`
	// Voted is this member's voice, if it was given.
	Voted protocol.Choice `json:"voted,omitempty"`
	// Carries are the members for whom this one may still vote.
	Carries []protocol.MemberID `json:"carries,omitempty"`
	// Decision is the number of the decision; 0 while there is none.
	Decision int `json:"decision"`
}

// Ballot is one member's voice.
type Ballot struct {
	Member protocol.MemberID `json:"member"`
	Choice protocol.Choice   `json:"choice"`
	// Proxy is who cast it for the member; empty if it voted itself.
	Proxy protocol.MemberID `json:"proxy,omitempty"`
}

// College is how one college has voted.
type College struct {
	Name protocol.Text `json:"name"`
	protocol.Count
}

// ProposalPage is all that a board member needs to decide.
type ProposalPage struct {
	ProposalLine
	Reason protocol.Text `json:"reason"`
	// Cosigners support it; CosignersNeeded open it.
	Cosigners       []protocol.MemberID `json:"cosigners"`
	CosignersNeeded int                 `json:"cosigners_needed"`
	OpenedAt        protocol.Millis     `json:"opened_at_ms,omitzero"`
	// Amends is the version that this one took the place of, and Replaced the
	// one that took its place.
	Amends   protocol.Hash `json:"amends,omitzero"`
	Replaced protocol.Hash `json:"replaced,omitzero"`
	// VersionChanges say what differs from that version, where both are texts of
	// a policy.
	VersionChanges []protocol.Text `json:"version_changes,omitempty"`
	// CanVote says that this member is in good standing.
	CanVote bool `json:"can_vote"`
	// Changes say what would change, or changed, from before; Lines are those
	// of a policy.
	Changes []protocol.Text `json:"changes"`
	Lines   []policies.Line `json:"lines,omitempty"`
	// Rule is the rule of voting that applies.
	Special bool          `json:"special"`
	Rule    protocol.Text `json:"rule"`
	// Needed is how many ballots make the quorum.
	Needed  int      `json:"quorum_ballots"`
	Ballots []Ballot `json:"ballots"`
	// Colleges are counted by themselves, if the charter has any.
	Colleges []College `json:"colleges,omitempty"`
	// Missing have not voted.
	Missing []protocol.MemberID `json:"missing"`
	// Simulation is what the change would have done to the rounds of the last
	// 90 days, while it is not decided and concerns what a round may ask.
	Simulation *Simulation `json:"simulation,omitempty"`
	// Outcome is how the vote ended, counted again by this node.
	Outcome *Outcome `json:"outcome,omitempty"`
}

// Outcome is a decision, with this node's own recount from the genesis.
type Outcome struct {
	Number   int             `json:"number"`
	ID       protocol.Hash   `json:"id"`
	ClosedAt protocol.Millis `json:"closed_at_ms"`
	Carried  bool            `json:"carried"`
	// Recounted says that the chain from the genesis to this decision was
	// verified again, signature by signature, for this page.
	Recounted bool `json:"recounted"`
}

// Proposals lists all of them, those that can still be voted on first, then
// the latest.
func (n *Node) Proposals() ([]ProposalLine, error) {
	lines := []ProposalLine{}
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		for _, p := range federation.Proposals(tx) {
			lines = append(lines, lineOf(tx, view, p, n.folder.Card.ID))
		}
		return nil
	})
	slices.SortStableFunc(lines, func(a, b ProposalLine) int {
		if ended := rank(a.State) - rank(b.State); ended != 0 {
			return ended
		}
		return int(b.Closes - a.Closes)
	})
	return lines, err
}

// rank puts what can still be voted on before what is over.
func rank(s federation.ProposalState) int {
	switch s {
	case federation.ProposalOpen, federation.ProposalScheduled, federation.ProposalWaiting:
		return 0
	case federation.ProposalCarried, federation.ProposalRejected:
		return 1
	}
	return 2
}

func lineOf(tx federation.Tx, view governance.View, p federation.Proposal, self protocol.MemberID) ProposalLine {
	content := p.Content()
	line := ProposalLine{
		ID: p.ID, Title: content.Title, Effect: effectWords(content.Effect), By: protocol.MemberID(p.Signed.By),
		Opens: content.Opens, Closes: content.Closes, Decision: p.Decision, State: p.State(federation.Time(tx)),
	}
	line.Tally = view.Count()
	ballots := ballotsOf(tx, view, p.ID)
	for _, b := range ballots {
		view.Counted(&line.Tally, b.Member, b.Choice)
		if b.Member == self {
			line.Voted = b.Choice
		}
	}
	if d, decided := federation.FindDecision(tx, p.Decision); decided {
		line.Tally = d.Tally
	}
	if line.State == federation.ProposalOpen {
		line.Carries = carried(tx, view, p, self, ballots)
	}
	return line
}

// carried are the members that have given this one their voice for a vote, and
// whose voice was not given yet. One that has changed its keys since has not, for
// a vote that opened afterwards.
func carried(tx federation.Tx, view governance.View, p federation.Proposal, self protocol.MemberID, ballots []Ballot) (names []protocol.MemberID) {
	for _, m := range view.Roster() {
		voted := slices.ContainsFunc(ballots, func(b Ballot) bool { return b.Member == m.Card.ID })
		for _, d := range federation.Delegations(tx, m.Card.ID) {
			if to, err := view.CheckDelegation(d.Signed, p.OpenedAt, p.Content().Closes); err == nil && to == self && !voted {
				names = append(names, m.Card.ID)
			}
		}
	}
	return names
}

// ballotsOf are those that would count now. They were verified when the log
// took them.
func ballotsOf(tx federation.Tx, view governance.View, id protocol.Hash) []Ballot {
	ballots := []Ballot{}
	for _, v := range federation.Counting(tx, view, id) {
		ballot := Ballot{Member: v.Member, Choice: v.Choice}
		if !v.Own() {
			ballot.Proxy = protocol.MemberID(v.By)
		}
		ballots = append(ballots, ballot)
	}
	return ballots
}

// minPrefix is how much of an identity names it.
const minPrefix = 6

var errPrefix = protocol.Refuse(federation.ErrNotFound,
	"rien ne porte ce numéro ici, ou plusieurs commencent ainsi\u00a0; donnez-le en entier, ou attendez que votre nœud soit à jour",
	"nothing has this number here, or several begin so; give it whole, or wait until your node is up to date")

func findProposal(tx federation.Tx, id string) (federation.Proposal, error) {
	if whole, err := protocol.ParseHash(id); err == nil {
		p, err := federation.FindProposal(tx, whole)
		if err != nil {
			return p, errPrefix
		}
		return p, nil
	}
	var found []federation.Proposal
	for _, p := range federation.Proposals(tx) {
		if len(id) >= minPrefix && strings.HasPrefix(p.ID.String(), id) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return federation.Proposal{}, errPrefix
	}
	return found[0], nil
}

// Proposal is the page of one, named by its identity or the beginning of it.
func (n *Node) Proposal(id string) (ProposalPage, error) {
	var page ProposalPage
	err := n.witness.View(func(tx federation.Tx) error {
		p, err := findProposal(tx, id)
		if err != nil {
			return err
		}
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		page = ProposalPage{
			ProposalLine: lineOf(tx, view, p, n.folder.Card.ID), Reason: p.Content().Reason, OpenedAt: p.OpenedAt,
			Amends: p.Content().Amends, Replaced: p.Replaced, CosignersNeeded: view.SupportNeeded(), Cosigners: []protocol.MemberID{},
		}
		for _, c := range p.Cosigns {
			page.Cosigners = append(page.Cosigners, protocol.MemberID(c.By))
		}
		before := view
		if p.Decision > 0 {
			if before, err = page.recount(tx, p.Decision); err != nil {
				return err
			}
		}
		_, page.CanVote = view.Active(n.folder.Card.ID)
		page.describe(tx, before, p)
		page.compare(tx, p)
		page.simulate(tx, p)
		return nil
	})
	return page, err
}

// recount replays the chain up to a decision and returns the view before it.
func (page *ProposalPage) recount(tx federation.Tx, number int) (governance.View, error) {
	founding, err := federation.Founding(tx)
	if err != nil {
		return governance.View{}, err
	}
	chain := federation.Decisions(tx, 0)[:number]
	ballots, err := governance.BallotsOf(federation.BallotsOf(tx, chain...))
	if err != nil {
		return governance.View{}, err
	}
	before, err := governance.Replay(founding, chain[:number-1], ballots)
	if err != nil {
		return before, err
	}
	d := chain[number-1]
	after, err := before.Apply(d, ballots)
	page.Outcome = &Outcome{Number: number, ID: after.Last, ClosedAt: d.ClosedAt, Carried: d.Carried, Recounted: err == nil}
	return before, err
}

// compare says what differs from the version that a proposal amends.
func (page *ProposalPage) compare(tx federation.Tx, p federation.Proposal) {
	next := p.Content().Effect.SetPolicy
	for _, earlier := range federation.Proposals(tx) {
		old := earlier.Content().Effect.SetPolicy
		if earlier.ID == page.Amends && old != nil && next != nil {
			base := governance.View{Policies: []governance.Policy{{PolicyText: protocol.PolicyText{Name: next.Name, Text: old.Text}}}}
			page.VersionChanges, _ = policyChanges(base, next.Name, next.Text)
		}
	}
}

func (page *ProposalPage) describe(tx federation.Tx, before governance.View, p federation.Proposal) {
	effect := p.Content().Effect
	page.Changes, page.Lines = changes(before, effect)
	page.Special = before.Special(effect)
	rule := before.Rule(effect)
	page.Rule = votingRule(rule, before.Charter)
	for i, count := range page.Tally.Colleges {
		page.Colleges = append(page.Colleges, College{before.Charter.Colleges[i].Name, count})
	}
	page.Needed = (rule.QuorumPercent*page.Tally.Members + 99) / 100
	page.Ballots = ballotsOf(tx, before, p.ID)
	page.Missing = []protocol.MemberID{}
	for _, m := range before.Roster() {
		if !slices.ContainsFunc(page.Ballots, func(b Ballot) bool { return b.Member == m.Card.ID }) {
			page.Missing = append(page.Missing, m.Card.ID)
		}
	}
}

// ExportDecisions is the chain of decisions up to the one that closed a
// proposal, or all of it if no proposal is named: what anybody can recount
// without asking anybody.
func (n *Node) ExportDecisions(id string) (record.Chain, error) {
	var chain record.Chain
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		decisions := view.Decisions
		if id != "" {
			p, err := findProposal(tx, id)
			if err != nil {
				return err
			}
			if decisions = p.Decision; decisions == 0 {
				return protocol.Refuse(federation.ErrRefused,
					"cette proposition n'est pas encore décidée\u00a0; il n'y a rien à recompter", "this proposal is not decided yet; there is nothing to recount")
			}
		}
		chain, err = record.ChainOf(tx, decisions)
		return err
	})
	return chain, err
}
