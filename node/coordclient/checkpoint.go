package coordclient

import (
	"context"

	"coulisse/protocol/wire"
)

// Checkpoint returns the leader's latest checkpoint, still to be verified.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	var note []byte
	err := c.patiently(ctx, func() error {
		return c.tryLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) (err error) {
			note, err = checkpoint(ctx, stub)
			return err
		})
	})
	return note, err
}

func checkpoint(ctx context.Context, stub wire.CoordinatorClient) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	reply, err := stub.Checkpoint(ctx, &wire.CheckpointRequest{})
	return reply.GetNote(), err
}

// EachCheckpoint returns what every replica says by itself, still to be
// verified; nothing for those that do not answer.
func (c *Client) EachCheckpoint(ctx context.Context) [][]byte {
	var notes [][]byte
	for _, address := range c.everywhere() {
		err := c.try(ctx, address, func(ctx context.Context, stub wire.CoordinatorClient) error {
			note, err := checkpoint(ctx, stub)
			if err == nil {
				notes = append(notes, note)
			}
			return err
		})
		if err != nil {
			c.cfg.Logger.DebugContext(ctx, "a replica gave no checkpoint", "address", address, "reason", err)
		}
	}
	return notes
}

// Cosign hands in a checkpoint with this member's cosignature.
func (c *Client) Cosign(ctx context.Context, note []byte) error {
	return c.patiently(ctx, func() error {
		return c.tryLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			_, err := stub.Cosign(ctx, &wire.CosignRequest{Note: note})
			return err
		})
	})
}
