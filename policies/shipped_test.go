package policies_test

import (
	"slices"
	"testing"

	"coulisse/crypto/dp"
	. "coulisse/policies"
	"coulisse/protocol"
)

// What each shipped rule refuses, and what it says would pass: with that, the
// very same request passes.
var ruleCases = []struct {
	rule          string
	spoil, remedy func(*Request)
}{
	{"charter/good-standing",
		func(r *Request) { r.Initiator.GoodStanding = false; r.Participants[0].GoodStanding = false },
		func(r *Request) { r.Initiator.GoodStanding = true; r.Participants[0].GoodStanding = true }},
	{"charter/good-standing",
		func(r *Request) { r.Participants[3].GoodStanding = false },
		func(r *Request) { r.Participants = slices.Delete(r.Participants, 3, 4) }},
	{"charter/good-standing",
		func(r *Request) { r.Recipients[0].GoodStanding = false; r.Participants[5].GoodStanding = false },
		func(r *Request) { r.Recipients = nil; r.Participants = r.Participants[:5] }},
	{"charter/enough-members",
		func(r *Request) { r.MinMembers = 2 },
		func(r *Request) { r.MinMembers = 3 }},
	{"charter/enough-participants",
		func(r *Request) { r.Participants = r.Participants[:3] },
		func(r *Request) { r.Participants = append(r.Participants, house("falaise")) }},
	{"charter/noise-on-the-size",
		func(r *Request) { r.Noise.Total = 399 },
		func(r *Request) { r.Noise.Total = 400 }},
	{"charter/noise-on-the-parts",
		func(r *Request) { r.Noise.Sources = 399 },
		func(r *Request) { r.Noise.Sources = 400 }},
	{"charter/cost-of-one-round",
		func(r *Request) { r.Cost = 5_000_001 },
		func(r *Request) { r.Cost = 5_000_000 }},
	{"charter/budget-left",
		func(r *Request) { r.BudgetLeft = 2_999_999 },
		func(r *Request) { r.Cost = 2_999_999 }},
	{"charter/budget-left",
		func(r *Request) { r.BudgetLeft = 0 },
		func(r *Request) { r.BudgetLeft = 100_000_000 }},
	{"pooled-audiences/consent-to-pooling",
		func(r *Request) { r.Purposes = []protocol.Purpose{protocol.PurposeActivation} },
		func(r *Request) { r.Purposes = append(r.Purposes, protocol.PurposePooling) }},
	{"pooled-audiences/no-finer-than-a-district",
		func(r *Request) {
			define(r, func(d *protocol.Definition) { d.PostalPrefixes = []string{"H2", "H2X1"} })
		},
		func(r *Request) { define(r, func(d *protocol.Definition) { d.PostalPrefixes = []string{"H2", "H2X"} }) }},
	{"activation/consent-to-activation",
		func(r *Request) { r.Purposes = []protocol.Purpose{protocol.PurposePooling} },
		func(r *Request) { r.Recipients = nil }},
	{"activation/houses-and-media",
		func(r *Request) { r.Recipients = append(r.Recipients, Party{"musee", protocol.KindMuseum, true}) },
		func(r *Request) { r.Recipients = append(r.Recipients[:1], house("aurore")) }},
	{"activation/few-recipients",
		func(r *Request) { r.Recipients = r.Participants },
		func(r *Request) { r.Recipients = r.Recipients[1:] }},
	{"activation/no-exclusion",
		func(r *Request) { r.Excluded = []protocol.MemberID{"delta"} },
		func(r *Request) { r.Excluded = nil }},
	{"no-singling-out/no-member-named",
		func(r *Request) { r.Named = []protocol.MemberID{"boreal", "cascade"} },
		func(r *Request) { r.Named = nil }},
	{"no-singling-out/no-series-of-questions",
		func(r *Request) { r.RecentLabels = Counted(4) },
		func(r *Request) { r.RecentLabels = Counted(3) }},
	{"no-singling-out/no-single-evening",
		func(r *Request) {
			define(r, func(d *protocol.Definition) { d.From, d.Until = "2026-11-14", "2026-11-14" })
		},
		func(r *Request) { define(r, func(d *protocol.Definition) { d.Until = "2026-11-20" }) }},
	{"no-singling-out/no-single-evening",
		func(r *Request) { define(r, func(d *protocol.Definition) { d.From, d.Until = "2026-11-20", "" }) },
		func(r *Request) { define(r, func(d *protocol.Definition) { d.Until = "2026-12-31" }) }},
}

