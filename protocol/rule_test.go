package protocol_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"coulisse/protocol"

	"pgregory.net/rapid"
)

// The small world of these tests: source "s-3-1" is the second source of member
// "m-3".
const ruleMembers, ruleSourcesEach = 5, 2

func ruleSource(member, nth int) protocol.SourceName {
	return protocol.SourceName(fmt.Sprintf("s-%d-%d", member, nth))
}

func ruleOwner(name protocol.SourceName) protocol.MemberID {
	var member, nth int
	if _, err := fmt.Sscanf(string(name), "s-%d-%d", &member, &nth); err != nil || member >= ruleMembers || nth >= ruleSourcesEach {
		return ""
	}
	return protocol.MemberID(fmt.Sprintf("m-%d", member))
}

func parseRule(t testing.TB, text string) protocol.Rule {
	t.Helper()
	var r protocol.Rule
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// ruleHolds is the meaning of a rule written down a second time, over the set of
// sources that know a person.
func ruleHolds(r protocol.Rule, known map[protocol.SourceName]bool) bool {
	switch {
	case r.Source != "":
		return known[r.Source]
	case r.AtLeast != nil:
		members := map[protocol.MemberID]bool{}
		for _, s := range r.AtLeast.Of {
			if known[s] {
				members[ruleOwner(s)] = true
			}
		}
		return len(members) >= r.AtLeast.T
	case r.Except != nil:
		return ruleHolds(r.Except.Rule, known) && !ruleHolds(r.Except.Not, known)
	case r.All != nil:
		return !slices.ContainsFunc(r.All, func(p protocol.Rule) bool { return !ruleHolds(p, known) })
	default:
		return slices.ContainsFunc(r.Any, func(p protocol.Rule) bool { return ruleHolds(p, known) })
	}
}

// withoutExclusions is the monotone part of a rule.
func withoutExclusions(r protocol.Rule) protocol.Rule {
	if r.Except != nil {
		return withoutExclusions(r.Except.Rule)
	}
	for _, parts := range []*[]protocol.Rule{&r.All, &r.Any} {
		list := make([]protocol.Rule, 0, len(*parts))
		for _, p := range *parts {
			list = append(list, withoutExclusions(p))
		}
		if *parts != nil {
			*parts = list
		}
	}
	return r
}

// fewestMembers tries every set of members, each with all of its sources, which
// for a monotone rule is the best that the set can do. It is 0 if none will do.
func fewestMembers(monotone protocol.Rule) int {
	best := 0
	for set := range 1 << ruleMembers {
		known := map[protocol.SourceName]bool{}
		for m := range ruleMembers {
			for n := range ruleSourcesEach {
				known[ruleSource(m, n)] = set&(1<<m) != 0
			}
		}
		if size := bits.OnesCount(uint(set)); ruleHolds(monotone, known) && (best == 0 || size < best) {
			best = size
		}
	}
	return best
}

func drawRule(t *rapid.T, depth int) protocol.Rule {
	source := func() protocol.SourceName {
		return ruleSource(rapid.IntRange(0, ruleMembers-1).Draw(t, "member"), rapid.IntRange(0, ruleSourcesEach-1).Draw(t, "nth"))
	}
	parts := func() []protocol.Rule {
		list := make([]protocol.Rule, rapid.IntRange(1, 4).Draw(t, "parts"))
		for i := range list {
			list[i] = drawRule(t, depth+1)
		}
		return list
	}
	form := rapid.IntRange(0, 5).Draw(t, "form")
	if depth >= 4 {
		form %= 2
	}
	switch form {
	case 0:
		return protocol.Rule{Source: source()}
	case 1:
		members := map[protocol.MemberID]bool{}
		var of []protocol.SourceName
		for range rapid.IntRange(1, 5).Draw(t, "of") {
			if s := source(); !slices.Contains(of, s) {
				of, members[ruleOwner(s)] = append(of, s), true
			}
		}
		return protocol.Rule{AtLeast: &protocol.AtLeast{Of: of, T: rapid.IntRange(1, len(members)).Draw(t, "t")}}
	case 2:
		return protocol.Rule{All: parts()}
	case 3:
		return protocol.Rule{Any: parts()}
	default:
		return protocol.Rule{Except: &protocol.Except{Rule: drawRule(t, depth+1), Not: drawRule(t, depth+1)}}
	}
}

func TestRuleMinMembersNeverSaysTooMany(t *testing.T) {
	exact, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t, 1)
		if err := r.Check(ruleOwner); err != nil {
			t.Skip("too large")
		}
		got, want := r.MinMembers(ruleOwner), fewestMembers(withoutExclusions(r))
		if got < 1 || got > want {
			t.Fatalf("MinMembers = %d, but %d members can satisfy %+v", got, want, r)
		}
		if all++; got == want {
			exact++
		}
	})
	t.Logf("exact for %d of %d random rules", exact, all)
}

func TestRuleHoldsForNobodyUnknown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if r := drawRule(t, 1); ruleHolds(r, nil) {
			t.Fatalf("holds for a person whom nobody knows: %+v", r)
		}
	})
}

