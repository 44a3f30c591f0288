package coordinator

import (
	"context"
	"errors"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/wire"
)

// stated is what a replica states of the roll in force.
type stated struct {
	by   consensus.Address
	size int64 // of its log
	roll protocol.Roll
}

// believed is the roll in force. It says whom the office believes, and where it
// sends the nodes that enrol, so the office takes no replica's word for one that
// it does not know: it reads the log and verifies it, as every node does.
func (o *Office) believed(ctx context.Context, s stated) (protocol.Roll, error) {
	known := protocol.Roll{Number: o.card.Roll, Rules: s.roll.Rules}
	for i, r := range o.card.Replicas {
		r.Address = string(o.card.Addresses[i]) // the genesis's has none
		known.Replicas = append(known.Replicas, r)
	}
	if s.roll.Number <= known.Number {
		return known, nil
	}
	founding, err := o.Founding(ctx)
	if err != nil {
		return known, err
	}
	id, err := founding.Genesis.ID()
	if err != nil {
		return known, err
	}
	var log federation.Memory
	err = o.call(s.by, func(stub wire.CoordinatorClient) error { return readLog(ctx, stub, &log, s.size) })
	if isDenial(err) {
		return known, err
	}
	view, unread := federation.View(&log)
	if err = errors.Join(err, unread); err != nil || view.Federation != id || view.Roll.Number <= known.Number {
		return known, protocol.Refuse(governance.ErrRoll,
			"la réplique à %[1]s annonce une liste de répliques que son journal ne prouve pas; le bureau garde la sienne; vérifiez cette machine",
			"the replica at %[1]s states a roll of replicas that its log does not prove; the office keeps its own; check that machine", s.by)
	}
	return view.Roll, nil
}
