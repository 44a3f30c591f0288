package rpc

import (
	"context"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/wire"
)

// Checkpoint implements wire.CoordinatorServer. Any replica answers with its
// own, so that nodes can hold them against each other.
func (s *Service) Checkpoint(context.Context, *wire.CheckpointRequest) (*wire.CheckpointReply, error) {
	c, err := s.Notary.Latest()
	if err != nil {
		return nil, s.refuse(err)
	}
	return &wire.CheckpointReply{Note: []byte(c.String())}, nil
}

// Cosign implements wire.CoordinatorServer.
func (s *Service) Cosign(ctx context.Context, req *wire.CosignRequest) (*wire.CosignReply, error) {
	if len(req.GetNote()) > checkpoint.MaxNote {
		return nil, s.refuse(protocol.Refuse(protocol.ErrMalformed,
			"un point de contrôle a au plus %d octets", "a checkpoint has at most %d bytes", checkpoint.MaxNote))
	}
	if _, err := s.Leadership.Lead(); err != nil {
		return nil, s.refuse(err)
	}
	return &wire.CosignReply{}, s.refuse(s.Notary.Keep(callingMember(ctx), req.GetNote()))
}
