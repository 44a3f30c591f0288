package rpc

import (
	"context"
	"math"
	"sync"
	"time"

	"coulisse/coordinator/authority"
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

// What one party may ask for besides, in all: a member, the office, a replica,
// and all strangers together. What each call costs is in the table of access.
const (
	callRate  = 50 // units a second
	callBurst = 500
	// The office and the replicas are the coordinator's own: theirs only keeps a
	// program that went wrong from holding up the rest.
	ownFactor = 20
	// A node that begins replays some 12,000 entries a second; a steward answers
	// for all members, as fast as it evaluates.
	flowRate  = 64 << 20  // bytes of streams a second, both ways
	flowBurst = 128 << 20 // more than any message
)

// limits hold what each party has used. There are no more of them than
// parties, since they come after the choke point.
type limits struct {
	now func() time.Time

	// mu guards the maps and what is pending of each member.
	mu      sync.Mutex
	parties map[authority.Party]*use
	members map[protocol.MemberID]*allowance
}

// use is what one party has left of calls and of what flows in its streams.
type use struct{ calls, flow *rate.Limiter }

// allowance is one member's.
type allowance struct {
	documents, bytes, refused, renewals *rate.Limiter

	streams chan struct{}
	turn    chan struct{} // held by the one document that is tried first
	pending int           // documents taken on trust that are not settled
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, parties: map[authority.Party]*use{}, members: map[protocol.MemberID]*allowance{}}
}

func (l *limits) use(p authority.Party) *use {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, ok := l.parties[p]
	if !ok {
		factor := 1
		if p.Role == authority.Operator || p.Role == authority.Replica {
			factor = ownFactor
		}
		u = &use{calls: rate.NewLimiter(rate.Limit(callRate*factor), callBurst*factor), flow: rate.NewLimiter(flowRate, flowBurst)}
		l.parties[p] = u
	}
	return u
}

// call takes a call off the party's allowance, or says when there is room again.
func (l *limits) call(p authority.Party, cost int) error {
	calls, now := l.use(p).calls, l.now()
	if !calls.AllowN(now, cost) {
		return tooMuch(calls, now, cost)
	}
	return nil
}

// message takes a message of a stream off the party's allowance. It waits
// rather than refuse: who sends or reads too fast is held up by its own stream,
// and loses nothing.
func (l *limits) message(ctx context.Context, p authority.Party, weight int) error {
	now := l.now()
	wait := l.use(p).flow.ReserveN(now, min(weight, flowBurst)).DelayFrom(now)
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
	seconds := max(1, int(math.Ceil(missing/float64(l.Limit()))))
	return refusal.Later(protocol.Refuse(refusal.ErrFull,
		"vous en demandez trop à la fois; réessayez dans %d s", "you ask for too much at once; try again in %d s", seconds),
		time.Duration(seconds)*time.Second)
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
