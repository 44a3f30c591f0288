package governance_test

import (
	"math/big"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// said is one member's voice in the words of the charter.
type said struct {
	choice  protocol.Choice
	college string // "" for none
	chair   bool
}

// TestCarriedOnEveryPattern counts every way in which six members of two
// colleges and of none can vote, under every mix of rules, from the voices and
// never from a tally.
func TestCarriedOnEveryPattern(t *testing.T) {
	kinds := []protocol.MemberKind{protocol.KindHouse, protocol.KindHouse, protocol.KindHouse, protocol.KindMedia, protocol.KindMedia, protocol.KindMuseum}
	names := []protocol.MemberID{"m1", "m2", "m3", "m4", "m5", "m6"}
	choices := []protocol.Choice{"", protocol.For, protocol.Against, protocol.Abstain}
	view := governance.View{}
	for i := range names {
		view.Members = append(view.Members, governance.Member{Card: protocol.Card{ID: names[i], Kind: kinds[i]}})
	}
	view.Charter.Colleges = []protocol.College{{Kinds: []protocol.MemberKind{protocol.KindHouse}}, {Kinds: []protocol.MemberKind{protocol.KindMedia}}}
	college := map[protocol.MemberKind]string{protocol.KindHouse: "houses", protocol.KindMedia: "media"}
	compared := 0
	for _, chair := range []protocol.MemberID{"", "m1", "m4", "m6"} {
		view.Charter.Chair = chair
		for pattern := range 4096 {
			tally, voices := view.Count(), []said{}
			for i, rest := 0, pattern; i < 6; i, rest = i+1, rest/4 {
				if c := choices[rest%4]; c != "" {
					view.Counted(&tally, names[i], c)
					voices = append(voices, said{c, college[kinds[i]], names[i] == chair})
				}
			}
			for _, r := range everyRule() {
				if got, want := governance.Carried(r, tally), spoken(r, 6, voices); got != want {
					t.Fatalf("chair %q, pattern %d, %+v, %+v: carried %v", chair, pattern, r, tally, got)
				}
				compared++
			}
		}
	}
	t.Logf("%d outcomes", compared)
}

func everyRule() (rules []protocol.VotingRule) {
	for _, quorum := range []int{1, 25, 50, 67, 100} {
		for _, share := range [][2]int{{1, 2}, {3, 5}, {2, 3}, {1, 1}} {
			for flags := range 8 {
				rules = append(rules, protocol.VotingRule{QuorumPercent: quorum, Numerator: share[0], Denominator: share[1],
					ExpressedQuorum: flags&1 > 0, EachCollege: flags&2 > 0, CastingVote: flags&4 > 0})
			}
		}
	}
	return rules
}

func ratio(a, b int) *big.Rat { return big.NewRat(int64(a), int64(b)) }

func spoken(r protocol.VotingRule, members int, voices []said) bool {
	who := func(keep func(said) bool) (n int) {
		for _, v := range voices {
			if keep(v) {
				n++
			}
		}
		return n
	}
	yes := who(func(v said) bool { return v.choice == protocol.For })
	no := who(func(v said) bool { return v.choice == protocol.Against })
	present := who(func(v said) bool { return !r.ExpressedQuorum || v.choice != protocol.Abstain })
	if ratio(present, members).Cmp(ratio(r.QuorumPercent, 100)) < 0 || yes+no == 0 {
		return false
	}
	if ratio(yes, yes+no).Cmp(ratio(r.Numerator, r.Denominator)) < 0 {
		return false
	}
	if yes < no {
		return false
	}
	if yes == no && !(r.CastingVote && who(func(v said) bool { return v.chair && v.choice == protocol.For }) == 1) {
		return false
	}
	for _, c := range []string{"houses", "media"} {
		in := who(func(v said) bool { return v.college == c && v.choice == protocol.For })
		out := who(func(v said) bool { return v.college == c && v.choice == protocol.Against })
		if r.EachCollege && (in > 0 || out > 0) && in <= out {
			return false
		}
	}
	return true
}
