package policies_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "coulisse/policies"
	"coulisse/protocol"
)

func TestNothingAdoptedPermitsNothing(t *testing.T) {
	empty, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []Set{{}, empty} {
		if d := set.Decide(sizeOnly()); d.Allowed || !slices.Equal(deciding(d), []string{"principle/permitted"}) {
			t.Errorf("allowed=%v by %v", d.Allowed, deciding(d))
		}
		if d := set.Decide(asking()); d.Allowed || len(d.Rules) != 2 {
			t.Errorf("allowed=%v by %v, want one denial for the size and one for the labels", d.Allowed, deciding(d))
		}
	}
}

// A vote that permits everything still does not go under the charter's floors.
func TestNoPolicyLoosensTheCharter(t *testing.T) {
	set, err := NewSet(mustParse(t, "open-bar", permitting("all", anything, "true")))
	if err != nil {
		t.Fatal(err)
	}
	if d := set.Decide(asking()); !d.Allowed {
		t.Fatalf("denied by %v", deciding(d))
	}
	r := asking()
	r.MinMembers, r.Cost, r.Noise.Total = 1, r.BudgetLeft+1, 1
	want := []string{"charter/enough-members", "charter/noise-on-the-size", "charter/cost-of-one-round", "charter/budget-left"}
	if d := set.Decide(r); d.Allowed || !slices.Equal(deciding(d), want) {
		t.Errorf("allowed=%v by %v", d.Allowed, deciding(d))
	}
}

// Cedar skips a rule that it cannot evaluate. Here a prohibition would be
// lifted by the very number that is too large.
func TestRuleThatFailsDenies(t *testing.T) {
	overflow := "context.cost * 9000000000000000000 < 0"
	for _, failing := range []string{
		forbidding("fails", anything, overflow),
		permitting("fails", anything, overflow),
		forbidding("fails", `principal, action == Action::"activate", resource`, overflow),
	} {
		set, err := NewSet(append(shipped(t).Policies(), mustParse(t, "careless", failing))...)
		if err != nil {
			t.Fatal(err)
		}
		d := set.Decide(asking())
		if d.Allowed || !slices.Equal(deciding(d), []string{"principle/computable"}) {
			t.Errorf("allowed=%v by %v", d.Allowed, deciding(d))
		}
		if said := Explain(d, "fr"); !contains(said, "careless/fails") {
			t.Errorf("the explanation does not name the rule: %s", said)
		}
	}
}

// A field left at its zero value never permits.
func TestIncompleteRequestsAreDenied(t *testing.T) {
	permissive, err := NewSet(mustParse(t, "open-bar", permitting("all", anything, "true")))
	if err != nil {
		t.Fatal(err)
	}
	mayBeEmpty := []string{"Named", "Excluded", "Recipients"}
	for i := range reflect.TypeFor[Request]().NumField() {
		field := reflect.TypeFor[Request]().Field(i)
		if slices.Contains(mayBeEmpty, field.Name) {
			continue
		}
		r := asking()
		reflect.ValueOf(&r).Elem().Field(i).SetZero()
		if permissive.Decide(r).Allowed {
			t.Errorf("a request without %s is allowed", field.Name)
		}
	}
	for name, spoil := range map[string]func(*Request){
		"one member twice":        func(r *Request) { r.Participants[1] = r.Participants[0] },
		"two kinds for one":       func(r *Request) { r.Recipients[0].Kind = protocol.KindHouse },
		"unknown kind":            func(r *Request) { r.Initiator.Kind = "guild" },
		"unknown purpose":         func(r *Request) { r.Purposes = []protocol.Purpose{"resale"} },
		"unknown operation":       func(r *Request) { r.Operation = "measure" },
		"negative budget":         func(r *Request) { r.BudgetLeft = -1 },
		"negative threshold":      func(r *Request) { r.MinMembers = -1 },
		"malformed definition":    func(r *Request) { define(r, func(d *protocol.Definition) { d.Name = "" }) },
		"malformed named member":  func(r *Request) { r.Named = []protocol.MemberID{"Théâtre"} },
		"unknown member (About)":  func(r *Request) { r.Participants[2] = Party{} },
		"labels that none counts": func(r *Request) { r.RecentLabels = Count{} },
		"too many participants":   func(r *Request) { r.Participants = crowd(protocol.MaxMembers + 1) },
	} {
		r := asking()
		spoil(&r)
		if d := permissive.Decide(r); d.Allowed || !slices.Equal(deciding(d), []string{"principle/complete"}) {
			t.Errorf("%s: allowed=%v by %v", name, d.Allowed, deciding(d))
		}
	}
}

func crowd(n int) []Party {
	parties := make([]Party, n)
	for i := range parties {
		parties[i] = house(protocol.MemberID(fmt.Sprintf("maison-%d", i)))
	}
	return parties
}

func TestSetHoldsEachPolicyOnce(t *testing.T) {
	p := shipped(t).Policies()[0]
	if _, err := NewSet(p, p); err == nil {
		t.Error("the same policy twice makes a set")
	}
	if _, err := NewSet(make([]Policy, MaxPolicies+1)...); err == nil {
		t.Error("a set has no bound")
	}
}

