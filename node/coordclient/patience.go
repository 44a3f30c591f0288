package coordclient

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"coulisse/protocol/refusal"
)

// patiently makes a call again for as long as it is refused because this node
// asks too fast, each time after the wait that it is told. A wait that ctx would
// cut short is not begun: the refusal says more than that time is up.
func (c *Client) patiently(ctx context.Context, call func() error) error {
	for {
		err := call()
		wait := toldToWait(err)
		if wait == 0 {
			return err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return err
		}
		c.cfg.Logger.DebugContext(ctx, "the coordinator asks to wait", "wait", wait)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// toldToWait is how long a refusal asks to wait, and up to a fifth more, so that
// those who were refused together do not come back together; else 0.
func toldToWait(err error) time.Duration {
	wait, ok := refusal.RetryAfter(err)
	if !ok || !errors.Is(err, refusal.ErrFull) {
		return 0
	}
	wait = max(wait, firstPause)
	draw := make([]byte, 8)
	rand.Read(draw)
	return wait + time.Duration(binary.BigEndian.Uint64(draw)%uint64(wait/5))
}
