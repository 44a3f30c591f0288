package rpc

import (
	"context"
	"math"
	"sync"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"

	"golang.org/x/time/rate"
)

// What one member may submit. A node that tokenises three million people asks
// for some 730 tickets, each a few hundred bytes, one after the other and no
// faster than the stewards answer; a round is a few documents; a vote is one.
// An honest node stays under a tenth of these.
const (
	submitRate  = 40 // documents a second
	submitBurst = 400
	submitBytes = 512 << 10 // a second
	submitHeap  = 8 << 20   // bytes at once: documents of the largest size, 32 of them
	// A refused document has cost an entry of the Raft log, three writes to
	// disk, for nothing. Honest nodes race each other to a few.
	refusedRate  = 0.2 // a second
	refusedBurst = 20
	// A renewal is an entry of the log for ever. A node renews a certificate of
	// a day before it ends, and again if the answer was lost.
	renewRate  = 1.0 / 600 // a second
	renewBurst = 20
	// memberStreams bounds the streams of one member that are under way: a
	// follower, a relay, and uploads and labels of several rounds.
	memberStreams = 24
)

// limits hold what each member has used. There are no more of them than
// members, since they come after the choke point.
type limits struct {
	now func() time.Time

	// mu guards members and what is pending of each.
	mu      sync.Mutex
	members map[protocol.MemberID]*allowance
}

// allowance is one member's.
type allowance struct {
	documents, bytes, refused, renewals *rate.Limiter

	streams chan struct{}
	turn    chan struct{} // held by the one document that is tried first
	pending int           // documents taken on trust that are not settled
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, members: map[protocol.MemberID]*allowance{}}
}

func (l *limits) of(id protocol.MemberID) *allowance {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.members[id]
	if !ok {
		a = &allowance{
			documents: rate.NewLimiter(submitRate, submitBurst), bytes: rate.NewLimiter(submitBytes, submitHeap),
			refused: rate.NewLimiter(refusedRate, refusedBurst), renewals: rate.NewLimiter(renewRate, renewBurst),
			streams: make(chan struct{}, memberStreams), turn: make(chan struct{}, 1),
		}
		l.members[id] = a
	}
	return a
}

// submit takes a document of that size off the member's allowance, or says when
// there is room again.
func (l *limits) submit(id protocol.MemberID, size int) error {
	a, now := l.of(id), l.now()
	if !a.documents.AllowN(now, 1) {
		return tooMuch(a.documents, now, 1)
	}
	if !a.bytes.AllowN(now, size) {
		return tooMuch(a.bytes, now, size)
	}
	return nil
}

func tooMuch(l *rate.Limiter, now time.Time, n int) error {
	missing := float64(n) - l.TokensAt(now)
	seconds := int(math.Ceil(missing / float64(l.Limit())))
	return protocol.Refuse(refusal.ErrFull,
		"ce membre en soumet trop à la fois; réessayez dans %d s", "this member submits too much at once; try again in %d s", max(1, seconds))
}

// renew takes a renewal off the member's allowance.
func (l *limits) renew(id protocol.MemberID) error {
	a, now := l.of(id), l.now()
	if !a.renewals.AllowN(now, 1) {
		return tooMuch(a.renewals, now, 1)
	}
	return nil
}

// trust takes a document on that is not tried first, unless so many of the
// member's have been refused, or may yet be, that the next must be: sending
// them at once, or not waiting for the answer, gains nothing. The caller says
// how it ended.
func (l *limits) trust(id protocol.MemberID) (settle func(error), ok bool) {
	a := l.of(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.refused.TokensAt(l.now()) < float64(a.pending+1) {
		return nil, false
	}
	a.pending++
	return func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.pending--
		if wasted(err) {
			a.refused.AllowN(l.now(), 1)
		}
	}, true
}

// distrust waits until no other document of the member's is being tried.
func (l *limits) distrust(ctx context.Context, id protocol.MemberID) (done func(), err error) {
	turn := l.of(id).turn
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stream takes a place among the member's streams until ctx, the call's, ends.
func (l *limits) stream(ctx context.Context, id protocol.MemberID) error {
	select {
	case l.of(id).streams <- struct{}{}:
		context.AfterFunc(ctx, func() { <-l.of(id).streams })
		return nil
	default:
		return protocol.Refuse(refusal.ErrFull,
			"ce membre a déjà %d flux ouverts; fermez-en", "this member has %d streams open; close some", memberStreams)
	}
}
