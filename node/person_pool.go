package node

import (
	"context"
	"errors"
	"slices"

	"coulisse/node/rounds"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// pool is what a house that takes part in a federation has of a person beyond
// its own data. A [Node] is one.
type pool interface {
	// holds lists the key epochs and the audiences with something of a person.
	holds(context.Context, warehouse.PersonID) ([]protocol.Epoch, []PersonAudience, error)
	// retokenise has a token made anew for who has another identifier, and drops
	// the labels that were given to the former one.
	retokenise(context.Context, warehouse.PersonID) error
	// erase takes a person out, and lists the rounds under way whose uploads may
	// have a pseudonym of the person.
	erase(context.Context, warehouse.PersonID) ([]protocol.RoundID, error)
	// sent lists the rounds of which there is an upload.
	sent(context.Context) ([]protocol.RoundID, error)
	// dependent lists the audiences in whose making this member took part.
	dependent() ([]DependentRound, error)
	// labels shows the people of each audience that was received.
	labels(func(protocol.RoundID, []warehouse.PersonID) error) error
	// place is the federation, and its log as this node knows it.
	place() (protocol.Hash, protocol.Head, error)
}

var _ pool = (*Node)(nil)

func (n *Node) holds(ctx context.Context, id warehouse.PersonID) ([]protocol.Epoch, []PersonAudience, error) {
	epochs, err := n.tokeniser.Holding(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	naming, err := n.rounds.Naming(id)
	if err != nil {
		return nil, nil, err
	}
	audiences := make([]PersonAudience, len(naming))
	err = n.witness.View(func(tx federation.Tx) error {
		for i, round := range naming {
			audiences[i].Round = round
			if r, err := federation.FindRound(tx, round); err == nil {
				audiences[i].Title = r.Content().Title
			}
		}
		return nil
	})
	return epochs, audiences, err
}

func (n *Node) retokenise(ctx context.Context, id warehouse.PersonID) error {
	if err := n.tokeniser.Renew(ctx, id); err != nil {
		return err
	}
	n.Imported() // for the new token
	return n.rounds.Erase(id)
}

func (n *Node) erase(ctx context.Context, id warehouse.PersonID) ([]protocol.RoundID, error) {
	if err := n.tokeniser.Erase(ctx, []warehouse.PersonID{id}); err != nil {
		return nil, err
	}
	if err := n.rounds.Erase(id); err != nil {
		return nil, err
	}
	return n.sent(ctx)
}

func (n *Node) sent(ctx context.Context) ([]protocol.RoundID, error) { return n.rounds.Sent(ctx) }

func (n *Node) labels(visit func(protocol.RoundID, []warehouse.PersonID) error) error {
	received, err := n.rounds.Received()
	for _, round := range received {
		people, err := n.rounds.Labelled(round)
		if errors.Is(err, rounds.ErrNoLabels) {
			continue // deleted meanwhile
		}
		if err == nil {
			err = visit(round, people)
		}
		if err != nil {
			return err
		}
	}
	return err
}

func (n *Node) place() (protocol.Hash, protocol.Head, error) {
	head, err := n.witness.Head()
	return n.membership.Federation, head, err
}

// maxDependent bounds the audiences that a receipt names: the latest.
const maxDependent = 1000

func (n *Node) dependent() ([]DependentRound, error) {
	dependent := []DependentRound{}
	self := n.folder.Card.ID
	err := n.witness.View(func(tx federation.Tx) error {
		for _, r := range federation.Rounds(tx) {
			m := r.Content()
			if r.Result == nil || !slices.Contains(m.Participants(), self) {
				continue
			}
			d := DependentRound{Round: r.ID, Recipients: []protocol.MemberID{}}
			for _, name := range m.Recipients {
				if owner := m.Owner(name); !slices.Contains(d.Recipients, owner) {
					d.Recipients = append(d.Recipients, owner)
				}
			}
			dependent = append(dependent, d)
		}
		dependent = dependent[max(0, len(dependent)-maxDependent):]
		return nil
	})
	return dependent, err
}
