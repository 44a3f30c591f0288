package policies_test

import (
	"slices"
	"testing"
	"time"

	. "coulisse/policies"
	"coulisse/protocol"
)

// shipped is the set of the named shipped policies; of all when none is named.
func shipped(t testing.TB, names ...protocol.PolicyName) Set {
	t.Helper()
	var adopted []Policy
	for _, s := range Shipped() {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		p, err := Parse(s.Name, s.Text)
		if err != nil {
			t.Fatal(err)
		}
		adopted = append(adopted, p)
	}
	set, err := NewSet(adopted...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func house(id protocol.MemberID) Party { return Party{id, protocol.KindHouse, true} }

// asking is a request that the shipped policies permit: five houses and a
// newspaper, known to three, labels for the newspaper.
func asking() Request {
	participants := []Party{
		house("aurore"), house("boreal"), house("cascade"), house("delta"), house("erable"),
		{"gazette", protocol.KindMedia, true},
	}
	return Request{
		Federation:   "scene",
		Operation:    protocol.OperationMatch,
		At:           protocol.At(time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)),
		Initiator:    participants[0],
		Participants: participants,
		Recipients:   slices.Clone(participants[5:]),
		Definitions: []protocol.Definition{{
			Name:           "danse",
			Title:          protocol.Text{FR: "Danse", EN: "Dance"},
			Disciplines:    []string{"dance.contemporary"},
			PostalPrefixes: []string{"H2X"},
			From:           "2026-09-01",
			Until:          "2026-11-20",
		}},
		MinMembers:   3,
		Purposes:     []protocol.Purpose{protocol.PurposePooling, protocol.PurposeActivation},
		Noise:        protocol.Noise{Total: 400, Sources: 900},
		Cost:         3_000_000,
		BudgetLeft:   90_000_000,
		RecentLabels: Counted(0),
		Floors: protocol.Floors{
			MinMembers: 3, MinParticipants: 4, MinSize: 50, MinVariance: 400, MaxRoundCost: 5_000_000,
		},
	}
}

// sizeOnly is the same request without labels.
func sizeOnly() Request {
	r := asking()
	r.Recipients = nil
	return r
}

// define edits the definition of a request's source.
func define(r *Request, edit func(*protocol.Definition)) {
	r.Definitions = slices.Clone(r.Definitions)
	edit(&r.Definitions[0])
}

// deciding lists the rules of a decision as "policy/id".
func deciding(d Decision) []string {
	var names []string
	for _, r := range d.Rules {
		names = append(names, string(r.Policy)+"/"+string(r.ID))
	}
	return names
}

// mustParse reads a policy of one rule for a test.
func mustParse(t testing.TB, name protocol.PolicyName, text string) Policy {
	t.Helper()
	p, err := Parse(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// forbidding writes a forbid with the given head and condition.
func forbidding(id, head, condition string) string {
	return `@id("` + id + `") @fr("Non.") @en("No.") @fr_pass("Autre chose.") @en_pass("Something else.")
forbid (` + head + `) when { ` + condition + ` };
`
}

// permitting writes a permit with the given head and condition.
func permitting(id, head, condition string) string {
	return `@id("` + id + `") @fr("Oui.") @en("Yes.") permit (` + head + `) when { ` + condition + ` };
`
}

const anything = "principal, action, resource"

func BenchmarkDecide(b *testing.B) {
	set, r := shipped(b), asking()
	for b.Loop() {
		if !set.Decide(r).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	s := Shipped()[1]
	for b.Loop() {
		if _, err := Parse(s.Name, s.Text); err != nil {
			b.Fatal(err)
		}
	}
}
