package node

import (
	"context"
	"fmt"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// A member waits with the last batches that it asked for, each once, in the
// place where it began to wait; then others have their turn.
func TestEvaluationsAreFewAMember(t *testing.T) {
	e := newEvaluations()
	for i := range 1000 {
		e.put("agora", &wire.EvaluateRequest{Sequence: int64(i)})
		e.put("agora", &wire.EvaluateRequest{Sequence: int64(i), Set: []uint32{1, 2}})
		if i == 3 {
			e.put("moulin", &wire.EvaluateRequest{Sequence: 77})
		}
	}
	for _, want := range []string{"agora 998 2", "moulin 77 0", "agora 999 2"} {
		from, request := e.next(t.Context())
		if got := fmt.Sprint(from, " ", request.GetSequence(), " ", len(request.GetSet())); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if from, request := e.next(ctx); request != nil {
		t.Errorf("%s waits still", from)
	}
	if len(e.wanted) > 0 || len(e.order) > 0 {
		t.Error("something is kept")
	}
}

// A batch of another key epoch is another batch, whatever its number.
func TestEvaluationsOfTwoEpochs(t *testing.T) {
	e := newEvaluations()
	e.put("agora", &wire.EvaluateRequest{Epoch: 1, Sequence: 5})
	e.put("agora", &wire.EvaluateRequest{Epoch: 2, Sequence: 5})
	for _, want := range []uint32{1, 2} {
		if _, request := e.next(t.Context()); request.GetEpoch() != want {
			t.Errorf("epoch %d, not %d", request.GetEpoch(), want)
		}
	}
}

// Whoever waits behind others is told so, and the first is not.
func TestEvaluationsTellWhoWaits(t *testing.T) {
	e := newEvaluations()
	e.receive("agora", &wire.EvaluateRequest{Sequence: 1})
	e.receive("moulin", &wire.EvaluateRequest{Epoch: 2, Sequence: 3, Set: []uint32{1, 2}})
	e.receive("phare", &wire.EvaluateRequest{Set: make([]uint32, 100_000)})
	if len(e.notices) != 1 {
		t.Fatalf("%d notices", len(e.notices))
	}
	if n := <-e.notices; n.to != "moulin" || n.reply.GetEpoch() != 2 || n.reply.GetSequence() != 3 || len(n.reply.GetSet()) != 2 || n.reply.GetWaiting() != 1 {
		t.Errorf("%s is told %v", n.to, n.reply)
	}
	for range 3 {
		e.next(t.Context())
	}
	e.receive("agora", &wire.EvaluateRequest{Sequence: 2}) // while another is served
	if n := <-e.notices; n.to != "agora" || n.reply.GetWaiting() != 1 {
		t.Errorf("%s is told %v", n.to, n.reply)
	}
	for i := range 2 * noticesKept {
		e.receive("theatre", &wire.EvaluateRequest{Sequence: int64(i)}) // nobody sends them
	}
}

// Nobody who asks while others are answered is forgotten.
func TestEvaluationsAllComeBy(t *testing.T) {
	e := newEvaluations()
	const members = 50
	go func() {
		for i := range members {
			e.put(protocol.MemberID(fmt.Sprint("m", i)), &wire.EvaluateRequest{})
		}
	}()
	for i := range members {
		if from, _ := e.next(t.Context()); from != protocol.MemberID(fmt.Sprint("m", i)) {
			t.Fatalf("%s came before m%d", from, i)
		}
	}
}
