package node

import (
	"context"
	"slices"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// followRoll goes where the coordinator's roll says that its replicas are, and
// keeps that for the next start: a coordinator may move, one replica after the
// other, until none is where the enrolment token said.
func (n *Node) followRoll(ctx context.Context) error {
	var addresses []string
	err := n.witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil || view.Roll.Number == 0 {
			return nil // the token's are right
		}
		for _, replica := range view.Roll.Replicas {
			addresses = append(addresses, replica.Address)
		}
		return nil
	})
	if err != nil || len(addresses) == 0 || slices.Equal(addresses, n.replicas) {
		return err
	}
	moved := Membership{Federation: n.membership.Federation, Addresses: addresses}
	text, err := protocol.Indented(moved)
	if err != nil {
		return err
	}
	if err := n.folder.replace(fileFederation, text); err != nil {
		return err
	}
	n.replicas = addresses
	n.client.Move(addresses)
	n.logger.InfoContext(ctx, "the coordinator's replicas have changed", "replicas", len(addresses))
	return nil
}
