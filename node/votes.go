package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"coulisse/crypto/key"
	"coulisse/node/author"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/record"
)

// State is where a proposal is in its life.
type State string

// The states of a proposal.
const (
	StateWaiting  State = "waiting"  // for another organisation's support
	StateLapsed   State = "lapsed"   // its date has come without any
	StateOpen     State = "open"     // ballots are taken
	StateCarried  State = "carried"  // decided
	StateRejected State = "rejected" // decided
)

// ProposalLine is a proposal in a list.
type ProposalLine struct {
	ID     protocol.Hash     `json:"id"`
	Title  protocol.Text     `json:"title"`
	Effect protocol.Text     `json:"effect"`
	By     protocol.MemberID `json:"by"`
	State  State             `json:"state"`
	Closes protocol.Millis   `json:"closes_ms"`
	// Tally counts the ballots that would count now, or did at the close.
	Tally protocol.Tally `json:"tally"`
	// Voted is this member's own ballot, if it has cast one.
	Voted protocol.Choice `json:"voted,omitempty"`
	// Decision is the number of the decision; 0 while there is none.
	Decision int `json:"decision"`
}

// Ballot is one member's voice.
type Ballot struct {
	Member protocol.MemberID `json:"member"`
	Choice protocol.Choice   `json:"choice"`
}

// ProposalPage is all that a board member needs to decide.
type ProposalPage struct {
	ProposalLine
	Reason     protocol.Text     `json:"reason"`
	CosignedBy protocol.MemberID `json:"cosigned_by,omitempty"`
	OpenedAt   protocol.Millis   `json:"opened_at_ms,omitzero"`
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
	// Missing have not voted.
	Missing []protocol.MemberID `json:"missing"`
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

// rank puts what can still be voted on before what is decided.
func rank(s State) int {
	return slices.Index([]State{StateOpen, StateWaiting, StateCarried, StateRejected, StateLapsed}, s) / 2
}

func lineOf(tx federation.Tx, view governance.View, p federation.Proposal, self protocol.MemberID) ProposalLine {
	content := p.Content()
	line := ProposalLine{
		ID: p.ID, Title: content.Title, Effect: effectWords(content.Effect), By: protocol.MemberID(p.Signed.By),
		Closes: content.Closes, Decision: p.Decision, State: StateOpen,
	}
	line.Tally.Members = len(view.Roster())
	for _, b := range ballotsOf(tx, view, p.ID) {
		count(&line.Tally, b.Choice)
		if b.Member == self {
			line.Voted = b.Choice
		}
	}
	switch {
	case p.Decision > 0:
		d := federation.Decisions(tx, p.Decision-1)[0]
		line.Tally, line.State = d.Tally, StateRejected
		if d.Carried {
			line.State = StateCarried
		}
	case p.Cosign == nil && content.Closes < federation.Time(tx):
		line.State = StateLapsed
	case p.Cosign == nil:
		line.State = StateWaiting
	}
	return line
}

func count(t *protocol.Tally, c protocol.Choice) {
	switch c {
	case protocol.For:
		t.For++
	case protocol.Against:
		t.Against++
	case protocol.Abstain:
		t.Abstain++
	}
}

// ballotsOf are those that would count now. They were verified when the log
// took them.
func ballotsOf(tx federation.Tx, view governance.View, id protocol.Hash) []Ballot {
	ballots := []Ballot{}
	for _, signed := range federation.Ballots(tx, id) {
		b, err := protocol.Peek(signed)
		if _, ok := view.Active(protocol.MemberID(signed.By)); err == nil && ok {
			ballots = append(ballots, Ballot{protocol.MemberID(signed.By), b.Choice})
		}
	}
	return ballots
}

// minPrefix is how much of an identity names it.
const minPrefix = 6

var errPrefix = protocol.Refuse(federation.ErrNotFound,
	"rien ne porte ce numéro ici, ou plusieurs commencent ainsi\u00a0; donnez-le en entier, ou attendez que votre nœud soit à jour",
	"nothing has this number here, or several begin so; give it whole, or wait until your node is up to date")

func findProposal(tx federation.Tx, id string) (federation.Proposal, error) {
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
		page = ProposalPage{ProposalLine: lineOf(tx, view, p, n.folder.Card.ID), Reason: p.Content().Reason, OpenedAt: p.OpenedAt}
		if p.Cosign != nil {
			page.CosignedBy = protocol.MemberID(p.Cosign.By)
		}
		before := view
		if p.Decision > 0 {
			if before, err = page.recount(tx, p.Decision); err != nil {
				return err
			}
		}
		page.describe(tx, before, p)
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
	before, err := governance.Replay(founding, chain[:number-1])
	if err != nil {
		return before, err
	}
	d := chain[number-1]
	after, err := before.Apply(d)
	page.Outcome = &Outcome{Number: number, ID: after.Last, ClosedAt: d.ClosedAt, Carried: d.Carried, Recounted: err == nil}
	return before, err
}

func (page *ProposalPage) describe(tx federation.Tx, before governance.View, p federation.Proposal) {
	effect := p.Content().Effect
	page.Changes, page.Lines = changes(before, effect)
	page.Special = before.Special(effect)
	rule := before.Rule(effect)
	page.Rule = votingRule(rule)
	page.Needed = (rule.QuorumPercent*page.Tally.Members + 99) / 100
	page.Ballots = ballotsOf(tx, before, p.ID)
	page.Missing = []protocol.MemberID{}
	for _, m := range before.Roster() {
		if !slices.ContainsFunc(page.Ballots, func(b Ballot) bool { return b.Member == m.Card.ID }) {
			page.Missing = append(page.Missing, m.Card.ID)
		}
	}
}

// Propose signs a proposal with the organisation's voting key and posts it. One
// without a closing date gets one that leaves time to find support. What could
// never be adopted is refused before it leaves.
func (n *Node) Propose(ctx context.Context, p protocol.Proposal) (protocol.Hash, error) {
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		p.Closes, err = closing(view.Rule(p.Effect), p.Closes, time.Now())
		return err
	})
	if err != nil {
		return protocol.Hash{}, err
	}
	if err := p.Check(); err != nil {
		return protocol.Hash{}, err
	}
	if policy := p.Effect.SetPolicy; policy != nil {
		if _, err := policies.Parse(policy.Name, policy.Text); err != nil {
			return protocol.Hash{}, err
		}
	}
	return voice(ctx, n, p)
}

