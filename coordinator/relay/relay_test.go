package relay

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"coulisse/protocol"
)

// receive collects n parcels of a member.
func receive(t *testing.T, h *Hub, id protocol.MemberID, n int) []string {
	t.Helper()
	var got []string
	done := errors.New("enough")
	err := h.Receive(t.Context(), id, func(p Parcel) error {
		if got = append(got, string(p.From)+":"+string(p.Sealed)); len(got) == n {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
	return got
}

func TestParcelsArriveInOrder(t *testing.T) {
	h := New()
	for i := range 5 {
		if err := h.Send(Parcel{From: "a1", To: "b1", Sealed: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(receive(t, h, "b1", 3), receive(t, h, "b1", 2)); got != "[a1:0 a1:1 a1:2] [a1:3 a1:4]" {
		t.Fatal("in two sittings:", got)
	}
	if h.bytes != 0 || len(h.mailboxes) != 0 {
		t.Fatalf("%d bytes and %d mailboxes are left of nothing", h.bytes, len(h.mailboxes))
	}
}

// fill sends full parcels until the hub refuses, and counts those it took.
func fill(h *Hub, from, to protocol.MemberID) (taken int) {
	for h.Send(Parcel{From: from, To: to, Sealed: make([]byte, MaxParcel)}) == nil {
		taken++
	}
	return taken
}

func TestBounds(t *testing.T) {
	h := New()
	if err := h.Send(Parcel{From: "a1", To: "b1", Sealed: make([]byte, MaxParcel+1)}); !errors.Is(err, ErrTooLarge) {
		t.Fatal("an oversized parcel was taken:", err)
	}
	if n := fill(h, "a1", "b1"); n != 7 {
		t.Fatalf("one sender put %d full parcels into a mailbox, not 7", n)
	}
	total := 7
	for i := range 10 {
		total += fill(h, protocol.MemberID(fmt.Sprint("sender", i)), "b1")
	}
	if total != 31 {
		t.Fatalf("a mailbox took %d full parcels, not 31", total)
	}
	if err := h.Send(Parcel{From: "a1", To: "c1", Sealed: []byte("x")}); err != nil {
		t.Fatal("another mailbox is full too:", err)
	}
	for i := range 100 {
		total += fill(h, protocol.MemberID(fmt.Sprint("sender", i)), protocol.MemberID(fmt.Sprint("box", i)))
	}
	if max := maxAll / MaxParcel; total > max || total < max-2 {
		t.Fatalf("all mailboxes took %d full parcels, the bound is %d", total, max)
	}
	h.Forget()
	if h.bytes != 0 || len(h.mailboxes) != 0 || fill(h, "a1", "b1") != 7 {
		t.Fatal("the hub did not forget")
	}
}

// Empty parcels cost memory too.
func TestEmptyParcelsAreBounded(t *testing.T) {
	h, n := New(), 0
	for h.Send(Parcel{From: "a1", To: "b1"}) == nil {
		n++
	}
	if n != maxSender/overhead {
		t.Fatalf("%d empty parcels were taken", n)
	}
}

func TestTheLastReceiverWins(t *testing.T) {
	h := New()
	first := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		first <- h.Receive(t.Context(), "b1", func(Parcel) error {
			close(started)
			return nil
		})
	}()
	if err := h.Send(Parcel{From: "a1", To: "b1"}); err != nil {
		t.Fatal(err)
	}
	<-started
	ctx, stop := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- h.Receive(ctx, "b1", func(Parcel) error { return nil }) }()
	if err := <-first; !errors.Is(err, ErrReplaced) {
		t.Fatal("the first receiver ended with", err)
	}
	stop()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Fatal("the second receiver ended with", err)
	}
	if len(h.mailboxes) != 0 {
		t.Fatal("a mailbox is left")
	}
}
