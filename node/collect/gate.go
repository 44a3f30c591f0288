package collect

import (
	"net/netip"
	"sync"
	"time"

	"coulisse/crypto/recent"
)

// gate bounds the requests of each network: as many a second as the settings
// say, and ten seconds' worth of them at once. It remembers a bounded number of
// networks; one that it has forgotten begins anew.
type gate struct {
	interval time.Duration // between two requests
	now      func() time.Time
	// due is when each network's next request would come at a steady pace.
	due *recent.Map[netip.Prefix, *pace]
}

func newGate(perSecond int, now func() time.Time) gate {
	return gate{time.Second / time.Duration(perSecond), now, recent.NewMap[netip.Prefix, *pace](1 << 15)}
}

const burst = 10 * time.Second

// let reports whether a request may pass, and if not, when the next one may.
func (g gate) let(p netip.Prefix) (wait time.Duration) {
	return g.due.Find(p, func() *pace { return new(pace) }).take(g.now(), g.interval)
}

// pace is the generic cell rate algorithm: one instant stands for a bucket.
type pace struct {
	// mu guards due.
	mu  sync.Mutex
	due time.Time
}

func (p *pace) take(now time.Time, interval time.Duration) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.due
	if due.Before(now) {
		due = now
	}
	if wait = due.Add(interval - burst).Sub(now); wait > 0 {
		return wait
	}
	p.due = due.Add(interval)
	return 0
}