// The time between a proposal and its support is not open time, and the
// charter's minimum is measured from the support.
const (
	hour = protocol.Span(3600 * 1000)
	day  = 24 * hour
	// supportWithin is what a proposal without a date leaves to find support,
	// supportAtLeast the least that one with a date must.
	supportWithin  = 3 * day
	supportAtLeast = hour
	// closesUsually is the date of a proposal where the charter has no minimum.
	closesUsually = 7 * day
)

// closing is when a proposal closes: as asked, or by default if that is zero.
// It refuses a date that leaves nobody the time to support the proposal.
func closing(rule protocol.VotingRule, asked protocol.Millis, now time.Time) (protocol.Millis, error) {
	slack := min(supportAtLeast, rule.MaxOpen-rule.MinOpen)
	if rule.MinOpen == 0 {
		slack = 0 // it only has to be supported before it closes
	}
	if asked == 0 {
		length := closesUsually
		if rule.MinOpen > 0 {
			length = rule.MinOpen + supportWithin
		}
		return protocol.At(now) + protocol.Millis(min(length, rule.MaxOpen)), nil
	}
	left := protocol.Span(asked - protocol.At(now))
	if left >= rule.MinOpen+slack && left <= rule.MaxOpen {
		return asked, nil
	}
	open := rule.Open()
	if left > rule.MaxOpen || rule.MinOpen == 0 {
		return 0, protocol.Refuse(federation.ErrRefused,
			"un tel vote reste ouvert %[1]s, dit la charte\u00a0; donnez une autre durée avec --closes",
			"such a vote stays open for %[2]s, says the charter; give another length with --closes", open.FR, open.EN)
	}
	least := (rule.MinOpen + slack).Words()
	return 0, protocol.Refuse(federation.ErrRefused,
		"un tel vote reste ouvert %[1]s une fois qu'une autre organisation l'a appuyé, dit la charte, et il faut le temps de trouver cet appui\u00a0; donnez au moins %[3]s avec --closes, ou rien",
		"such a vote stays open for %[2]s once another organisation has supported it, says the charter, and finding that support takes time; give at least %[4]s with --closes, or leave it out",
		open.FR, open.EN, least.FR, least.EN)
}

// Cosign supports the opening of another organisation's proposal.
func (n *Node) Cosign(ctx context.Context, id string) error {
	proposal, err := n.proposalID(id)
	if err != nil {
		return err
	}
	_, err = voice(ctx, n, protocol.Cosign{Proposal: proposal})
	return err
}

// Vote casts the organisation's ballot. It is public and final.
func (n *Node) Vote(ctx context.Context, id string, choice protocol.Choice) error {
	proposal, err := n.proposalID(id)
	if err != nil {
		return err
	}
	ballot := protocol.Ballot{Proposal: proposal, Choice: choice}
	if err := ballot.Check(); err != nil {
		return err
	}
	_, err = voice(ctx, n, ballot)
	return err
}

func (n *Node) proposalID(id string) (protocol.Hash, error) {
	var hash protocol.Hash
	err := n.witness.View(func(tx federation.Tx) error {
		p, err := findProposal(tx, id)
		hash = p.ID
		return err
	})
	return hash, err
}

// voice signs with the voting key, read for this one signature.
func voice[T protocol.Document[key.Vote]](ctx context.Context, n *Node, doc T) (protocol.Hash, error) {
	voting, err := n.VotingKey()
	if err != nil {
		return protocol.Hash{}, err
	}
	return author.Vote(ctx, n.author, voting, doc)
}

// ExportDecisions is the chain of decisions up to the one that closed a
// proposal, or all of it if no proposal is named: what anybody can recount
// without asking anybody.
func (n *Node) ExportDecisions(id string) (record.Chain, error) {
	var chain record.Chain
	err := n.witness.View(func(tx federation.Tx) error {
		founding, err := federation.Founding(tx)
		if err != nil {
			return err
		}
		chain = record.Chain{Format: record.ChainFormat, Founding: founding, Decisions: federation.Decisions(tx, 0)}
		if id == "" {
			return nil
		}
		p, err := findProposal(tx, id)
		if err != nil {
			return err
		}
		if p.Decision == 0 {
			return protocol.Refuse(federation.ErrRefused,
				"cette proposition n'est pas encore décidée\u00a0; il n'y a rien à recompter", "this proposal is not decided yet; there is nothing to recount")
		}
		chain.Decisions = chain.Decisions[:p.Decision]
		return nil
	})
	return chain, err
}