func TestEachRuleRefusesAndItsRemedyPasses(t *testing.T) {
	set := shipped(t)
	if d := set.Decide(asking()); !d.Allowed {
		t.Fatalf("the sound request is denied by %v", deciding(d))
	}
	tried := map[string]bool{}
	for _, c := range ruleCases {
		r := asking()
		c.spoil(&r)
		if d := set.Decide(r); d.Allowed || !slices.Equal(deciding(d), []string{c.rule}) {
			t.Errorf("%s: allowed=%v by %v", c.rule, d.Allowed, deciding(d))
		}
		c.remedy(&r)
		if d := set.Decide(r); !d.Allowed {
			t.Errorf("%s: what it says would pass is denied by %v", c.rule, deciding(d))
		}
		tried[c.rule] = true
	}
	for _, r := range allShippedRules(t) {
		if name := string(r.Policy) + "/" + string(r.ID); r.Effect == Forbid && !tried[name] {
			t.Errorf("no case tries %s", name)
		}
	}
}

func allShippedRules(t testing.TB) []Rule {
	rules := CharterRules()
	for _, p := range shipped(t).Policies() {
		rules = append(rules, p.Rules()...)
	}
	return rules
}

// Without recipients, what concerns labels does not stand in the way.
func TestSizeAloneNeedsLess(t *testing.T) {
	r := sizeOnly()
	r.Purposes = []protocol.Purpose{protocol.PurposePooling}
	r.Excluded = []protocol.MemberID{"delta"}
	r.RecentLabels = Count{}
	define(&r, func(d *protocol.Definition) { d.Until = d.From })
	for _, set := range []Set{shipped(t), shipped(t, "pooled-audiences")} {
		if d := set.Decide(r); !d.Allowed || !slices.Equal(deciding(d), []string{"pooled-audiences/pool"}) {
			t.Errorf("allowed=%v by %v", d.Allowed, deciding(d))
		}
	}
}

// Adopting pooled audiences gives nobody labels.
func TestLabelsNeedTheirOwnPermission(t *testing.T) {
	d := shipped(t, "pooled-audiences").Decide(asking())
	if d.Allowed || !slices.Equal(deciding(d), []string{"principle/permitted"}) {
		t.Errorf("allowed=%v by %v", d.Allowed, deciding(d))
	}
	d = shipped(t, "pooled-audiences", "activation").Decide(asking())
	if !d.Allowed || !slices.Equal(deciding(d), []string{"activation/activate", "pooled-audiences/pool"}) {
		t.Errorf("allowed=%v by %v", d.Allowed, deciding(d))
	}
}

// intent is what the shipped policies are meant to say, written without Cedar:
// the rules that deny a request, sorted as decisions show them.
func intent(adopted map[protocol.PolicyName]bool, r Request) (denying []string) {
	say := func(applies bool, rule string) {
		if applies {
			denying = append(denying, rule)
		}
	}
	standing := r.Initiator.GoodStanding
	kinds, labels := true, len(r.Recipients) > 0
	for _, p := range slices.Concat(r.Participants, r.Recipients) {
		standing = standing && p.GoodStanding
	}
	for _, p := range r.Recipients {
		kinds = kinds && (p.Kind == protocol.KindHouse || p.Kind == protocol.KindMedia)
	}
	pooling := slices.Contains(r.Purposes, protocol.PurposePooling)
	activation := slices.Contains(r.Purposes, protocol.PurposeActivation)
	var postal int
	for _, p := range r.Definitions[0].PostalPrefixes {
		postal = max(postal, len(p))
	}

	say(!standing, "charter/good-standing")
	say(r.MinMembers < r.Floors.MinMembers, "charter/enough-members")
	say(len(r.Participants) < r.Floors.MinParticipants, "charter/enough-participants")
	say(r.Noise.Total < r.Floors.MinVariance, "charter/noise-on-the-size")
	say(r.Noise.Sources < r.Floors.MinVariance, "charter/noise-on-the-parts")
	say(r.Cost > r.Floors.MaxRoundCost, "charter/cost-of-one-round")
	say(r.Cost > r.BudgetLeft, "charter/budget-left")
	floors := len(denying) > 0
	matchForbidden := adopted["pooled-audiences"] && (!pooling || postal > 3)
	activateForbidden := adopted["activation"] && (!activation || !kinds || len(r.Recipients) > 5 || len(r.Excluded) > 0)
	if adopted["activation"] && labels {
		say(!activation, "activation/consent-to-activation")
		say(!kinds, "activation/houses-and-media")
		say(len(r.Recipients) > 5, "activation/few-recipients")
		say(len(r.Excluded) > 0, "activation/no-exclusion")
	}
	if adopted["no-singling-out"] && labels {
		days := map[protocol.Date]int{"": 0, "2026-11-14": 1, "2026-11-19": 6, "2026-11-20": 7}[r.Definitions[0].Until]
		say(len(r.Named) > 0, "no-singling-out/no-member-named")
		say(r.RecentLabels != Counted(3) && r.RecentLabels != Counted(0), "no-singling-out/no-series-of-questions")
		say(days > 0 && days < 7, "no-singling-out/no-single-evening")
		activateForbidden = activateForbidden || len(r.Named) > 0 || r.RecentLabels == Counted(4) || (days > 0 && days < 7)
	}
	if adopted["pooled-audiences"] {
		say(!pooling, "pooled-audiences/consent-to-pooling")
		say(postal > 3, "pooled-audiences/no-finer-than-a-district")
	}
	say(!floors && !matchForbidden && !adopted["pooled-audiences"], "principle/permitted")
	say(labels && !floors && !activateForbidden && !adopted["activation"], "principle/permitted")
	return denying
}