func TestRuleMinMembers(t *testing.T) {
	for _, c := range []struct {
		rule string
		want int
	}{
		{`{"source":"s-0-0"}`, 1},
		{`{"at_least":{"t":3,"of":["s-0-0","s-1-0","s-2-0","s-3-0"]}}`, 3},
		// Two sources of one member are one member.
		{`{"all":[{"source":"s-0-0"},{"source":"s-0-1"}]}`, 1},
		{`{"all":[{"source":"s-0-0"},{"source":"s-1-0"}]}`, 2},
		{`{"at_least":{"t":2,"of":["s-0-0","s-0-1","s-1-0"]}}`, 2},
		{`{"any":[{"source":"s-0-0"},{"at_least":{"t":2,"of":["s-1-0","s-2-0"]}}]}`, 1},
		// Nesting hides nothing.
		{`{"all":[{"all":[{"source":"s-0-0"},{"source":"s-1-0"}]},{"all":[{"source":"s-1-0"},{"source":"s-2-0"}]}]}`, 3},
		{`{"all":[{"at_least":{"t":2,"of":["s-0-0","s-1-0"]}},{"source":"s-1-1"},{"source":"s-2-0"}]}`, 3},
		{`{"all":[{"source":"s-3-0"},{"at_least":{"t":2,"of":["s-0-0","s-1-0","s-2-0"]}}]}`, 3},
		{`{"all":[{"source":"s-0-0"},{"source":"s-1-0"},{"source":"s-2-0"},{"at_least":{"t":2,"of":["s-0-0","s-1-0","s-2-0","s-3-0"]}}]}`, 3},
		// Being absent from other houses is not being known to more.
		{`{"except":{"rule":{"source":"s-0-0"},"not":{"at_least":{"t":3,"of":["s-1-0","s-2-0","s-3-0"]}}}}`, 1},
		{`{"all":[{"except":{"rule":{"source":"s-0-0"},"not":{"source":"s-1-0"}}},{"source":"s-2-0"}]}`, 2},
	} {
		r := parseRule(t, c.rule)
		if err := r.Check(ruleOwner); err != nil {
			t.Errorf("%s: %v", c.rule, err)
		} else if got := r.MinMembers(ruleOwner); got != c.want {
			t.Errorf("%s: %d members, want %d", c.rule, got, c.want)
		}
	}
}

func TestRuleCheckRefuses(t *testing.T) {
	deep := strings.Repeat(`{"all":[`, 8) + `{"source":"s-0-0"}` + strings.Repeat(`]}`, 8)
	wide := `{"any":[` + strings.Repeat(`{"source":"s-0-0"},`, 511) + `{"source":"s-0-0"}]}`
	for name, c := range map[string]struct{ rule, says string }{
		"nothing":          {`{}`, "one of source"},
		"two forms":        {`{"source":"s-0-0","all":[{"source":"s-0-0"}]}`, "one of source"},
		"all of nothing":   {`{"all":[]}`, "one of source"},
		"any of nothing":   {`{"any":[]}`, "one of source"},
		"empty exclusion":  {`{"except":{"rule":{"source":"s-0-0"},"not":{}}}`, "one of source"},
		"bare negation":    {`{"except":{"rule":{},"not":{"source":"s-0-0"}}}`, "one of source"},
		"unknown source":   {`{"source":"s-9-0"}`, "not a source of this round"},
		"bad name":         {`{"source":"S 1"}`, "lower-case"},
		"at least none":    {`{"at_least":{"t":0,"of":["s-0-0"]}}`, "0 of 1 members"},
		"at least minus":   {`{"at_least":{"t":-1,"of":["s-0-0"]}}`, "-1 of 1 members"},
		"at least of none": {`{"at_least":{"t":1,"of":[]}}`, "1 of 0 members"},
		"too many":         {`{"at_least":{"t":3,"of":["s-0-0","s-1-0"]}}`, "3 of 2 members"},
		"split house":      {`{"at_least":{"t":2,"of":["s-0-0","s-0-1"]}}`, "2 of 1 members"},
		"repeated":         {`{"at_least":{"t":1,"of":["s-0-0","s-0-0"]}}`, "twice"},
		"too deep":         {deep, "nested at most 8"},
		"too wide":         {wide, "at most 512 parts"},
	} {
		err := parseRule(t, c.rule).Check(ruleOwner)
		if !errors.Is(err, protocol.ErrMalformed) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v, want a refusal with %q", name, err, c.says)
		}
	}
}

func TestRuleBoundsAreReached(t *testing.T) {
	deep := strings.Repeat(`{"all":[`, 7) + `{"source":"s-0-0"}` + strings.Repeat(`]}`, 7)
	wide := `{"any":[` + strings.Repeat(`{"source":"s-0-0"},`, 510) + `{"source":"s-0-0"}]}`
	for _, text := range []string{deep, wide} {
		if err := parseRule(t, text).Check(ruleOwner); err != nil {
			t.Error(err)
		}
	}
	many := protocol.Rule{AtLeast: &protocol.AtLeast{T: 1024}}
	for i := range protocol.MaxRuleSources {
		many.AtLeast.Of = append(many.AtLeast.Of, protocol.SourceName(fmt.Sprintf("source-%d", i)))
	}
	own := func(s protocol.SourceName) protocol.MemberID { return protocol.MemberID(s) }
	if err := many.Check(own); err != nil {
		t.Error(err)
	}
	if got := many.MinMembers(own); got != 1024 {
		t.Errorf("%d members, want 1024", got)
	}
	more := protocol.Rule{Any: []protocol.Rule{many, {Source: "one-more"}}}
	if err := more.Check(own); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("1025 sources: %v", err)
	}
}

