package policies_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "coulisse/policies"
	"coulisse/protocol"
)

func source(name protocol.SourceName) protocol.Rule { return protocol.Rule{Source: name} }

func atLeast(n int, of ...protocol.SourceName) protocol.Rule {
	return protocol.Rule{AtLeast: &protocol.AtLeast{T: n, Of: of}}
}

func all(rules ...protocol.Rule) protocol.Rule { return protocol.Rule{All: rules} }

func oneOf(rules ...protocol.Rule) protocol.Rule { return protocol.Rule{Any: rules} }

func except(rule, not protocol.Rule) protocol.Rule {
	return protocol.Rule{Except: &protocol.Except{Rule: rule, Not: not}}
}

// round has the sources a1 and a2 of member "ma", b1 and b2 of "mb", and so on.
func round(rule protocol.Rule, recipients ...protocol.SourceName) protocol.Manifest {
	m := protocol.Manifest{Operation: protocol.OperationMatch, Rule: rule, Recipients: recipients,
		Noise: protocol.Noise{Total: 400, Sources: 900}}
	for _, member := range "abcde" {
		for i := 1; i <= 2; i++ {
			m.Sources = append(m.Sources, protocol.Source{
				Name:       protocol.SourceName(fmt.Sprintf("%c%d", member, i)),
				Member:     protocol.MemberID("m" + string(member)),
				Definition: asking().Definitions[0],
			})
		}
	}
	return m
}

func TestWhatALabelGivesAway(t *testing.T) {
	for name, c := range map[string]struct {
		m        protocol.Manifest
		named    []protocol.MemberID
		excluded []protocol.MemberID
	}{
		"a threshold with room": {round(atLeast(3, "a1", "b1", "c1", "d1"), "a1"), nil, nil},
		"a threshold without":   {round(atLeast(3, "a1", "b1", "c1"), "a1"), list("mb", "mc"), nil},
		"two of oneself and another": {
			round(atLeast(2, "a1", "b1"), "a1"), list("mb"), nil},
		"from outside the threshold": {round(atLeast(3, "a1", "b1", "c1"), "e1"), list("ma", "mb", "mc"), nil},
		// The person is in e1; whether it is in a1 or a2 the recipient knows too.
		"what the recipient can take away": {
			round(oneOf(all(source("a2"), atLeast(2, "b1", "c1")), atLeast(2, "b1", "c1", "d1")), "a1"), nil, nil},
		"a branch only by its own source": {
			round(oneOf(all(source("a2"), atLeast(2, "b1", "c1")), all(source("a1"), source("d1"))), "a1"), list("md"), nil},
		"two branches of its own": {
			round(oneOf(all(source("a1"), source("b1")), all(source("a2"), source("c1"))), "a1"), list("mb"), nil},
		"two branches, uploaded elsewhere": {
			round(oneOf(all(source("a2"), source("b1")), all(source("c1"), source("d1"))), "a1"), list("mc", "md"), nil},
		"one member through two sources": {round(atLeast(2, "b1", "b2", "c1", "d1"), "a1"), nil, nil},
		"no labels, nothing named":       {round(atLeast(3, "a1", "b1", "c1")), nil, nil},
		"exclusion of one member":        {round(except(source("a1"), source("b1")), "a1"), nil, list("mb")},
		"exclusion of one's own people":  {round(except(atLeast(2, "b1", "c1", "d1"), source("a2")), "a1"), nil, nil},
		"two recipients, one's own people": {
			round(except(atLeast(2, "b1", "c1", "d1"), source("a2")), "a1", "e1"), nil, list("ma")},
		"exclusion within an exclusion": {
			round(except(atLeast(2, "b1", "c1", "d1"), except(source("c2"), source("d2"))), "a1"), nil, list("mc")},
		// Whom b does not know and a knows in a2, the rule leaves to c and d alone.
		"own exclusion that opens a branch": {
			round(oneOf(all(source("a1"), atLeast(2, "b1", "c1", "d1")), except(all(source("c1"), source("d1")), source("a2"))), "a1"), nil, nil},
		"own exclusion that closes one": {
			round(oneOf(all(source("b1"), source("c1")), except(all(source("d1"), source("e1")), source("a2"))), "a1"), list("mb", "mc"), nil},
	} {
		if got := Named(c.m); !slices.Equal(got, c.named) {
			t.Errorf("%s: named %v", name, got)
		}
		if got := Excluded(c.m); !slices.Equal(got, c.excluded) {
			t.Errorf("%s: excluded %v", name, got)
		}
	}
	crowded := round(atLeast(3, "a1", "b1", "c1", "d1"), "a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2", "e1")
	if got := Named(crowded); !slices.Equal(got, crowded.Participants()) {
		t.Errorf("nine recipients: named %v", got)
	}
}

func list(ids ...protocol.MemberID) []protocol.MemberID { return ids }

