package node

import (
	"context"
	"fmt"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// A member waits with one batch, the last that it asked for, in the place where
// it began to wait.
func TestEvaluationsAreOneAMember(t *testing.T) {
	e := newEvaluations()
	for i := range 1000 {
		e.put("agora", &wire.EvaluateRequest{Sequence: int64(i)})
		if i == 3 {
			e.put("moulin", &wire.EvaluateRequest{Sequence: 77})
		}
	}
	for _, want := range []string{"agora 999", "moulin 77"} {
		if from, request := e.next(t.Context()); fmt.Sprint(from, " ", request.GetSequence()) != want {
			t.Errorf("%s %d, not %s", from, request.GetSequence(), want)
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
