package node

import (
	"context"
	"slices"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// Delegation is a voice that was lent, as both sides see it.
type Delegation struct {
	ID    protocol.Hash     `json:"id"`
	By    protocol.MemberID `json:"by"`
	To    protocol.MemberID `json:"to"`
	From  protocol.Millis   `json:"from_ms"`
	Until protocol.Millis   `json:"until_ms"`
}

// Delegations are those that stand and that this member has given or carries,
// the first to begin first.
func (n *Node) Delegations() ([]Delegation, error) {
	list := []Delegation{}
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err == nil {
			list = delegationsOf(tx, view, n.folder.Card.ID)
		}
		return err
	})
	return list, err
}

func delegationsOf(tx federation.Tx, view governance.View, self protocol.MemberID) []Delegation {
	list := []Delegation{}
	for _, m := range view.Roster() {
		for _, d := range federation.Delegations(tx, m.Card.ID) {
			content := d.Content()
			if content.Until >= federation.Time(tx) && (m.Card.ID == self || content.To == self) {
				list = append(list, Delegation{d.ID, m.Card.ID, content.To, content.From, content.Until})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Delegation) int { return int(a.From - b.From) })
	return list
}

// Delegate lends the organisation's voice to another member for the proposals
// that close within a span.
func (n *Node) Delegate(ctx context.Context, d protocol.Delegation) (protocol.Hash, error) {
	if err := d.Check(); err != nil {
		return protocol.Hash{}, err
	}
	return voice(ctx, n, d)
}

// Revoke ends a delegation that this organisation has given.
func (n *Node) Revoke(ctx context.Context, id string) error {
	var found []protocol.Hash
	err := n.witness.View(func(tx federation.Tx) error {
		for _, d := range federation.Delegations(tx, n.folder.Card.ID) {
			if len(id) >= minPrefix && strings.HasPrefix(d.ID.String(), id) {
				found = append(found, d.ID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return errPrefix
	}
	_, err = voice(ctx, n, protocol.Revocation{Delegation: found[0]})
	return err
}
