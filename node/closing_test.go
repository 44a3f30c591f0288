package node

import (
	"errors"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

func TestClosingLeavesTimeForSupport(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	shipped := protocol.VotingRule{MinOpen: 7 * day, MaxOpen: 60 * day}
	for name, tt := range map[string]struct {
		rule  protocol.VotingRule
		asked protocol.Span // 0: nothing
		want  protocol.Span // 0: refused
	}{
		"the default":             {shipped, 0, 10 * day},
		"the minimum":             {shipped, 7 * day, 0},
		"an hour to find support": {shipped, 7*day + hour, 7*day + hour},
		"just less":               {shipped, 7*day + hour - 1, 0},
		"too long":                {shipped, 60*day + 1, 0},
		"no more than the most":   {protocol.VotingRule{MinOpen: 7 * day, MaxOpen: 8 * day}, 0, 8 * day},
		"no room between":         {protocol.VotingRule{MinOpen: 7 * day, MaxOpen: 7 * day}, 7 * day, 7 * day},
		"no minimum":              {protocol.VotingRule{MaxOpen: 30 * day}, 0, 7 * day},
		"no minimum, short":       {protocol.VotingRule{MaxOpen: 30 * day}, hour / 6, hour / 6},
		"no minimum, in the past": {protocol.VotingRule{MaxOpen: 30 * day}, -hour, 0},
	} {
		var asked protocol.Millis
		if tt.asked != 0 {
			asked = protocol.At(now) + protocol.Millis(tt.asked)
		}
		got, err := closing(tt.rule, asked, now)
		if tt.want == 0 {
			if !errors.Is(err, federation.ErrRefused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if left := protocol.Span(got - protocol.At(now)); err != nil || left != tt.want {
			t.Errorf("%s: %s, %v", name, left, err)
		}
	}
}
