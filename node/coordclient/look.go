package coordclient

import (
	"context"
	"time"

	"coulisse/protocol/refusal"
)

// Look is what a replica says of itself, between two moments of this machine.
type Look struct {
	Leads           bool
	Size            int64
	Clock           time.Time
	Asked, Answered time.Time
}

// Look asks the replica at one address.
func (c *Client) Look(ctx context.Context, address string) (Look, error) {
	l := Look{Asked: time.Now()}
	reply, err := c.status(ctx, address)
	l.Answered = time.Now()
	if err != nil {
		return l, refusal.FromStatus(err)
	}
	l.Leads, l.Size = reply.GetState() == "leader", reply.GetLogSize()
	l.Clock = time.UnixMilli(reply.GetNowMs())
	return l, nil
}