// Owners are asked once a name, so that a rule which repeats names is not a
// way to keep a node busy.
func TestRuleAsksForAnOwnerOnce(t *testing.T) {
	asked := map[protocol.SourceName]int{}
	owner := func(s protocol.SourceName) protocol.MemberID {
		asked[s]++
		return ruleOwner(s)
	}
	r := parseRule(t, `{"all":[{"source":"s-0-0"},{"source":"s-0-0"},{"at_least":{"t":1,"of":["s-0-0"]}}]}`)
	if err := r.Check(owner); err != nil {
		t.Fatal(err)
	}
	r.MinMembers(owner)
	if asked["s-0-0"] != 2 {
		t.Errorf("asked %d times, want once by each method", asked["s-0-0"])
	}
}

func TestRuleWords(t *testing.T) {
	title := func(s protocol.SourceName) string {
		return map[protocol.SourceName]string{"s-0-0": "Danse", "s-1-0": "Cirque", "s-2-0": "Musée"}[s]
	}
	for _, c := range []struct{ rule, fr, en string }{
		{`{"source":"s-0-0"}`, "dans « Danse »", "in “Danse”"},
		{
			`{"at_least":{"t":2,"of":["s-0-0","s-1-0","s-2-0"]}}`,
			"chez au moins 2 membres parmi « Danse », « Cirque » et « Musée »",
			"to at least 2 of “Danse”, “Cirque” and “Musée”",
		},
		{
			`{"at_least":{"t":1,"of":["s-0-0"]}}`,
			"chez au moins 1 membre parmi « Danse »",
			"to at least 1 of “Danse”",
		},
		{
			`{"all":[{"source":"s-0-0"},{"any":[{"source":"s-1-0"},{"source":"s-2-0"}]}]}`,
			"dans « Danse » et (dans « Cirque » ou dans « Musée »)",
			"in “Danse” and (in “Cirque” or in “Musée”)",
		},
		{
			`{"except":{"rule":{"all":[{"source":"s-0-0"},{"source":"s-1-0"}]},"not":{"source":"s-2-0"}}}`,
			"(dans « Danse » et dans « Cirque »), mais pas dans « Musée »",
			"(in “Danse” and in “Cirque”), but not in “Musée”",
		},
		{
			// A wrapper of one does not hide that the inside needs brackets.
			`{"except":{"rule":{"source":"s-0-0"},"not":{"all":[{"any":[{"source":"s-1-0"},{"source":"s-2-0"}]}]}}}`,
			"dans « Danse », mais pas (dans « Cirque » ou dans « Musée »)",
			"in “Danse”, but not (in “Cirque” or in “Musée”)",
		},
	} {
		r := parseRule(t, c.rule)
		if got := strings.ReplaceAll(r.Words("fr", title), "\u00a0", " "); got != c.fr {
			t.Errorf("fr: %s, want %s", got, c.fr)
		}
		if got := r.Words("en", title); got != c.en {
			t.Errorf("en: %s, want %s", got, c.en)
		}
	}
}

// The form of a rule is part of what is signed.
func TestRuleForm(t *testing.T) {
	const text = `{"except":{"not":{"any":[{"source":"s-0-0"},{"source":"s-1-0"}]},"rule":{"all":[{"at_least":{"of":["s-2-0","s-3-0"],"t":2}},{"source":"s-4-0"}]}}}`
	raw, err := protocol.Canonical(parseRule(t, text))
	if err != nil || string(raw) != text {
		t.Errorf("%s %v\nwant %s", raw, err, text)
	}
}

func FuzzRule(f *testing.F) {
	f.Add([]byte(`{"source":"s-0-0"}`))
	f.Add([]byte(`{"at_least":{"of":["s-0-0","s-1-0","s-0-1"],"t":2}}`))
	f.Add([]byte(`{"except":{"not":{"any":[{"source":"s-0-0"}]},"rule":{"all":[{"source":"s-2-0"},{"source":"s-3-1"}]}}}`))
	f.Add([]byte(`{"all":[],"source":"s-0-0"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := protocol.Decode[protocol.Rule](raw)
		if err != nil || r.Check(ruleOwner) != nil {
			return
		}
		if got, want := r.MinMembers(ruleOwner), fewestMembers(withoutExclusions(r)); got < 1 || got > want {
			t.Fatalf("MinMembers = %d, %d members suffice", got, want)
		}
		for _, lang := range []string{"fr", "en"} {
			if r.Words(lang, func(s protocol.SourceName) string { return string(s) }) == "" {
				t.Fatal("a rule without words")
			}
		}
	})
}
