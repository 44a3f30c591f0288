package federation

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// Proposal is a proposal in its life: waiting for a cosignature, open, closed.
type Proposal struct {
	ID       protocol.Hash                      `json:"id"`
	Signed   protocol.Signed[protocol.Proposal] `json:"signed"`
	Cosign   *protocol.Signed[protocol.Cosign]  `json:"cosign,omitempty"`
	OpenedAt protocol.Millis                    `json:"opened_at,omitzero"`
	// Decision is the number of the decision that closed it; 0 while open.
	Decision int `json:"decision,omitzero"`
}

// Open reports whether ballots are taken.
func (p Proposal) Open() bool { return p.Cosign != nil && p.Decision == 0 }

// Content is the proposal itself. It was verified before it was stored.
func (p Proposal) Content() protocol.Proposal {
	content, err := protocol.Peek(p.Signed)
	if err != nil {
		panic("federation: a stored proposal does not decode: " + err.Error())
	}
	return content
}

// FindProposal finds a proposal by its identity.
func FindProposal(tx Tx, id protocol.Hash) (Proposal, error) {
	p, ok := load[Proposal](tx, proposalKey(id))
	if !ok {
		return p, fmt.Errorf("%w: proposal %s", ErrNotFound, id.Short())
	}
	return p, nil
}

// Proposals are all of them, in order of identity.
func Proposals(tx Tx) []Proposal { return collect[Proposal](tx, "proposal/") }

// Ballots are those cast on a proposal, ascending by member.
func Ballots(tx Tx, id protocol.Hash) []protocol.Signed[protocol.Ballot] {
	return collect[protocol.Signed[protocol.Ballot]](tx, ballotKey(id, ""))
}

// Decisions are the chain after the first skip of them.
func Decisions(tx Tx, skip int) []protocol.Decision {
	chain := []protocol.Decision{}
	for number := skip + 1; ; number++ {
		d, ok := load[protocol.Decision](tx, decisionKey(number))
		if !ok {
			return chain
		}
		chain = append(chain, d)
	}
}

func proposalKey(id protocol.Hash) string { return "proposal/" + id.String() }
func decisionKey(number int) string       { return fmt.Sprintf("decision/%08d", number) }
func ballotKey(id protocol.Hash, by protocol.PartyID) string {
	return strings.Join([]string{"ballot", id.String(), string(by)}, "/")
}

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
	if err := checkExpulsion(tx, p.Effect); err != nil {
		return err
	}
	id := protocol.ID(view.Federation, s)
	if _, err := FindProposal(tx, id); err == nil {
		return ErrAlready
	}
	if err := wait(tx, s.By, pending{ID: id, Closes: p.Closes}, e.At); err != nil {
		return err
	}
	save(tx, proposalKey(id), Proposal{ID: id, Signed: s})
	return nil
}

// applyCosign opens the proposal, if the time left is within the charter's
// bounds for such a vote.
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
	if p.Cosign != nil {
		return ErrAlready
	}
	content := p.Content()
	rule := view.Rule(content.Effect)
	if left := protocol.Span(content.Closes - e.At); left <= 0 || left < rule.MinOpen || left > rule.MaxOpen {
		words, open := max(left, 0).Words(), rule.Open()
		return refuse("le vote resterait ouvert %[1]s; la charte demande qu'il le reste %[3]s, proposez-le avec une autre date",
			"the vote would stay open for %[2]s; the charter asks for %[4]s, propose it with another date", words.FR, words.EN, open.FR, open.EN)
	}
	p.Cosign, p.OpenedAt = &s, e.At
	save(tx, votingKey, append(loadOr(tx, votingKey, []protocol.Hash{}), p.ID))
	save(tx, proposalKey(p.ID), p)
	return nil
}

