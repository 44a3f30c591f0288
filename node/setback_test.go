package node

import (
	"testing"
	"time"
)

func TestSetback(t *testing.T) {
	var s setback
	start := time.Now()
	for _, look := range []struct {
		after   time.Duration
		missing int64
		want    int64
	}{
		{0, 0, 0},
		{time.Second, 3, 0}, // a new leader catches up
		{2 * time.Second, -1, 0},
		{3 * time.Second, 3, 0},
		{7 * time.Second, 3, 0},
		{8 * time.Second, 2, 2}, // it does not
		{9 * time.Second, 2, 2},
		{10 * time.Second, 0, 0}, // restored with what was missing
	} {
		s.look(look.missing, start.Add(look.after))
		if got := s.now(); got != look.want {
			t.Errorf("after %s: %d, not %d", look.after, got, look.want)
		}
	}
}
