package sequencer

import (
	"context"
	"sync"

	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/refusal"
)

// Bounds of a command that holds several documents. One document alone may be
// larger: it fits a command, since [protocol.MaxDocument] is half of one.
const (
	maxBatch      = 256
	maxBatchBytes = 256 << 10
	// maxFlights is how many such commands are under way at once: while one is
	// being stored, the next is applied.
	maxFlights = 2
)

// queue gathers the documents that arrive while consensus is busy, so that
// they share its round trip and its writes to disk. A document that arrives
// while it is idle does not wait.
type queue struct {
	// mu guards the rest.
	mu      sync.Mutex
	waiting []*submission // in order of arrival
	flights int
}

// submission is a document on its way, and where its outcome is awaited.
type submission struct {
	document state.Append
	done     chan answer // holds one
}

type answer struct {
	outcome state.Outcome
	err     error
}

// enqueue has a document appended and waits for what came of it.
func (s *Sequencer) enqueue(ctx context.Context, document state.Append) (state.Outcome, error) {
	if !document.Document.IsValid() { // or it would spoil the command of the others
		return state.Outcome{}, protocol.Refuse(protocol.ErrMalformed,
			"le document n'est pas du JSON", "the document is not JSON")
	}
	return s.send(ctx, document)[0].await(ctx)
}

// send puts documents on their way, one after the other.
func (s *Sequencer) send(ctx context.Context, documents ...state.Append) []*submission {
	sent := make([]*submission, len(documents))
	for i, document := range documents {
		sent[i] = &submission{document: document, done: make(chan answer, 1)}
	}
	s.queue.mu.Lock()
	s.queue.waiting = append(s.queue.waiting, sent...)
	fly := s.queue.flights < maxFlights
	if fly {
		s.queue.flights++
	}
	s.queue.mu.Unlock()
	if fly {
		// It carries others' documents too, so it outlives this call.
		go s.fly(context.WithoutCancel(ctx))
	}
	return sent
}

// await returns what came of a document.
func (s *submission) await(ctx context.Context) (state.Outcome, error) {
	select {
	case a := <-s.done:
		return a.outcome, a.err
	case <-ctx.Done():
		return state.Outcome{}, refusal.ErrUnavailable // it may still be appended
	}
}

// fly appends what waits, one command after the other, until nothing does.
func (s *Sequencer) fly(ctx context.Context) {
	for batch := s.queue.next(); len(batch) > 0; batch = s.queue.next() {
		c := state.Command{}
		for _, sub := range batch {
			c.Append = append(c.Append, sub.document)
		}
		outcomes, err := s.apply(ctx, c)
		for i, sub := range batch {
			if err != nil {
				sub.done <- answer{err: err}
			} else {
				sub.done <- answer{outcomes[i], outcomes[i].Err}
			}
		}
	}
}

// next takes the documents of the next command off the queue; none if this
// flight is to end.
func (q *queue) next() []*submission {
	q.mu.Lock()
	defer q.mu.Unlock()
	count, size := 0, 0
	for count < len(q.waiting) && count < maxBatch {
		size += len(q.waiting[count].document.Document)
		if count > 0 && size > maxBatchBytes {
			break
		}
		count++
	}
	batch := q.waiting[:count:count]
	if q.waiting = q.waiting[count:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	if count == 0 {
		q.flights--
	}
	return batch
}
