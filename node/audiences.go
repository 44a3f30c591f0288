package node

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"coulisse/crypto/dp"
	"coulisse/node/author"
	"coulisse/node/draft"
	"coulisse/node/identity"
	"coulisse/node/segment"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// ErrDenied: the policies in force, or the member's own, deny what was asked.
// Nothing left the node. The words name the rules, and what would pass.
var ErrDenied = errors.New("the policies deny this")

// denied is an [ErrDenied] in the words of the rules.
type denied struct{ decision policies.Decision }

func (d denied) Error() string        { return ErrDenied.Error() + ": " + policies.Explain(d.decision, "en") }
func (d denied) Unwrap() error        { return ErrDenied }
func (d denied) Words() protocol.Text { return d.decision.Refusal() }

// Draft is an audience drawn up and not sent: the manifest, what it would
// cost, this member's own side of it, and whether the policies allow it.
type Draft struct {
	Manifest protocol.Manifest `json:"manifest"`
	Rule     protocol.Text     `json:"rule"`
	Cost     dp.NanoRho        `json:"cost_nano_rho"`
	Left     dp.NanoRho        `json:"left_nano_rho"` // before it
	// Own is what this member would upload, exact, for the member alone.
	Own      []OwnSource       `json:"own"`
	Decision policies.Decision `json:"decision"`
}

// OwnSource is the preview of one source.
type OwnSource struct {
	Source protocol.SourceName `json:"source"`
	Words  protocol.Text       `json:"words"`
	People int64               `json:"people"`
}

// DraftAudience draws an audience up and holds it against the policies.
// Nothing leaves the node.
func (n *Node) DraftAudience(ctx context.Context, a draft.Audience) (Draft, error) {
	if err := n.resolveSegment(ctx, &a); err != nil {
		return Draft{}, err
	}
	known, err := n.known()
	if err != nil {
		return Draft{}, err
	}
	m, err := a.Manifest(known)
	if err != nil {
		return Draft{}, err
	}
	return n.Preview(ctx, m)
}

// resolveSegment takes the audience's definition from a segment.
func (n *Node) resolveSegment(ctx context.Context, a *draft.Audience) error {
	if a.Segment == "" {
		return nil
	}
	if a.Definition != nil {
		return protocol.Refuse(draft.ErrDraft, "une audience a une définition ou un segment, pas les deux", "an audience has a definition or a segment, not both")
	}
	s, err := n.segments.Get(ctx, a.Segment)
	if err != nil {
		return err
	}
	if !s.Pooled {
		return protocol.Refuse(draft.ErrDraft,
			"le segment %s n'est pas offert aux audiences mutualisées\u00a0; enregistrez-le de nouveau avec --pooled",
			"the segment %s is not offered to pooled audiences; save it again with --pooled", a.Segment)
	}
	a.Definition = &s.Definition
	return nil
}

// known is what drawing up needs to know of the federation.
func (n *Node) known() (draft.Known, error) {
	k := draft.Known{Self: n.folder.Card.ID, Now: time.Now(), Epoch: n.roundEpoch}
	err := n.witness.View(func(tx federation.Tx) (err error) {
		k.View, err = federation.View(tx)
		return err
	})
	return k, err
}

// roundEpoch is the key epoch of a round between these members now.
func (n *Node) roundEpoch(participants []protocol.MemberID) (epoch protocol.Epoch, err error) {
	err = n.witness.View(func(tx federation.Tx) (err error) {
		epoch, err = federation.RoundEpoch(tx, participants)
		return err
	})
	return epoch, err
}

// Preview holds a manifest against the policies, and counts this member's own
// side of it.
func (n *Node) Preview(ctx context.Context, m protocol.Manifest) (Draft, error) {
	if err := m.Check(); err != nil {
		return Draft{}, err
	}
	d := Draft{Manifest: m, Rule: ruleWords(m), Own: []OwnSource{}}
	var err error
	if d.Cost, err = m.Cost(); err != nil {
		return d, err
	}
	if d.Decision, err = n.decide(m); err != nil {
		return d, err
	}
	err = n.witness.View(func(tx federation.Tx) error {
		ledger, err := federation.ReadLedger(tx)
		d.Left = ledger.Left()
		return err
	})
	if err != nil {
		return d, err
	}
	for _, s := range m.Sources {
		if s.Member != n.folder.Card.ID {
			continue
		}
		people, err := n.warehouse.Count(ctx, s.Definition, protocol.PurposePooling)
		if err != nil {
			return d, err
		}
		d.Own = append(d.Own, OwnSource{s.Name, definitionWords(s.Definition), people})
	}
	return d, nil
}

