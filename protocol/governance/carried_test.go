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
		{QuorumPercent: 50, Numerator: 1, Denominator: 2, ExpressedQuorum: true},
		{QuorumPercent: 25, Numerator: 1, Denominator: 2, CastingVote: true},
		{QuorumPercent: 25, Numerator: 2, Denominator: 3, CastingVote: true},
	}
	for _, r := range rules {
		for members := range 13 {
			for yes := range members + 1 {
				for no := range members - yes + 1 {
					for blank := range members - yes - no + 1 {
						tally := protocol.Tally{Members: members, Count: protocol.Count{For: yes, Against: no, Abstain: blank}}
						for _, tally.Chair = range []protocol.Choice{"", protocol.For, protocol.Against, protocol.Abstain} {
							if got, want := governance.Carried(r, tally), counted(r, tally); got != want {
								t.Fatalf("%+v under %+v: carried %v, counted %v", tally, r, got, want)
							}
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
	present := t.For + t.Against
	if !r.ExpressedQuorum {
		present += t.Abstain
	}
	if present < quorum {
		return false
	}
	yes, no := t.For, t.Against
	if yes == no && yes > 0 && r.CastingVote {
		switch t.Chair { // its voice counts twice
		case protocol.For:
			yes++
		case protocol.Against:
			no++
		}
	}
	if yes <= no {
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
		{"half of the members is a quorum of a half", ordinary, protocol.Tally{Members: 10, Count: protocol.Count{For: 5}}, true},
		{"one fewer is none", ordinary, protocol.Tally{Members: 10, Count: protocol.Count{For: 4}}, false},
		{"abstentions make the quorum", ordinary, protocol.Tally{Members: 10, Count: protocol.Count{For: 1, Abstain: 4}}, true},
		{"abstentions make no majority", ordinary, protocol.Tally{Members: 10, Count: protocol.Count{Abstain: 10}}, false},
		{"a tie does not carry", ordinary, protocol.Tally{Members: 10, Count: protocol.Count{For: 5, Against: 5}}, false},
		{"one voice more does", ordinary, protocol.Tally{Members: 11, Count: protocol.Count{For: 6, Against: 5}}, true},
		{"two thirds exactly", special, protocol.Tally{Members: 9, Count: protocol.Count{For: 6, Against: 3}}, true},
		{"one fewer than two thirds", special, protocol.Tally{Members: 9, Count: protocol.Count{For: 5, Against: 3}}, false},
		{"65 percent", special, protocol.Tally{Members: 100, Count: protocol.Count{For: 65}}, false},
		{"66 percent", special, protocol.Tally{Members: 100, Count: protocol.Count{For: 66}}, true},
		{"nobody", ordinary, protocol.Tally{Members: 3}, false},
	} {
		if got := governance.Carried(c.rule, c.tally); got != c.carried {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestEachCollege counts every way in which six members of two colleges can
// vote, once in the words of the charter and once by the rule.
func TestEachCollege(t *testing.T) {
	rule := protocol.VotingRule{QuorumPercent: 1, Numerator: 1, Denominator: 2, EachCollege: true}
	choices := []protocol.Choice{"", protocol.For, protocol.Against, protocol.Abstain}
	for pattern := range 4 * 4 * 4 * 4 * 4 * 4 {
		tally := protocol.Tally{Members: 6, Colleges: make([]protocol.Count, 2)}
		balance, voices := [2]int{}, [2]int{} // for less against, and those that said either
		for member, rest := 0, pattern; member < 6; member, rest = member+1, rest/4 {
			choice, college := choices[rest%4], member/4 // four in the first, two in the second
			tally.Add(choice)
			tally.Colleges[college].Add(choice)
			switch choice {
			case protocol.For:
				balance[college]++
				voices[college]++
			case protocol.Against:
				balance[college]--
				voices[college]++
			}
		}
		want := balance[0]+balance[1] > 0
		for college := range balance {
			want = want && (voices[college] == 0 || balance[college] > 0)
		}
		if got := governance.Carried(rule, tally); got != want {
			t.Fatalf("pattern %d, %+v: carried %v", pattern, tally, got)
		}
	}
}
