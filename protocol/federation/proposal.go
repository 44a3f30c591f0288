package federation

import (
	"fmt"
	"slices"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// Proposal is a proposal in its life. [Proposal.State] says where it is.
type Proposal struct {
	ID      protocol.Hash                      `json:"id"`
	Signed  protocol.Signed[protocol.Proposal] `json:"signed"`
	Cosigns []protocol.Signed[protocol.Cosign] `json:"cosigns,omitempty"` // ascending by member
	// OpenedAt is from when on ballots are taken; 0 while support is missing.
	OpenedAt protocol.Millis `json:"opened_at,omitzero"`
	// Decision is the number of the decision that closed it; 0 while open.
	Decision int  `json:"decision,omitzero"`
	Carried  bool `json:"carried,omitzero"`
	// Withdrawn says that its author has taken it back, and Replaced by which
	// later version, if by one.
	Withdrawn bool          `json:"withdrawn,omitzero"`
	Replaced  protocol.Hash `json:"replaced,omitzero"`

	content *protocol.Proposal // decoded from Signed, if it was loaded
}

// ProposalState is where a proposal is in its life.
type ProposalState string

// The states of a proposal.
const (
	ProposalWaiting   ProposalState = "waiting"   // for the support of others
	ProposalScheduled ProposalState = "scheduled" // supported; its opening date is to come
	ProposalOpen      ProposalState = "open"      // ballots are taken
	ProposalCarried   ProposalState = "carried"
	ProposalRejected  ProposalState = "rejected"
	ProposalLapsed    ProposalState = "lapsed" // its date came without support
	ProposalWithdrawn ProposalState = "withdrawn"
	ProposalReplaced  ProposalState = "replaced" // by a later version
)

// State is where the proposal is at a time of the log.
func (p Proposal) State(at protocol.Millis) ProposalState {
	switch {
	case p.Decision > 0 && p.Carried:
		return ProposalCarried
	case p.Decision > 0:
		return ProposalRejected
	case !p.Replaced.IsZero():
		return ProposalReplaced
	case p.Withdrawn:
		return ProposalWithdrawn
	case p.OpenedAt == 0 && at > p.Content().Closes:
		return ProposalLapsed
	case p.OpenedAt == 0:
		return ProposalWaiting
	case at < p.OpenedAt:
		return ProposalScheduled
	}
	return ProposalOpen
}

// Content is the proposal itself. It was verified before it was stored.
func (p Proposal) Content() protocol.Proposal {
	if p.content != nil {
		return *p.content
	}
	content, err := protocol.Peek(p.Signed)
	if err != nil {
		panic("federation: a stored proposal does not decode: " + err.Error())
	}
	return content
}

// FindProposal finds a proposal by its identity.
func FindProposal(tx Tx, id protocol.Hash) (Proposal, error) {
	raw, ok := tx.Get(proposalKey(id))
	if !ok {
		return Proposal{}, fmt.Errorf("%w: proposal %s", ErrNotFound, id.Short())
	}
	return lastProposals.decode(proposalKey(id), raw), nil
}

// lastProposals are those that were read last: every ballot reads the one that
// it is on.
var lastProposals = newMemo(func(p *Proposal) {
	content := p.Content()
	p.content = &content
})

// Proposals are all of them, in order of identity.
func Proposals(tx Tx) []Proposal { return collect[Proposal](tx, "proposal/") }

func proposalKey(id protocol.Hash) string { return "proposal/" + id.String() }

func applyProposal(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Proposal](tx, e)
	if err != nil {
		return err
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	p, err := view.CheckProposal(s)
	if err != nil {
		return err
	}
	if p.Closes <= e.At {
		return refuse("la proposition se fermerait avant de s'ouvrir; donnez-lui une date à venir",
			"the proposal closes before it could open; give it a date to come")
	}
	if err := checkTimely(tx, view, p.Effect); err != nil {
		return err
	}
	id := protocol.ID(view.Federation, s)
	if _, err := FindProposal(tx, id); err == nil {
		return ErrAlready
	}
	if !p.Amends.IsZero() {
		if err := amend(tx, s.By, p.Amends, id, e.At); err != nil {
			return err
		}
	}
	if err := wait(tx, s.By, pending{ID: id, Closes: p.Closes}, e.At); err != nil {
		return err
	}
	save(tx, proposalKey(id), Proposal{ID: id, Signed: s})
	return nil
}

// amend ends the version of a proposal that a later one takes the place of.
func amend(tx Tx, by protocol.PartyID, earlier, later protocol.Hash, at protocol.Millis) error {
	p, err := FindProposal(tx, earlier)
	if err != nil {
		return err
	}
	if err := checkOwned(tx, p, by, at); err != nil {
		return err
	}
	p.Withdrawn, p.Replaced = true, later
	save(tx, proposalKey(p.ID), p)
	settle(tx, p)
	return nil
}

// checkOwned refuses what only an author may do, and only until somebody else
// has voted: from then on the proposal is the members'. A ballot that the author
// has cast as another's proxy is the author's doing, and holds nothing back.
func checkOwned(tx Tx, p Proposal, by protocol.PartyID, at protocol.Millis) error {
	if p.Signed.By != by {
		return refuse("cette proposition est celle d'un autre membre", "the proposal is another member's")
	}
	switch p.State(at) {
	case ProposalWaiting, ProposalScheduled, ProposalOpen:
	default:
		return refuse("cette proposition n'est plus en cours", "the proposal is no longer under way")
	}
	for _, b := range castOn(tx, p.ID) {
		if b.By != by {
			return refuse("d'autres membres ont déjà voté; la proposition est maintenant la leur",
				"other members have voted already; the proposal is theirs now")
		}
	}
	return nil
}

// applyCosign supports a proposal. The last support that the charter asks for
// opens it, if the time left is within the charter's bounds for such a vote.
func applyCosign(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Cosign](tx, e)
	if err != nil {
		return err
	}
	view, p, err := findReferred(tx, s)
	if err != nil {
		return err
	}
	if _, err := view.CheckCosign(s, p.Signed.By); err != nil {
		return err
	}
	i, found := slices.BinarySearchFunc(p.Cosigns, s.By, func(c protocol.Signed[protocol.Cosign], by protocol.PartyID) int {
		return strings.Compare(string(c.By), string(by))
	})
	if found || p.OpenedAt != 0 {
		return ErrAlready
	}
	if p.State(e.At) != ProposalWaiting {
		return refuse("cette proposition n'attend plus d'appui", "the proposal no longer waits for support")
	}
	p.Cosigns = slices.Insert(slices.Clone(p.Cosigns), i, s)
	if view.Supported(p.Cosigns) {
		if err := open(tx, view, &p, e.At); err != nil {
			return err
		}
	}
	save(tx, proposalKey(p.ID), p)
	return nil
}

