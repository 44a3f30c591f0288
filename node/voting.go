package node

import (
	"context"
	"slices"
	"time"

	"coulisse/crypto/key"
	"coulisse/node/author"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// Propose signs a proposal with the organisation's voting key and posts it. One
// without a closing date gets one that leaves time to find support. What could
// never be adopted is refused before it leaves.
func (n *Node) Propose(ctx context.Context, p protocol.Proposal) (protocol.Hash, error) {
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		if change := p.Effect.SetCharter; change != nil && change.From.IsZero() {
			if change.From, err = view.Charter.ID(); err != nil {
				return err
			}
		}
		opens := time.Now()
		if p.Opens > protocol.At(opens) {
			opens = p.Opens.Time()
		}
		p.Closes, err = closing(view.Rule(p.Effect), p.Closes, opens)
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

// Vote is what a ballot says on one proposal, which is named by its identity or
// the beginning of it.
type Vote struct {
	Choice   protocol.Choice `json:"choice"`
	Proposal string          `json:"proposal"`
}

// Vote casts a ballot, on one proposal or an agenda of them: the organisation's own
// if no member is named, or that of a member which has given it its voice. All of it
// is counted, or nothing. It is public and final, but for the member that votes itself
// after its proxy.
func (n *Node) Vote(ctx context.Context, member protocol.MemberID, votes ...Vote) error {
	if len(votes) > protocol.MaxVotes {
		return protocol.Refuse(federation.ErrRefused,
			"un bulletin porte sur %d propositions au plus ; donnez-en plusieurs", "a ballot is on %d proposals at most; cast several", protocol.MaxVotes)
	}
	named := make([]protocol.Vote, 0, len(votes))
	for _, v := range votes {
		proposal, err := n.proposalID(v.Proposal)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(named, func(earlier protocol.Vote) bool { return earlier.Proposal == proposal }) {
			return protocol.Refuse(federation.ErrRefused,
				"la proposition %s est deux fois sur ce bulletin ; rien n'est signé", "proposal %s is on this ballot twice; nothing was signed", proposal.Short())
		}
		named = append(named, protocol.Vote{Choice: v.Choice, Proposal: proposal})
	}
	ballot := protocol.NewBallot(named...)
	if member != "" && member != n.folder.Card.ID {
		ballot.For = member
	}
	if err := ballot.Check(); err != nil {
		return err
	}
	_, err := voice(ctx, n, ballot)
	return err
}

// Withdraw takes back a proposal of this organisation.
func (n *Node) Withdraw(ctx context.Context, id string) error {
	proposal, err := n.proposalID(id)
	if err != nil {
		return err
	}
	_, err = voice(ctx, n, protocol.Withdrawal{Proposal: proposal})
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
