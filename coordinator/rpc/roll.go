package rpc

import (
	"context"

	"coulisse/coordinator/sequencer"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/wire"
)

// maxEndorsement bounds one, in bytes.
const maxEndorsement = 4 << 10

// Endorse implements wire.CoordinatorServer: the operator asks each replica,
// and a majority of them makes a roll.
func (s *Service) Endorse(_ context.Context, req *wire.EndorseRequest) (*wire.EndorseReply, error) {
	roll, err := decodeRoll(req.GetRoll())
	if err != nil {
		return nil, s.refuse(err)
	}
	id, err := roll.ID()
	if err != nil {
		return nil, s.refuse(err)
	}
	var endorsement []byte
	err = s.Log.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		if err := view.CheckNextRoll(roll); err != nil {
			return err
		}
		signed, err := sequencer.Sign(s.Log, tx, protocol.Endorsement{Roll: id})
		if err != nil {
			return err
		}
		endorsement, err = protocol.Canonical(signed)
		return err
	})
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.EndorseReply{Endorsement: endorsement}, nil
}

func decodeRoll(raw []byte) (protocol.Roll, error) {
	if len(raw) > protocol.MaxDocument {
		return protocol.Roll{}, protocol.ErrMalformed
	}
	return protocol.Decode[protocol.Roll](raw)
}

// ChangeRoll implements wire.CoordinatorServer.
func (s *Service) ChangeRoll(ctx context.Context, req *wire.ChangeRollRequest) (*wire.ChangeRollReply, error) {
	if _, err := s.Leadership.Lead(); err != nil {
		return nil, s.refuse(err)
	}
	roll, err := decodeRoll(req.GetRoll())
	if err == nil {
		// Before it is replicated: a replica that does not know the rules of a
		// committed roll has to stop.
		err = s.Log.View(func(tx federation.Tx) error {
			view, err := federation.View(tx)
			if err != nil {
				return err
			}
			return view.CheckNextRoll(roll)
		})
	}
	if err == nil {
		err = s.CheckRoll(roll)
	}
	if err != nil {
		return nil, s.refuse(err)
	}
	change := protocol.RollChange{Roll: roll}
	if len(req.GetEndorsements()) > protocol.MaxReplicas {
		return nil, s.refuse(protocol.ErrMalformed)
	}
	for _, raw := range req.GetEndorsements() {
		if len(raw) > maxEndorsement {
			return nil, s.refuse(protocol.ErrMalformed)
		}
		endorsement, err := protocol.Decode[protocol.Signed[protocol.Endorsement]](raw)
		if err != nil {
			return nil, s.refuse(err)
		}
		change.Endorsements = append(change.Endorsements, endorsement)
	}
	return &wire.ChangeRollReply{}, s.refuse(sequencer.Post(ctx, s.Log, change))
}