func applyBallot(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Ballot](tx, e)
	if err != nil {
		return err
	}
	view, p, err := findReferred(tx, s)
	if err != nil {
		return err
	}
	if _, err := view.CheckBallot(s); err != nil {
		return err
	}
	key := ballotKey(p.ID, s.By)
	if cast, voted := load[protocol.Signed[protocol.Ballot]](tx, key); voted {
		if bytes.Equal(cast.Body, s.Body) {
			return ErrAlready
		}
		return refuse("vous avez déjà voté; un bulletin est définitif", "you have voted already; a ballot is final")
	}
	if !p.Open() {
		return refuse("le vote n'est pas ouvert", "the vote is not open")
	}
	if e.At > p.Content().Closes {
		return refuse("le vote est terminé", "the vote is over")
	}
	save(tx, key, s)
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

// applyClose counts the votes and applies the decision. The replica states
// only that it is time; whoever replays the log counts again.
func applyClose(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Close](tx, e)
	if err != nil {
		return err
	}
	p, err := FindProposal(tx, doc.Proposal)
	if err != nil {
		return err
	}
	if p.Decision != 0 {
		return ErrAlready
	}
	if !p.Open() {
		return refuse("le vote n'est pas ouvert", "the vote is not open")
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	d, next, err := decide(tx, view, p, e.At)
	if err != nil {
		return err
	}
	save(tx, decisionKey(d.Number), d)
	save(tx, viewKey, next)
	p.Decision = d.Number
	save(tx, proposalKey(p.ID), p)
	settle(tx, p)
	if d.Carried {
		endOutruled(tx, d.Number, p.Content().Effect)
	}
	if next.Rolls > view.Rolls {
		beginCeremony(tx, next, e.At)
	}
	return nil
}

func decide(tx Tx, view governance.View, p Proposal, at protocol.Millis) (protocol.Decision, governance.View, error) {
	d := protocol.Decision{Proposal: p.Signed, Cosign: *p.Cosign, OpenedAt: p.OpenedAt, ClosedAt: at}
	for _, s := range Ballots(tx, p.ID) {
		// A member expelled while the vote was open no longer counts.
		if _, ok := view.Active(protocol.MemberID(s.By)); ok {
			d.Ballots = append(d.Ballots, s)
		}
	}
	content := p.Content()
	if !view.Due(content, len(d.Ballots), at) {
		closes := content.Closes.Time().Format("2006-01-02 15:04 MST")
		return d, view, refuse("le vote est ouvert jusqu'au %s, ou jusqu'à ce que tous aient voté",
			"the vote is open until %s, or until everybody has voted", closes)
	}
	d, err := view.Decide(d)
	if err != nil {
		return d, view, err
	}
	if err := checkExpulsion(tx, content.Effect); err != nil && d.Carried {
		return d, view, err
	}
	next, err := view.Apply(d)
	if errors.Is(err, governance.ErrChain) {
		panic("federation: the state is damaged: " + err.Error())
	}
	return d, next, err
}

// votersOf are the members in good standing that have cast a ballot.
func votersOf(tx Tx, view governance.View, id protocol.Hash) []protocol.MemberID {
	voters := []protocol.MemberID{}
	prefix := ballotKey(id, "")
	tx.Ascend(prefix, func(key, _ string) bool {
		voter := protocol.MemberID(strings.TrimPrefix(key, prefix))
		if _, ok := view.Active(voter); ok {
			voters = append(voters, voter)
		}
		return true
	})
	return voters
}

// checkExpulsion refuses to send away a holder of the key in use: it is needed
// to hand the key on, and would keep its share. Once the elected stewards hold
// the key, the vote closes.
func checkExpulsion(tx Tx, e protocol.Effect) error {
	if e.Expel == "" {
		return nil
	}
	k, ok := ActiveKey(tx)
	if !ok {
		return nil
	}
	if _, holds := k.Holder(e.Expel); holds {
		return refuse("le membre %s détient une part de la clé en usage; élisez d'autres gardiens et attendez qu'ils l'aient reçue",
			"the member %s holds a share of the key in use; elect other stewards and wait until they have it", e.Expel)
	}
	return nil
}

// again tells a document that says what the log holds already from one with
// which its author contradicts itself.
func again(said, now []byte) error {
	if bytes.Equal(said, now) {
		return ErrAlready
	}
	return refuse("l'auteur a déjà dit autre chose, et sa première réponse est définitive",
		"its author has said something else before, and the first answer is final")
}