func (n *Node) decide(m protocol.Manifest) (policies.Decision, error) {
	return n.rounds.Decide(protocol.Hash{}, m, n.folder.Card.ID, protocol.At(time.Now()))
}

func definitionWords(d protocol.Definition) protocol.Text {
	return protocol.Text{FR: segment.Explain(d, "fr"), EN: segment.Explain(d, "en")}
}

// ruleWords say the rule with the members' names for their sources.
func ruleWords(m protocol.Manifest) protocol.Text {
	name := func(s protocol.SourceName) string { return string(s) }
	return protocol.Text{FR: m.Rule.Words("fr", name), EN: m.Rule.Words("en", name)}
}

// RunAudience signs a manifest as its initiator and posts it. What this node
// itself would refuse never leaves it. If the members decided something since
// it was drawn up, it is drawn up once more under that decision.
func (n *Node) RunAudience(ctx context.Context, m protocol.Manifest) (protocol.RoundID, error) {
	// First: package policies, and the words of a rule, rely on it.
	if err := m.Check(); err != nil {
		return "", err
	}
	id, err := n.post(ctx, m)
	if err == nil || !errors.Is(err, federation.ErrRefused) {
		return id, err
	}
	again, changed := n.drawnUpAgain(ctx, m)
	if !changed {
		return id, err
	}
	return n.post(ctx, again)
}

func (n *Node) post(ctx context.Context, m protocol.Manifest) (protocol.RoundID, error) {
	decision, err := n.decide(m)
	if err != nil {
		return "", err
	}
	if !decision.Allowed {
		return "", denied{decision}
	}
	return m.Round, author.Post(ctx, n.author, m)
}

// catchUp is how long this node waits to read the decision because of which a
// manifest was refused.
const catchUp = 3 * time.Second

// drawnUpAgain puts a manifest under the last decision, once this node has
// read one that the manifest does not know. The same people are asked the
// same.
func (n *Node) drawnUpAgain(ctx context.Context, m protocol.Manifest) (protocol.Manifest, bool) {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for {
		grown := n.witness.Grown()
		known, err := n.known()
		if err != nil {
			return m, false
		}
		epoch, err := known.Epoch(m.Participants())
		if err != nil {
			return m, false
		}
		if known.View.Last != m.Policies || epoch != m.Epoch {
			m.Round, m.Policies, m.Epoch = draft.NewRound(), known.View.Last, epoch
			return m, true
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return m, false
		}
	}
}

// LabelledPeople are the member's own people who belong to an audience and
// consent to activation now. They are identifiers: for the member's own use.
func (n *Node) LabelledPeople(ctx context.Context, id string) (iter.Seq2[identity.Identifier, error], error) {
	round, err := n.roundID(id)
	if err != nil {
		return nil, err
	}
	people, err := n.rounds.Labelled(round)
	if err != nil {
		return nil, err
	}
	return func(yield func(identity.Identifier, error) bool) {
		for person, err := range n.warehouse.Identifiers(ctx, people) {
			if !yield(person.Identifier, err) {
				return
			}
		}
	}, nil
}

func findRound(tx federation.Tx, id string) (federation.Round, error) {
	if round, err := federation.FindRound(tx, protocol.RoundID(id)); err == nil {
		return round, nil
	}
	var found []federation.Round
	for _, round := range federation.Rounds(tx) {
		if len(id) >= minPrefix && strings.HasPrefix(string(round.ID), id) {
			found = append(found, round)
		}
	}
	if len(found) != 1 {
		return federation.Round{}, errPrefix
	}
	return found[0], nil
}

func (n *Node) roundID(id string) (protocol.RoundID, error) {
	var round federation.Round
	err := n.witness.View(func(tx federation.Tx) (err error) {
		round, err = findRound(tx, id)
		return err
	})
	return round.ID, err
}

// underDecision is the number of the decision under which a manifest was drawn
// up: 0 for the genesis.
func underDecision(tx federation.Tx, view governance.View, m protocol.Manifest) int {
	if m.Policies == view.Last {
		return view.Decisions
	}
	chain := federation.Decisions(tx, 0)
	i := slices.IndexFunc(chain, func(d protocol.Decision) bool { return d.Previous == m.Policies })
	return max(i, 0) // decision i+1 follows it
}