// The order in which policies were adopted changes nothing.
func TestDecisionsDoNotDependOnOrder(t *testing.T) {
	adopted := shipped(t).Policies()
	slices.Reverse(adopted)
	reversed, err := NewSet(adopted...)
	if err != nil {
		t.Fatal(err)
	}
	r := asking()
	r.Excluded = []protocol.MemberID{"delta", "boreal", "cascade"}
	r.Purposes = r.Purposes[:1]
	r.RecentLabels = Counted(9)
	first := shipped(t).Decide(r)
	for range 20 {
		if d := reversed.Decide(r); !reflect.DeepEqual(d, first) {
			t.Fatalf("%v\nis not\n%v", d, first)
		}
	}
}

func TestOwnPolicyOnlyForbids(t *testing.T) {
	if _, err := ParseLocal(forbidding("no-media", anything, `context.recipient_kinds.contains(Kind::"media")`) +
		permitting("yes", anything, "true")); err == nil || !contains(err.Error(), "only forbids") {
		t.Errorf("a member's own permit: %v", err)
	}
	own, err := ParseLocal(forbidding("no-media", anything, `context.recipient_kinds.contains(Kind::"media")`))
	if err != nil {
		t.Fatal(err)
	}
	set := shipped(t).With(own)
	d := set.Decide(asking())
	if d.Allowed || len(d.Rules) != 1 || d.Rules[0].Origin != OwnPolicy {
		t.Errorf("allowed=%v by %+v", d.Allowed, d.Rules)
	}
	if d := set.Decide(sizeOnly()); !d.Allowed {
		t.Errorf("denied by %v", deciding(d))
	}
	if d := shipped(t).Decide(asking()); !d.Allowed {
		t.Error("With changed the set it was called on")
	}
}

// Whatever a member forbids for itself, and even if its rule fails, no denial
// becomes a permission.
func TestOwnPolicyIsMonotone(t *testing.T) {
	sets := []Set{shipped(t), shipped(t, "pooled-audiences"), {}}
	rapid.Check(t, func(t *rapid.T) {
		r := anyRequest(t)
		text := ""
		for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
			text += forbidding(fmt.Sprintf("own-%d", i), rapid.SampledFrom([]string{
				anything, `principal, action == Action::"activate", resource`, `principal == Member::"aurore", action, resource`,
			}).Draw(t, "head"), anyCondition(t, 3))
		}
		own, err := ParseLocal(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		set := rapid.SampledFrom(sets).Draw(t, "set")
		before, after := set.Decide(r), set.With(own).Decide(r)
		if after.Allowed && !before.Allowed {
			t.Fatalf("denied by %v, then allowed under\n%s", deciding(before), text)
		}
		for _, rule := range after.Rules {
			checkFilled(t, rule)
		}
	})
}

// anyCondition writes a condition that the vocabulary has, some of which fail.
func anyCondition(t *rapid.T, depth int) string {
	number := rapid.SampledFrom([]string{"context.cost", "context.min_members", "context.participant_count", "resource.min_size",
		"context.date", "context.postal_precision", "3", "-context.period_days", "context.cost * 4611686018427387904"})
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		return rapid.SampledFrom([]string{
			number.Draw(t, "a") + rapid.SampledFrom([]string{" < ", " >= ", " == ", " != "}).Draw(t, "op") + number.Draw(t, "b"),
			`context.participants.contains(Member::"boreal")`,
			`context.recipient_kinds.containsAny([Kind::"media", Kind::"museum"])`,
			`context.disciplines.contains("dance")`,
			`principal.kind == Kind::"house"`,
			`principal in context.recipients`,
			`context.any_discipline`,
		}).Draw(t, "leaf condition")
	}
	a, b := anyCondition(t, depth-1), anyCondition(t, depth-1)
	return rapid.SampledFrom([]string{
		"(" + a + ") && (" + b + ")", "(" + a + ") || (" + b + ")", "!(" + a + ")", "if " + a + " then " + b + " else true",
	}).Draw(t, "combination")
}

// anyRequest is a request near the sound one, often denied.
func anyRequest(t *rapid.T) Request {
	r := asking()
	r.MinMembers = rapid.IntRange(1, 5).Draw(t, "min members")
	r.Participants = r.Participants[:rapid.IntRange(1, 6).Draw(t, "participants")]
	r.Recipients = rapid.SampledFrom([][]Party{nil, r.Participants[:1], r.Participants}).Draw(t, "recipients")
	r.Noise.Total += protocol.Noise{Total: 1}.Total * 2
	r.Cost = rapid.SampledFrom([]Request{{Cost: 1}, {Cost: 5_000_000}, {Cost: 6_000_000}}).Draw(t, "cost").Cost
	r.Purposes = r.Purposes[:rapid.IntRange(1, 2).Draw(t, "purposes")]
	if rapid.Bool().Draw(t, "excludes") {
		r.Excluded = []protocol.MemberID{"delta"}
	}
	return r
}
