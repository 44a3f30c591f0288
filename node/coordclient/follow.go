package coordclient

import (
	"context"
	"errors"
	"time"

	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// errStuck: a replica hands out no more of the log, though there is more.
var errStuck = errors.New("the replica is behind, and does not catch up")

// lookAround is how often a follower compares how far it is with the leader.
const lookAround = 15 * time.Second

// Follow hands every entry from a sequence number on to take, in order, from
// whichever replica answers, until ctx ends or take fails. next tells where to
// go on after a broken stream. A replica that was cut off from the others goes
// on answering and hands out nothing more: it is left for the next one.
func (c *Client) Follow(ctx context.Context, next func() int64, take func(entry []byte) error) error {
	pause := firstPause
	for turn := 0; ; turn++ {
		addresses := c.everywhere()
		address := addresses[turn%len(addresses)]
		from := next()
		err, final := c.followOne(ctx, address, next, take)
		if final || ctx.Err() != nil {
			return err
		}
		c.cfg.Logger.DebugContext(ctx, "the log is followed from another replica", "address", address, "reason", err)
		if pause = min(2*pause, lastPause); next() > from {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(pause, toldToWait(err))):
		}
	}
}

func (c *Client) followOne(ctx context.Context, address string, next func() int64, take func([]byte) error) (err error, final bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stub, err := c.stub(address)
	if err != nil {
		return err, false
	}
	stream, err := stub.Follow(ctx, &wire.FollowRequest{From: next()}, grpc.MaxCallRecvMsgSize(maxEntry))
	if err != nil {
		return refusal.FromStatus(err), false
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.watchProgress(ctx, next, func() { cancel(errStuck) })
	}()
	defer func() { cancel(nil); <-watched }()
	for {
		reply, err := stream.Recv()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause, false
			}
			return refusal.FromStatus(err), false
		}
		if err := take(reply.GetEntry()); err != nil {
			return err, true
		}
	}
}

// watchProgress gives up on a stream over which nothing came between two looks
// although the leader has more.
func (c *Client) watchProgress(ctx context.Context, next func() int64, giveUp func()) {
	timer := time.NewTicker(c.cfg.lookAround())
	defer timer.Stop()
	for last := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if _, _, err := c.ask(ctx); err != nil {
			continue // nobody leads, and nothing can have been added
		}
		now := next()
		if now == last && now < c.known() {
			giveUp()
			return
		}
		last = now
	}
}

func (cfg Config) lookAround() time.Duration {
	if cfg.LookAround > 0 {
		return cfg.LookAround
	}
	return lookAround
}

// heard remembers how far a leader says that the log is.
func (c *Client) heard(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = max(c.size, size)
}

// known is how far the log is, as far as this client has heard. It is a
// replica's word, and only a reason to ask another one.
func (c *Client) known() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}
