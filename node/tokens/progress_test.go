package tokens

import (
	"testing"
	"time"

	"coulisse/protocol"
)

// run makes batches at a pace, with a look at the time left somewhere in each.
func (p *pace) run(t *testing.T, now *time.Time, batches, more int, each time.Duration, within float64) {
	t.Helper()
	for n := range batches {
		truth := time.Duration(batches+more-n) * each
		for _, into := range []time.Duration{0, each / 2, each * 3 / 4} {
			said := p.left(int64(batches+more-n)*protocol.MaxBatch, now.Add(into))
			if ratio := said.Seconds() / (truth - into).Seconds(); within > 0 && (ratio > within || ratio < 1/within) {
				t.Errorf("%s are left, and %s is said", truth-into, said)
			}
		}
		*now = now.Add(each)
		p.add(*now, protocol.MaxBatch)
	}
}

func TestTimeLeft(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var p pace
	if p.left(1000, now) != 0 {
		t.Error("an estimate out of nothing")
	}
	p.begin(now)
	now = now.Add(3 * time.Second) // the first batch begins late
	p.run(t, &now, 8, 0, time.Second, 0)
	p.run(t, &now, 100, 100, time.Second, 1.05)
	p.run(t, &now, paceOver, 0, 2*time.Second, 0) // a steward has become slow
	p.run(t, &now, 100, 0, 2*time.Second, 1.05)

	now = now.Add(time.Hour) // nobody was without a token
	p.begin(now)
	if left := p.left(protocol.MaxBatch, now).Round(time.Millisecond); left != 2*time.Second {
		t.Errorf("%s for a batch", left)
	}
	now = now.Add(time.Second)
	p.add(now, 3)
	if left := p.left(protocol.MaxBatch, now).Round(time.Millisecond); left != 2*time.Second {
		t.Errorf("%s for a batch, after one that mostly waited", left)
	}
	if left := p.left(0, now.Add(time.Minute)); left != 0 {
		t.Errorf("%s for nobody", left)
	}
}
