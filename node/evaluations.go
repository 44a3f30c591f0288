package node

import (
	"context"
	"slices"
	"sync"

	"coulisse/node/tokens"
	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// evaluations queue the batches that members ask this steward for, as many a
// member as it sends ahead: a request that its sender repeats replaces the one
// that waits, and one too many the oldest, which its sender gave up. Members take
// turns. So a busy steward does nothing twice, no member keeps the others out,
// and there are at most so many of 128 KiB a member.
type evaluations struct {
	// mu guards who waits, in order, and for what; and whether somebody is
	// served.
	mu     sync.Mutex
	busy   bool
	order  []protocol.MemberID
	wanted map[protocol.MemberID][]*wire.EvaluateRequest
	filled chan struct{} // capacity 1; full when somebody waits

	// notices are for members whose batch waits behind others.
	notices chan evaluated
}

// evaluated is an answer on its way.
type evaluated struct {
	to    protocol.MemberID
	reply *wire.EvaluateReply
}

// noticesKept bounds the notices on their way. One that finds no room is lost,
// and its member asks again.
const noticesKept = 64

func newEvaluations() evaluations {
	return evaluations{
		wanted: map[protocol.MemberID][]*wire.EvaluateRequest{}, filled: make(chan struct{}, 1), notices: make(chan evaluated, noticesKept),
	}
}

// receive queues a request. If there are others before it, its sender is told, or
// it would take this steward for a silent one.
func (e *evaluations) receive(from protocol.MemberID, request *wire.EvaluateRequest) {
	others := e.put(from, request)
	if others == 0 || len(request.GetSet()) > protocol.MaxStewards {
		return
	}
	notice := &wire.EvaluateReply{Epoch: request.GetEpoch(), Sequence: request.GetSequence(), Set: request.GetSet(), Waiting: uint32(others)}
	select {
	case e.notices <- evaluated{from, notice}:
	default:
	}
}

// put returns how many others wait or are served.
func (e *evaluations) put(from protocol.MemberID, request *wire.EvaluateRequest) (others int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	waiting := e.wanted[from]
	if len(waiting) == 0 {
		e.order = append(e.order, from)
	}
	same := func(r *wire.EvaluateRequest) bool {
		return r.GetEpoch() == request.GetEpoch() && r.GetSequence() == request.GetSequence()
	}
	switch at := slices.IndexFunc(waiting, same); {
	case at >= 0:
		waiting[at] = request
	case len(waiting) == tokens.InFlight:
		waiting = append(slices.Delete(waiting, 0, 1), request)
	default:
		waiting = append(waiting, request)
	}
	e.wanted[from] = waiting
	e.signal()
	if others = -1; e.busy {
		others = 0
	}
	for _, requests := range e.wanted {
		others += len(requests)
	}
	return others
}

func (e *evaluations) signal() {
	select {
	case e.filled <- struct{}{}:
	default:
	}
}

// next waits for a request, once the one before was served; nil once ctx has
// ended.
func (e *evaluations) next(ctx context.Context) (protocol.MemberID, *wire.EvaluateRequest) {
	e.mu.Lock()
	e.busy = false
	e.mu.Unlock()
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
	e.busy = true
	from := e.order[0]
	e.order = e.order[1:]
	request, others := e.wanted[from][0], e.wanted[from][1:]
	if e.wanted[from] = others; len(others) == 0 {
		delete(e.wanted, from)
	} else {
		e.order = append(e.order, from)
	}
	if len(e.order) > 0 {
		e.signal()
	}
	return from, request
}

// keepEvaluating answers batches one after another: one of them keeps every
// core busy. The answer before is sent meanwhile.
func (n *Node) keepEvaluating(ctx context.Context) {
	answers := make(chan evaluated)
	var sending sync.WaitGroup
	sending.Go(func() { n.sendAnswers(ctx, answers) })
	defer sending.Wait()
	defer close(answers)
	for {
		from, request := n.evaluations.next(ctx)
		if request == nil {
			return
		}
		answers <- evaluated{from, n.steward.Evaluate(ctx, from, request)}
	}
}

func (n *Node) sendAnswers(ctx context.Context, answers <-chan evaluated) {
	for {
		var a evaluated
		var more bool
		select {
		case a, more = <-answers:
			if !more {
				return
			}
		case a = <-n.evaluations.notices:
		}
		err := n.send(ctx, a.to, &wire.Letter{Content: &wire.Letter_Evaluated{Evaluated: a.reply}})
		if err != nil && ctx.Err() == nil {
			n.logger.InfoContext(ctx, "an evaluation was not sent", "to", string(a.to), "reason", err)
		}
	}
}
