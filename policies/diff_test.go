package policies_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "coulisse/policies"
)

func TestDiffSaysWhatAVoteWouldChange(t *testing.T) {
	rule := func(id, condition string) string { return forbidding(id, anything, condition) }
	before := mustParse(t, "tested", rule("kept", "context.cost > 1")+rule("tightened", "context.cost > 5")+
		rule("reworded", "context.cost > 7")+rule("removed", "context.cost > 9")+rule("reversed", "context.cost < 3"))
	after := mustParse(t, "tested", "// a comment, and other spaces\n"+
		strings.Replace(rule("kept", "context.cost > 1"), "when", "\n  when", 1)+
		rule("tightened", "context.cost > 4")+
		strings.Replace(rule("reworded", "context.cost > 7"), "Non.", "Toujours non.", 1)+
		permitting("reversed", anything, "context.cost < 3")+
		rule("added", "context.date > 20270101"))
	changes := Diff(before, after)
	var ids []string
	for _, c := range changes.Rules {
		ids = append(ids, string(c.ID))
	}
	if want := []string{"tightened", "reworded", "reversed", "added", "removed"}; !slices.Equal(ids, want) {
		t.Fatalf("changed: %v", ids)
	}
	for i, want := range []string{
		"Règle changée, tightened : ses conditions changent, et ses phrases restent les mêmes. À vérifier dans le texte. Non.",
		"Phrases changées, reworded : la règle décide comme avant. Elle dira : Toujours non. Elle disait : Non.",
		"Règle renversée, reversed (permission, auparavant interdiction). Oui.",
		"Règle ajoutée, added (interdiction). Non.",
		"Règle retirée, removed (interdiction). Elle disait : Non.",
	} {
		if got := strings.ReplaceAll(changes.Words("fr")[i], "\u00a0", " "); got != want {
			t.Error(got)
		}
	}
	if got := changes.Words("en")[4]; got != "Rule removed, removed (prohibition). It said: No." {
		t.Error(got)
	}
}

func TestDiffWithNothing(t *testing.T) {
	p := shipped(t).Policies()[0]
	adopted, removed := Diff(Policy{}, p), Diff(p, Policy{})
	if len(adopted.Rules) != len(p.Rules()) || len(removed.Rules) != len(p.Rules()) {
		t.Errorf("%d rules adopted and %d removed of %d", len(adopted.Rules), len(removed.Rules), len(p.Rules()))
	}
	if slices.ContainsFunc(adopted.Lines, func(l Line) bool { return l.Mark != Added }) {
		t.Error("a new policy has lines that are not new")
	}
	if len(Diff(p, p).Rules) != 0 || slices.ContainsFunc(Diff(p, p).Lines, func(l Line) bool { return l.Mark != Kept }) {
		t.Error("a policy differs from itself")
	}
}

// Taking the kept and removed lines gives the old text back, the kept and added
// ones the new.
func TestDiffLinesRebuildBothTexts(t *testing.T) {
	base := shipped(t).Policies()[0].Text
	rapid.Check(t, func(t *rapid.T) {
		edit := func(name string) string {
			lines := strings.SplitAfter(base, "\n")
			for range rapid.IntRange(0, 8).Draw(t, name) {
				i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
				if rapid.Bool().Draw(t, "insert") {
					lines = slices.Insert(lines, i, rapid.SampledFrom([]string{"\n", "// x\n", "// y\n"}).Draw(t, "new"))
				} else if strings.TrimSpace(lines[i]) == "" || strings.HasPrefix(lines[i], "//") {
					lines = slices.Delete(lines, i, i+1)
				}
			}
			return strings.Join(lines, "")
		}
		before, err := Parse("tested", edit("before"))
		if err != nil {
			t.Fatal(err)
		}
		after, err := Parse("tested", edit("after"))
		if err != nil {
			t.Fatal(err)
		}
		var was, becomes strings.Builder
		for _, l := range Diff(before, after).Lines {
			if l.Mark != Added {
				was.WriteString(l.Text + "\n")
			}
			if l.Mark != Removed {
				becomes.WriteString(l.Text + "\n")
			}
		}
		if was.String() != before.Text || becomes.String() != after.Text {
			t.Fatal("the lines do not rebuild the texts")
		}
	})
}