// Named against its definition, tried person by person: every set of sources
// that a person may be in, every thing a recipient may know of it.
func TestNamedIsWhatRecipientsLearn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recipient := rapid.SampledFrom([]protocol.SourceName{"a1", "a2", "b1", "e1"}).Draw(t, "recipient")
		m := round(anyRule(t, 3), recipient)
		if got, want := Named(m), learned(m, recipient); !slices.Equal(got, want) {
			t.Fatalf("%+v: named %v, but recipients learn %v", m.Rule, got, want)
		}
	})
}

// anyRule has no exclusion: with them Named is a bound, not the answer.
func anyRule(t *rapid.T, depth int) protocol.Rule {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]protocol.SourceName{"a1", "a2", "b1", "b2", "c1", "d1", "e1"}), 1, 5, rapid.ID)
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		of := names.Draw(t, "of")
		members := map[byte]bool{}
		for _, name := range of {
			members[name[0]] = true
		}
		return atLeast(rapid.IntRange(1, len(members)).Draw(t, "t"), of...)
	}
	parts := make([]protocol.Rule, rapid.IntRange(1, 3).Draw(t, "parts"))
	for i := range parts {
		parts[i] = anyRule(t, depth-1)
	}
	if rapid.Bool().Draw(t, "all") {
		return all(parts...)
	}
	return oneOf(parts...)
}

// learned goes through every person in the recipient's source. Persons that
// agree on the recipient's own sources look alike to it; whoever knows all of
// those with the label is named, unless the label was certain beforehand.
func learned(m protocol.Manifest, recipient protocol.SourceName) []protocol.MemberID {
	self := m.Owner(recipient)
	type class struct {
		without bool // somebody has no label
		known   map[protocol.MemberID]bool
	}
	classes := map[string]*class{}
	for bits := range 1 << len(m.Sources) {
		in, own, members := map[protocol.SourceName]bool{}, "", map[protocol.MemberID]bool{}
		for i, s := range m.Sources {
			in[s.Name] = bits>>i&1 == 1
			if in[s.Name] {
				members[s.Member] = true
			}
			if s.Member == self {
				own += fmt.Sprint(in[s.Name])
			}
		}
		if !in[recipient] {
			continue
		}
		c := classes[own]
		if c == nil {
			c = &class{}
			classes[own] = c
		}
		if !holds(m, m.Rule, in) {
			c.without = true
			continue
		}
		if c.known == nil {
			c.known = maps.Clone(members)
		}
		maps.DeleteFunc(c.known, func(id protocol.MemberID, _ bool) bool { return !members[id] })
	}
	named := map[protocol.MemberID]bool{}
	for _, c := range classes {
		if c.without {
			maps.Copy(named, c.known)
		}
	}
	delete(named, self)
	return slices.Sorted(maps.Keys(named))
}

// holds evaluates a rule for one person, as plainly as it can be said.
func holds(m protocol.Manifest, r protocol.Rule, in map[protocol.SourceName]bool) bool {
	part := func(r protocol.Rule) bool { return holds(m, r, in) }
	switch {
	case r.AtLeast != nil:
		members := map[protocol.MemberID]bool{}
		for _, name := range r.AtLeast.Of {
			if in[name] {
				members[m.Owner(name)] = true
			}
		}
		return len(members) >= r.AtLeast.T
	case r.Except != nil:
		return part(r.Except.Rule) && !part(r.Except.Not)
	case len(r.All) > 0:
		return !slices.ContainsFunc(r.All, func(r protocol.Rule) bool { return !part(r) })
	case len(r.Any) > 0:
		return slices.ContainsFunc(r.Any, part)
	}
	return in[r.Source]
}

func TestAboutReadsTheManifest(t *testing.T) {
	m := round(atLeast(3, "a1", "b1", "c1", "d1", "e1"), "a1", "a2")
	r := About(m, "mb", house)
	if r.Initiator.ID != "mb" || len(r.Participants) != 5 || len(r.Recipients) != 1 || r.Recipients[0].ID != "ma" ||
		len(r.Definitions) != 10 || r.MinMembers != 3 || len(r.Named) != 0 || len(r.Purposes) != 2 || r.Noise != m.Noise {
		t.Errorf("%+v", r)
	}
	if cost, err := m.Cost(); err != nil || r.Cost != cost {
		t.Errorf("cost %d, manifest says %d, %v", r.Cost, cost, err)
	}
	sound := asking()
	r.Federation, r.At, r.BudgetLeft, r.Floors, r.RecentLabels = sound.Federation, sound.At, sound.BudgetLeft, sound.Floors, Counted(0)
	r.Floors.MaxRoundCost = r.Cost
	if d := shipped(t).Decide(r); !d.Allowed {
		t.Error(Explain(d, "en"))
	}
	if r := About(round(source("a1")), "ma", house); len(r.Purposes) != 1 || len(r.Recipients) != 0 {
		t.Errorf("%+v", r)
	}
}
