package coordclient

import (
	"context"
	"errors"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// A node that is told to wait waits that long, and no longer than its caller.
func TestANodeWaitsWhenItIsToldTo(t *testing.T) {
	office := newOffice(t)
	r := office.replica(t)
	c := office.client(t, r.address)
	full := protocol.Refuse(refusal.ErrFull, "c'est trop", "it is too much")
	const wait = 120 * time.Millisecond
	asked, began := 0, time.Now()
	r.submit = func(context.Context) (*wire.SubmitReply, error) {
		if asked++; asked < 3 {
			return nil, refusal.ToStatus(refusal.Later(full, wait))
		}
		return &wire.SubmitReply{Seq: 5}, nil
	}
	if seq, err := c.Submit(t.Context(), protocol.LabelAck, nil); err != nil || seq != 5 {
		t.Errorf("%d, %v", seq, err)
	}
	if took := time.Since(began); took < 2*wait || asked != 3 {
		t.Errorf("asked %d times within %v", asked, took)
	}
	// Longer than the caller waits, or nobody knows how long: the refusal itself.
	for name, refused := range map[string]error{"long": refusal.Later(full, time.Hour), "unknown": full} {
		asked = 0
		r.submit = func(context.Context) (*wire.SubmitReply, error) {
			asked++
			return nil, refusal.ToStatus(refused)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := c.Submit(ctx, protocol.LabelAck, nil)
		cancel()
		if !errors.Is(err, refusal.ErrFull) || refusal.Words(err) != refusal.Words(full) || asked != 1 {
			t.Errorf("%s: asked %d times: %v", name, asked, err)
		}
	}
	for range 100 {
		if got := toldToWait(refusal.Later(full, wait)); got < wait || got > wait+wait/5 {
			t.Fatal(got)
		}
	}
}