func open(tx Tx, view governance.View, p *Proposal, at protocol.Millis) error {
	content := p.Content()
	p.OpenedAt = max(at, content.Opens)
	rule := view.Rule(content.Effect)
	if left := protocol.Span(content.Closes - p.OpenedAt); left <= 0 || left < rule.MinOpen || left > rule.MaxOpen {
		words, open := max(left, 0).Words(), rule.Open()
		return refuse("le vote resterait ouvert %[1]s; la charte demande qu'il le reste %[3]s, proposez-le avec une autre date",
			"the vote would stay open for %[2]s; the charter asks for %[4]s, propose it with another date", words.FR, words.EN, open.FR, open.EN)
	}
	save(tx, votingKey, append(loadOr(tx, votingKey, []protocol.Hash{}), p.ID))
	return nil
}

func applyWithdrawal(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Withdrawal](tx, e)
	if err != nil {
		return err
	}
	view, p, err := findReferred(tx, s)
	if err != nil {
		return err
	}
	if _, err := governance.CheckOwn(view, s); err != nil {
		return err
	}
	if p.Withdrawn && p.Signed.By == s.By {
		return ErrAlready
	}
	if err := checkOwned(tx, p, s.By, e.At); err != nil {
		return err
	}
	p.Withdrawn = true
	save(tx, proposalKey(p.ID), p)
	settle(tx, p)
	return nil
}

// findReferred finds the proposal that an unverified document speaks of.
func findReferred[T interface{ Refers() protocol.Hash }](tx Tx, s protocol.Signed[T]) (governance.View, Proposal, error) {
	view, err := View(tx)
	if err != nil {
		return view, Proposal{}, err
	}
	doc, err := protocol.Peek(s)
	if err != nil {
		return view, Proposal{}, err
	}
	p, err := FindProposal(tx, doc.Refers())
	return view, p, err
}
