package collect

import (
	"sync"
	"time"
)

// refusal is why something was not kept.
type refusal int

const (
	refusedForm    refusal = iota // the request is not of the schema's form
	refusedSite                   // its page is not of the member's sites
	refusedBot                    // a robot sent it
	refusedMinor                  // the visitor is under 14
	refusedConsent                // analytics was not granted
	refusedLate                   // the tag kept the event for too long
	refusedRate                   // its network sends too often
	refusedBusy                   // the disk does not keep up
	refusedDisk                   // there is no room, or the disk fails
	refusals
)

// Figures are how the intake is, since it was started.
type Figures struct {
	// Accepted are events that were acknowledged and kept, Stored those of them
	// that the warehouse had not seen yet.
	Accepted int64 `json:"accepted"`
	Stored   int64 `json:"stored"`
	// Refused counts by reason: events that may not be kept, and requests that
	// cannot be.
	Refused Refused `json:"refused"`
	// Waiting are the bytes on disk that are not in the warehouse yet.
	Waiting int64 `json:"waiting_bytes"`
	// LastStored is when events last reached the warehouse.
	LastStored time.Time `json:"last_stored,omitzero"`
	// Trouble is why they do not now.
	Trouble string `json:"trouble,omitzero"`
	// Unreadable counts records of the spool that this version cannot read.
	Unreadable int64 `json:"unreadable,omitzero"`
}

// Refused counts what was not kept.
type Refused struct {
	Form    int64 `json:"form"`
	Site    int64 `json:"site"`
	Bot     int64 `json:"bot"`
	Minor   int64 `json:"minor"`
	Consent int64 `json:"consent"`
	Late    int64 `json:"late"`
	Rate    int64 `json:"rate"`
	Busy    int64 `json:"busy"`
	Disk    int64 `json:"disk"`
}

// ByReason is the same by the reasons' names.
func (r Refused) ByReason() map[string]int64 {
	return map[string]int64{
		"form": r.Form, "site": r.Site, "bot": r.Bot, "minor": r.Minor, "consent": r.Consent,
		"late": r.Late, "rate": r.Rate, "busy": r.Busy, "disk": r.Disk,
	}
}

// counts are the figures as they grow.
type counts struct {
	// mu guards the rest.
	mu      sync.Mutex
	figures Figures
	refused [refusals]int64
}

func (c *counts) refuse(why refusal, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused[why] += int64(n)
}

func (c *counts) accept(events int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.Accepted += int64(events)
}

func (c *counts) store(events int, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.Stored += int64(events)
	c.figures.LastStored, c.figures.Trouble = at.UTC(), ""
}

func (c *counts) trouble(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.Trouble = err.Error()
}

func (c *counts) unreadable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.Unreadable++
}

// Figures are read at any time.
func (c *Collector) Figures() Figures {
	c.counts.mu.Lock()
	f, r := c.counts.figures, c.counts.refused
	c.counts.mu.Unlock()
	f.Waiting = c.spool.Waiting()
	f.Refused = Refused{
		Form: r[refusedForm], Site: r[refusedSite], Bot: r[refusedBot], Minor: r[refusedMinor], Consent: r[refusedConsent],
		Late: r[refusedLate], Rate: r[refusedRate], Busy: r[refusedBusy], Disk: r[refusedDisk],
	}
	return f
}
