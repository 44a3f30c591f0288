package tokens

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/wire"
)

// Times of the exchange with a steward. A steward that failed is left out for
// a while if the others are enough.
const (
	askAgain  = 3 * time.Second
	askAtMost = 4
	// askBusy is askAgain of one that said that others wait: in that time it
	// evaluates a hundred batches, and if it has ended, no more is lost.
	askBusy = 15 * time.Second
	// A steward refuses a ticket that its own witness has not read yet, a
	// moment after it was committed. Each pause is twice the last.
	afterRefusal = 250 * time.Millisecond
	avoidFor     = time.Minute
	answersKept  = 4
	// refusalShown bounds what is shown of another node's words, in bytes.
	refusalShown = 200
)

// choose picks the evaluating set: t holders, from a place in the roll that
// depends on the member, so that the members' load spreads over the stewards.
func (t *Tokeniser) choose(key federation.Key) ([]federation.Holder, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	place := fnv.New32a()
	place.Write([]byte(t.cfg.Author.Member))
	start := int(place.Sum32() % uint32(len(key.Holders)))
	var chosen []federation.Holder
	for i := range key.Holders {
		h := key.Holders[(start+i)%len(key.Holders)]
		if time.Now().Before(t.avoided[h.Member]) {
			continue
		}
		if chosen = append(chosen, h); len(chosen) == key.Threshold {
			slices.SortFunc(chosen, func(a, b federation.Holder) int { return int(a.Index) - int(b.Index) })
			return chosen, nil
		}
	}
	return nil, protocol.Refuse(ErrWaiting,
		"moins de %d gardiens de clé répondent\u00a0; la création des jetons reprendra quand ils répondront",
		"fewer than %d key stewards answer; tokenising goes on when they do", key.Threshold)
}

func seats(holders []federation.Holder) oprf.Set {
	set := make(oprf.Set, len(holders))
	for i, h := range holders {
		set[i] = oprf.Index(h.Index)
	}
	return set
}

// failure is a steward that did not do its part.
type failure struct {
	steward protocol.MemberID
	err     error
}

func (f *failure) Error() string { return fmt.Sprintf("the key steward %s: %v", f.steward, f.err) }
func (f *failure) Unwrap() error { return f.err }

// blame leaves out the steward that an error is about, and reports whether the
// batch may be tried again.
func (t *Tokeniser) blame(ctx context.Context, chosen []federation.Holder, err error) bool {
	var f *failure
	var wrong *oprf.Blame
	switch {
	case errors.As(err, &f):
	case errors.As(err, &wrong):
		for _, h := range chosen {
			if oprf.Index(h.Index) == wrong.Steward {
				f = &failure{h.Member, wrong.Err}
			}
		}
	}
	if f == nil {
		return false
	}
	t.cfg.Logger.WarnContext(ctx, "a key steward is left out", "steward", string(f.steward), "reason", f.err)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.avoided[f.steward] = time.Now().Add(avoidFor)
	return true
}

// askAll asks the whole set at once.
func (t *Tokeniser) askAll(ctx context.Context, b *batch, key federation.Key, chosen []federation.Holder) ([]oprf.Partial, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	set := make([]uint32, len(chosen))
	for i, h := range chosen {
		set[i] = uint32(h.Index)
	}
	letter := &wire.Letter{Content: &wire.Letter_Evaluate{Evaluate: &wire.EvaluateRequest{
		Epoch: uint32(key.Epoch), Sequence: b.sequence, Set: set, Blinded: b.encoded,
	}}}
	partials := make([]oprf.Partial, len(chosen))
	failures := make(chan error, len(chosen))
	for i, h := range chosen {
		go func() {
			var err error
			if partials[i], err = t.ask(ctx, h, letter); err != nil {
				err = &failure{h.Member, err}
			}
			failures <- err
		}()
	}
	var first error
	for range chosen {
		if err := <-failures; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return partials, first
}

var errSilent = errors.New("it does not answer")

// ask sends a steward the request until it answers, and again after a refusal.
func (t *Tokeniser) ask(ctx context.Context, h federation.Holder, letter *wire.Letter) (oprf.Partial, error) {
	request := letter.GetEvaluate()
	answers, done := t.await(answerKey{h.Member, request.GetSequence()})
	defer done()
	last := errSilent
	for try := range askAtMost {
		// What could not be sent is lost like any other letter.
		if err := t.cfg.Send(ctx, h.Member, letter); err != nil {
			last = err
		}
		reply, err := awaitReply(ctx, answers, request, t.cfg.AskAgain)
		switch {
		case err != nil:
			return oprf.Partial{}, err
		case reply == nil:
			continue
		case reply.GetRefusal() == "":
			return readReply(h, reply)
		}
		refusal := reply.GetRefusal()
		last = fmt.Errorf("it refused: %q", refusal[:min(len(refusal), refusalShown)])
		if err := pause(ctx, afterRefusal<<try); err != nil {
			return oprf.Partial{}, err
		}
	}
	return oprf.Partial{}, last
}

// awaitReply waits for the answer to this very request; nil if none comes in
// time.
func awaitReply(ctx context.Context, answers <-chan *wire.EvaluateReply, request *wire.EvaluateRequest, within time.Duration) (*wire.EvaluateReply, error) {
	again := time.NewTimer(within)
	defer again.Stop()
	for {
		select {
		case reply := <-answers:
			if !slices.Equal(reply.GetSet(), request.GetSet()) || reply.GetEpoch() != request.GetEpoch() {
				continue // it is to an earlier set
			}
			if reply.GetWaiting() == 0 {
				return reply, nil
			}
			again.Reset(askBusy)
		case <-again.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readReply(h federation.Holder, reply *wire.EvaluateReply) (oprf.Partial, error) {
	evaluated, err := oprf.DecodeElements(reply.GetEvaluated())
	if err != nil {
		return oprf.Partial{}, err
	}
	proof, err := oprf.ParseProof(reply.GetProof())
	if err != nil {
		return oprf.Partial{}, err
	}
	return oprf.Partial{Steward: oprf.Index(h.Index), Evaluated: evaluated, Proof: proof}, nil
}

func (t *Tokeniser) await(k answerKey) (<-chan *wire.EvaluateReply, func()) {
	answers := make(chan *wire.EvaluateReply, answersKept)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[k] = answers
	return answers, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.waiting, k)
	}
}

// Deliver hands a steward's answer to whoever awaits it. Others are dropped.
func (t *Tokeniser) Deliver(from protocol.MemberID, reply *wire.EvaluateReply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case t.waiting[answerKey{from, reply.GetSequence()}] <- reply:
	default: // nobody waits, or enough answers wait already
	}
}
