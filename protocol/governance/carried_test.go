package governance_test

import (
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// TestCarriedAgainstCounting compares with a count in the words of the
// charter, one voice at a time and without multiplying across, for every
// possible tally of small federations.
func TestCarriedAgainstCounting(t *testing.T) {
	rules := []protocol.VotingRule{
		{QuorumPercent: 1, Numerator: 1, Denominator: 2},
		{QuorumPercent: 50, Numerator: 1, Denominator: 2},
		{QuorumPercent: 66, Numerator: 2, Denominator: 3},
		{QuorumPercent: 67, Numerator: 3, Denominator: 4},
		{QuorumPercent: 100, Numerator: 1, Denominator: 1},
	}
	for _, r := range rules {
		for members := range 13 {
			for yes := range members + 1 {
				for no := range members - yes + 1 {
					for blank := range members - yes - no + 1 {
						tally := protocol.Tally{Members: members, For: yes, Against: no, Abstain: blank}
						if got, want := governance.Carried(r, tally), counted(r, tally); got != want {
							t.Fatalf("%+v under %+v: carried %v, counted %v", tally, r, got, want)
						}
					}
				}
			}
		}
	}
}

func counted(r protocol.VotingRule, t protocol.Tally) bool {
	// The least number of members that makes the quorum.
	quorum := 0
	for float64(quorum)/float64(max(t.Members, 1)) < float64(r.QuorumPercent)/100 && t.Members > 0 {
		quorum++
	}
	if t.For+t.Against+t.Abstain < quorum {
		return false
	}
	if t.For <= t.Against {
		return false // a tie, or fewer
	}
	// The least number for that reaches the share of those expressed.
	need := 0
	for need*r.Denominator < r.Numerator*(t.For+t.Against) {
		need++
	}
	return t.For >= need
}

func TestCarriedAtTheBoundaries(t *testing.T) {
	ordinary := protocol.VotingRule{QuorumPercent: 50, Numerator: 1, Denominator: 2}
	special := protocol.VotingRule{QuorumPercent: 66, Numerator: 2, Denominator: 3}
	for _, c := range []struct {
		name    string
		rule    protocol.VotingRule
		tally   protocol.Tally
		carried bool
	}{
		{"half of the members is a quorum of a half", ordinary, protocol.Tally{Members: 10, For: 5}, true},
		{"one fewer is none", ordinary, protocol.Tally{Members: 10, For: 4}, false},
		{"abstentions make the quorum", ordinary, protocol.Tally{Members: 10, For: 1, Abstain: 4}, true},
		{"abstentions make no majority", ordinary, protocol.Tally{Members: 10, Abstain: 10}, false},
		{"a tie does not carry", ordinary, protocol.Tally{Members: 10, For: 5, Against: 5}, false},
		{"one voice more does", ordinary, protocol.Tally{Members: 11, For: 6, Against: 5}, true},
		{"two thirds exactly", special, protocol.Tally{Members: 9, For: 6, Against: 3}, true},
		{"one fewer than two thirds", special, protocol.Tally{Members: 9, For: 5, Against: 3}, false},
		{"65 percent", special, protocol.Tally{Members: 100, For: 65}, false},
		{"66 percent", special, protocol.Tally{Members: 100, For: 66}, true},
		{"nobody", ordinary, protocol.Tally{Members: 3}, false},
	} {
		if got := governance.Carried(c.rule, c.tally); got != c.carried {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
