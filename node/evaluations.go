package node

import (
	"context"
	"sync"

	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// evaluations queue the batches that members ask this steward for, one a
// member: a request that its sender repeats, or gave up for another, replaces
// the one that waits. So a busy steward does nothing twice, no member keeps the
// others out, and there are as many of 128 KiB as there are members.
type evaluations struct {
	// mu guards who waits, in order, and for what.
	mu     sync.Mutex
	order  []protocol.MemberID
	wanted map[protocol.MemberID]*wire.EvaluateRequest
	filled chan struct{} // capacity 1; full when somebody waits
}

func newEvaluations() evaluations {
	return evaluations{wanted: map[protocol.MemberID]*wire.EvaluateRequest{}, filled: make(chan struct{}, 1)}
}

func (e *evaluations) put(from protocol.MemberID, request *wire.EvaluateRequest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wanted[from] == nil {
		e.order = append(e.order, from)
	}
	e.wanted[from] = request
	e.signal()
}

func (e *evaluations) signal() {
	select {
	case e.filled <- struct{}{}:
	default:
	}
}

// next waits for a request; nil once ctx has ended.
func (e *evaluations) next(ctx context.Context) (protocol.MemberID, *wire.EvaluateRequest) {
	for {
		select {
		case <-ctx.Done():
			return "", nil
		case <-e.filled:
		}
		if from, request := e.take(); request != nil {
			return from, request
		}
	}
}

func (e *evaluations) take() (protocol.MemberID, *wire.EvaluateRequest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.order) == 0 {
		return "", nil
	}
	from := e.order[0]
	e.order = e.order[1:]
	request := e.wanted[from]
	delete(e.wanted, from)
	if len(e.order) > 0 {
		e.signal()
	}
	return from, request
}

// keepEvaluating answers batches one after another: one of them keeps every
// core busy.
func (n *Node) keepEvaluating(ctx context.Context) {
	for {
		from, request := n.evaluations.next(ctx)
		if request == nil {
			return
		}
		reply := n.steward.Evaluate(ctx, from, request)
		err := n.send(ctx, from, &wire.Letter{Content: &wire.Letter_Evaluated{Evaluated: reply}})
		if err != nil && ctx.Err() == nil {
			n.logger.InfoContext(ctx, "an evaluation was not sent", "to", string(from), "reason", err)
		}
	}
}
