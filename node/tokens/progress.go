package tokens

import (
	"context"
	"slices"
	"time"

	"coulisse/protocol"
)

// Progress is how far tokenising has come under the newest key.
type Progress struct {
	Epoch protocol.Epoch `json:"epoch"` // 0 while there is no key
	Done  int64          `json:"done"`  // people with a token
	Total int64          `json:"total"` // people who consent to pooling
	// Left is how long the rest will take at the pace of late; 0 if nothing is
	// left, or no batch was made yet.
	Left protocol.Span `json:"left_ms"`
}

// Progress counts; without a key nothing is done yet.
func (t *Tokeniser) Progress(ctx context.Context) (Progress, error) {
	var p Progress
	summary, err := t.cfg.Warehouse.Summary(ctx)
	if err != nil {
		return p, err
	}
	p.Total = summary.Consented[protocol.PurposePooling]
	if cache, key, err := t.Cache(); err == nil {
		// Tokens of people who withdrew stay until the key changes.
		p.Epoch, p.Done = key.Epoch, min(cache.Len(), p.Total)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Left = protocol.Span(inRoundNumbers(t.pace.left(p.Total-p.Done, time.Now())).Milliseconds())
	return p, nil
}

// inRoundNumbers takes from an estimate what nobody could know.
func inRoundNumbers(left time.Duration) time.Duration {
	switch {
	case left > 20*time.Minute:
		return left.Round(time.Minute)
	case left > time.Minute:
		return left.Round(10 * time.Second)
	}
	return left
}

// pace is how fast tokens are made: over the last batches, so that one that
// waited does not count for much, and not over all of them, since a steward that
// has come back, or gone, changes it.
type pace struct {
	marks  []mark
	first  bool // the first of them is when the pass began
	person time.Duration
}

// mark says how many had a token when a batch was kept.
type mark struct {
	at     time.Time
	people int
}

const (
	// paceOver is over how many batches: a minute of a large member's.
	paceOver = 32
	// paceFirst is after how many the first does not count, for which the pass
	// had to begin.
	paceFirst = 4
	// paceFrom is from how many people on they do not mostly wait.
	paceFrom = protocol.MaxBatch / 16
)

func (p *pace) begin(now time.Time) { p.marks, p.first = append(p.marks[:0], mark{at: now}), true }

func (p *pace) add(now time.Time, people int) {
	p.marks = append(p.marks, mark{now, p.marks[len(p.marks)-1].people + people})
	if batches := len(p.marks) - 1; batches > paceOver || p.first && batches >= paceFirst {
		p.marks, p.first = slices.Delete(p.marks, 0, 1), false
	}
	if made := p.marks[len(p.marks)-1].people - p.marks[0].people; made >= paceFrom {
		p.person = now.Sub(p.marks[0].at) / time.Duration(made)
	}
}

// left is how long so many people take, of whom some are in the batch that is
// next to be kept.
func (p *pace) left(people int64, now time.Time) time.Duration {
	if p.person == 0 {
		return 0
	}
	since := min(now.Sub(p.marks[len(p.marks)-1].at), protocol.MaxBatch*p.person)
	return max(0, time.Duration(people)*p.person-since)
}

func (t *Tokeniser) beginPace(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace.begin(now)
}

func (t *Tokeniser) keepPace(now time.Time, people int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace.add(now, people)
}