// The policies decide as intended over a grid of requests around every bound.
func TestShippedPoliciesDecideAsIntended(t *testing.T) {
	sets := []struct {
		set     Set
		adopted map[protocol.PolicyName]bool
	}{
		{shipped(t), map[protocol.PolicyName]bool{"pooled-audiences": true, "activation": true, "no-singling-out": true}},
		{shipped(t, "activation", "pooled-audiences"), map[protocol.PolicyName]bool{"pooled-audiences": true, "activation": true}},
		{shipped(t, "no-singling-out", "pooled-audiences"), map[protocol.PolicyName]bool{"pooled-audiences": true, "no-singling-out": true}},
		{shipped(t, "activation"), map[protocol.PolicyName]bool{"activation": true}},
		{Set{}, nil},
	}
	tried, allowed := 0, 0
	grid(asking(), func(r Request) {
		s := sets[tried%len(sets)] // no axis has five values, so each set meets all of them
		tried++
		want := intent(s.adopted, r)
		d := s.set.Decide(r)
		if d.Allowed {
			allowed++
		}
		if d.Allowed != (len(want) == 0) || (!d.Allowed && !slices.Equal(deciding(d), want)) {
			t.Fatalf("adopted %v: allowed=%v by %v, meant %v\n%+v", s.adopted, d.Allowed, deciding(d), want, r)
		}
	})
	if tried < 10_000 || allowed < 50 {
		t.Errorf("%d requests tried, %d allowed: the grid no longer says much", tried, allowed)
	}
}

// grid visits a request under every combination of the values of its axes.
func grid(base Request, visit func(Request)) {
	edits := func(axis ...func(*Request)) []func(*Request) { return axis }
	museum := Party{"musee", protocol.KindMuseum, true}
	until := func(day protocol.Date) func(*Request) {
		return func(r *Request) {
			define(r, func(d *protocol.Definition) {
				d.From, d.Until = "2026-11-14", day
				if day == "" {
					d.From = ""
				}
			})
		}
	}
	postal := func(prefix ...string) func(*Request) {
		return func(r *Request) { define(r, func(d *protocol.Definition) { d.PostalPrefixes = prefix }) }
	}
	spend := func(cost, left dp.NanoRho) func(*Request) {
		return func(r *Request) { r.Cost, r.BudgetLeft = cost, left }
	}
	axes := [][]func(*Request){
		edits(func(*Request) {}, func(r *Request) { r.Participants[1].GoodStanding = false }),
		edits(func(*Request) {}, func(r *Request) { r.MinMembers = 2 }),
		edits(func(*Request) {}, func(r *Request) { r.Participants = r.Participants[:3] }),
		edits(func(*Request) {}, func(r *Request) { r.Noise.Total-- }, func(r *Request) { r.Noise.Sources = 399 }),
		edits(spend(5_000_000, 5_000_000), spend(5_000_001, 5_000_001), spend(2, 1)),
		edits(func(*Request) {}, func(r *Request) { r.Purposes = r.Purposes[:1] }, func(r *Request) { r.Purposes = r.Purposes[1:] }),
		edits(postal(), postal("H", "H2X"), postal("H2X1", "H2")),
		edits(func(*Request) {},
			func(r *Request) { r.Recipients = nil },
			func(r *Request) { r.Recipients = []Party{museum} },
			func(r *Request) { r.Recipients = asking().Participants; r.Recipients[1] = r.Participants[1] }),
		edits(func(*Request) {}, func(r *Request) { r.Excluded = []protocol.MemberID{"delta"} }),
		edits(func(*Request) {}, func(r *Request) { r.Named = []protocol.MemberID{"cascade"} }),
		edits(func(r *Request) { r.RecentLabels = Counted(3) }, func(r *Request) { r.RecentLabels = Counted(4) }),
		edits(until(""), until("2026-11-19"), until("2026-11-20")),
	}
	var walk func(Request, int)
	walk = func(r Request, axis int) {
		if axis == len(axes) {
			visit(r)
			return
		}
		for _, edit := range axes[axis] {
			branch := r
			branch.Participants = slices.Clone(r.Participants)
			edit(&branch)
			walk(branch, axis+1)
		}
	}
	walk(base, 0)
}
