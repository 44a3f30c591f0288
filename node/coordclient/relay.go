package coordclient

import (
	"context"
	"fmt"
	"sync"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// Bounds of what waits for the relay stream. A parcel over maxParcel would end
// the stream for all others.
const (
	maxParcel  = 1 << 20
	maxWaiting = 256      // parcels
	maxBytes   = 32 << 20 // of them
)

// outbox is a queue that never holds up a sender: while no stream is up, the
// oldest parcels make room. Their senders repeat what is not answered.
type outbox struct {
	// mu guards the parcels and their sum.
	mu      sync.Mutex
	parcels []*wire.Parcel
	bytes   int
	filled  chan struct{} // capacity 1; full when there is something
}

func (o *outbox) put(p *wire.Parcel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parcels = append(o.parcels, p)
	o.bytes += len(p.GetSealed())
	for len(o.parcels) > maxWaiting || o.bytes > maxBytes {
		o.drop()
	}
	o.signal()
}

// take returns the oldest parcel, or nil.
func (o *outbox) take() *wire.Parcel {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.parcels) == 0 {
		return nil
	}
	first := o.drop()
	if len(o.parcels) > 0 {
		o.signal()
	}
	return first
}

func (o *outbox) drop() *wire.Parcel {
	first := o.parcels[0]
	o.parcels[0] = nil
	o.parcels = o.parcels[1:]
	o.bytes -= len(first.GetSealed())
	return first
}

func (o *outbox) signal() {
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// Send gives a sealed letter to the relay, and does not wait. It may be lost,
// before it leaves, on the way or with a leader: the sender repeats what is not
// answered.
func (c *Client) Send(_ context.Context, to protocol.MemberID, sealed []byte) error {
	if len(sealed) > maxParcel {
		return fmt.Errorf("%w: a parcel has at most %d bytes", protocol.ErrMalformed, maxParcel)
	}
	c.outbox.put(&wire.Parcel{To: string(to), Sealed: sealed})
	return nil
}

// Relay keeps a stream to the leader's relay until ctx ends, and hands each
// parcel that comes to receive, one at a time.
func (c *Client) Relay(ctx context.Context, receive func(from protocol.MemberID, sealed []byte)) {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
		connected := time.Now()
		err := c.relayOnce(ctx, receive)
		if ctx.Err() != nil {
			return
		}
		if time.Since(connected) > answer {
			pause = firstPause
		}
		c.cfg.Logger.DebugContext(ctx, "the relay is connected again", "reason", err)
		select {
		case <-ctx.Done():
		case <-time.After(max(pause, toldToWait(err))):
		}
	}
}

func (c *Client) relayOnce(ctx context.Context, receive func(protocol.MemberID, []byte)) error {
	return c.tryLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := stub.Relay(ctx)
		if err != nil {
			return err
		}
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			c.sendParcels(ctx, stream.Send)
			cancel() // and Recv says why
		}()
		for {
			parcel, err := stream.Recv()
			if err != nil {
				cancel()
				<-sending
				return err
			}
			receive(protocol.MemberID(parcel.GetFrom()), parcel.GetSealed())
		}
	})
}

func (c *Client) sendParcels(ctx context.Context, send func(*wire.Parcel) error) {
	for {
		parcel := c.outbox.take()
		if parcel == nil {
			select {
			case <-ctx.Done():
				return
			case <-c.outbox.filled:
			}
			continue
		}
		if err := send(parcel); err != nil {
			return
		}
	}
}
