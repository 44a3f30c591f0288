//go:build unix

package torture

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"coulisse/node/author"
	"coulisse/protocol"

	"github.com/anishathalye/porcupine"
)

// submission is a document that a member sent.
type submission struct {
	client       int
	label        protocol.Label
	document     []byte
	call, answer int64
	seq          int64 // -1 if it was never answered
}

// history is what the members sent, and what they were told.
type history struct {
	// mu guards what follows.
	mu          sync.Mutex
	began       time.Time
	submissions []submission
	operations  []porcupine.Operation // other than submissions
}

func (h *history) now() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.began.IsZero() {
		h.began = time.Now()
	}
	return time.Since(h.began).Nanoseconds()
}

// recorder is a member's way to the log, which remembers.
type recorder struct {
	client  int
	log     author.Log
	history *history
}

// Submit implements author.Log.
func (r *recorder) Submit(ctx context.Context, label protocol.Label, document []byte) (int64, error) {
	s := submission{client: r.client, label: label, document: document, call: r.history.now(), seq: -1}
	seq, err := r.log.Submit(ctx, label, document)
	s.answer = r.history.now()
	if err == nil {
		s.seq = seq
	}
	r.history.mu.Lock()
	defer r.history.mu.Unlock()
	r.history.submissions = append(r.history.submissions, s)
	return seq, err
}

// any is one of a member's acknowledged documents.
func (h *history) any(client int, random *rand.Rand) (submission, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for range 20 {
		if len(h.submissions) == 0 {
			break
		}
		if s := h.submissions[random.IntN(len(h.submissions))]; s.client == client && s.seq >= 0 {
			return s, true
		}
	}
	return submission{}, false
}

// step is what porcupine sees of an operation.
type step struct {
	what string // append, ask or look
	seq  int64  // where it is, or how much a look saw
}

func (h *history) add(client int, call int64, s step) {
	answer := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: s, Call: call, Return: answer})
}

// look notes how much of the log a member has verified.
func (h *history) look(client int, size func() int64) {
	call := h.now()
	h.add(client, call, step{"look", size()})
}

func (h *history) asked(client int, call int64, old submission, seq int64) {
	h.add(client, call, step{"ask", seq})
	if seq != old.seq {
		// The model has one entry a place, so this is the proof: it is in two.
		h.add(client, call, step{"append", old.seq})
	}
}

// logModel is a log whose every entry is one operation, the replicas' own
// among them: its state is its size.
var logModel = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		size, s := state.(int64), input.(step)
		switch s.what {
		case "append":
			return s.seq == size, size + 1
		case "ask":
			return s.seq < size, size
		}
		return s.seq <= size, size
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprint(input) },
}

// judge looks for an order that explains what the members were told, given
// where each document is in the log in the end.
func (h *history) judge(places map[protocol.Hash]int64, size int64) (porcupine.CheckResult, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	operations, explained := append([]porcupine.Operation(nil), h.operations...), make([]bool, size)
	for i, s := range h.submissions {
		op := porcupine.Operation{ClientId: s.client, Input: step{"append", s.seq}, Call: s.call, Return: s.answer}
		if s.seq < 0 {
			place, there := places[protocol.HashOf(s.document)]
			if !there {
				continue
			}
			op.ClientId, op.Input, op.Return = 1000+i, step{"append", place}, math.MaxInt64
		}
		if seq := op.Input.(step).seq; seq < size {
			explained[seq] = true
		}
		operations = append(operations, op)
	}
	for seq, done := range explained {
		if !done { // the replicas' own, or from before
			operations = append(operations, porcupine.Operation{
				ClientId: 1_000_000 + seq, Input: step{"append", int64(seq)}, Return: math.MaxInt64,
			})
		}
	}
	return porcupine.CheckOperationsTimeout(logModel, operations, 2*time.Minute), len(operations)
}

// TestJudge checks that the judge can say no.
func TestJudge(t *testing.T) {
	document := func(name string) submission { return submission{document: []byte(name), seq: -1} }
	answered := func(name string, call, answer, seq int64) submission {
		return submission{document: []byte(name), call: call, answer: answer, seq: seq}
	}
	look := func(call, answer, size int64) porcupine.Operation {
		return porcupine.Operation{ClientId: 9, Input: step{"look", size}, Call: call, Return: answer}
	}
	ask := func(call, answer, seq int64) porcupine.Operation {
		return porcupine.Operation{ClientId: 9, Input: step{"ask", seq}, Call: call, Return: answer}
	}
	places := map[protocol.Hash]int64{protocol.HashOf([]byte("lost")): 1}
	for name, test := range map[string]struct {
		submissions []submission
		operations  []porcupine.Operation
		want        porcupine.CheckResult
	}{
		"one after the other": {[]submission{answered("a", 1, 2, 0), answered("b", 3, 4, 2)}, nil, porcupine.Ok},
		"an answer was lost":  {[]submission{document("lost"), answered("b", 3, 4, 2)}, nil, porcupine.Ok},
		"never arrived":       {[]submission{document("nowhere"), answered("b", 3, 4, 2)}, nil, porcupine.Ok},
		"at once, turned":     {[]submission{answered("a", 1, 4, 2), answered("b", 2, 3, 0)}, nil, porcupine.Ok},
		"turned":              {[]submission{answered("a", 1, 2, 2), answered("b", 3, 4, 0)}, nil, porcupine.Illegal},
		"two in one place":    {[]submission{answered("a", 1, 2, 0), answered("b", 3, 4, 0)}, nil, porcupine.Illegal},
		"seen too early":      {[]submission{answered("a", 5, 6, 0)}, []porcupine.Operation{look(1, 2, 1)}, porcupine.Illegal},
		"seen in time":        {[]submission{answered("a", 1, 6, 0)}, []porcupine.Operation{look(2, 3, 1)}, porcupine.Ok},
		"known too early":     {[]submission{answered("a", 5, 6, 0)}, []porcupine.Operation{ask(1, 2, 0)}, porcupine.Illegal},
	} {
		h := history{submissions: test.submissions, operations: test.operations}
		for i := range h.submissions {
			h.submissions[i].client = i
		}
		if got, _ := h.judge(places, 3); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
