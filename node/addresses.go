package node

import (
	"context"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// followRoll goes where the coordinator's roll says that its replicas are, and
// keeps that for the next start: a coordinator may move, one replica after the
// other, until none is where the enrolment token said. A token that is newer
// than this node's copy of the log is right until the log has caught up.
func (n *Node) followRoll(ctx context.Context) error {
	roll, err := n.roll()
	if err != nil || roll.Number == 0 {
		return err // the token's are right
	}
	if n.outdated() {
		n.renewNow()
	}
	if roll.Number <= n.route().Roll {
		return nil
	}
	moved := Membership{Federation: n.membership.Federation, Route: roll.Route()}
	text, err := protocol.Indented(moved)
	if err != nil {
		return err
	}
	if err := n.folder.replace(fileFederation, text); err != nil {
		return err
	}
	n.way.Store(&moved.Route)
	n.client.Move(moved.Route.Addresses)
	n.logger.InfoContext(ctx, "the coordinator's roll has changed", "roll", roll.Number, "replicas", len(roll.Replicas))
	return nil
}

// roll is the one in force as far as this node has read; its number is 0 while
// that is the genesis's, or while there is no log.
func (n *Node) roll() (roll protocol.Roll, err error) {
	err = n.witness.View(func(tx federation.Tx) error {
		if view, err := federation.View(tx); err == nil {
			roll = view.Roll
		}
		return nil
	})
	return roll, err
}

// route is how this node reaches the coordinator now.
func (n *Node) route() protocol.Route { return *n.way.Load() }

// trusts tells whether it is the key of a replica: one of the route that the
// node keeps, or one of a newer roll that it has just read.
func (n *Node) trusts(key protocol.Hash) bool {
	if n.route().Lists(key) {
		return true
	}
	roll, err := n.roll()
	return err == nil && roll.Number >= n.route().Roll && roll.Route().Lists(key)
}

// outdated tells whether certificates come from other authorities now than the
// one that this node's is by.
func (n *Node) outdated() bool {
	roll, err := n.roll()
	return err == nil && roll.Number > 0 && roll.Number >= n.route().Roll && !roll.Issues(n.certificate.issuer())
}

// renewNow has the certificate renewed before its time.
func (n *Node) renewNow() {
	select {
	case n.reissue <- struct{}{}:
	default:
	}
}
