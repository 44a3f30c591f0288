package policies_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "coulisse/policies"
	"coulisse/protocol"
)

func TestShippedPoliciesParse(t *testing.T) {
	names := map[protocol.PolicyName]bool{}
	for _, s := range Shipped() {
		p, err := Parse(s.Name, s.Text)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Title.Check(); err != nil || names[s.Name] {
			t.Errorf("%s: title %v, or the name twice", s.Name, err)
		}
		names[s.Name] = true
		if p.Name != s.Name || p.Text != s.Text || len(p.Rules()) == 0 {
			t.Errorf("%s is not what was parsed", s.Name)
		}
	}
	if len(CharterRules()) == 0 {
		t.Error("the charter has no rules")
	}
}

// Every file of rules here is either shipped or the charter.
func TestEveryCedarFileIsUsed(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, isPolicy := strings.CutSuffix(f.Name(), ".cedar")
		if isPolicy && name != "charter" && !slices.ContainsFunc(Shipped(), func(s Source) bool { return string(s.Name) == name }) {
			t.Errorf("%s is in no list", f.Name())
		}
	}
}

func TestTextsThatCannotBePolicies(t *testing.T) {
	sound := forbidding("rule", anything, "context.cost > 1")
	for name, c := range map[string]struct{ text, says string }{
		"empty":                {"", "0 bytes"},
		"only a comment":       {"// nothing\n", "0 rules"},
		"too long":             {sound + "//" + strings.Repeat("x", protocol.MaxPolicy), "bytes"},
		"too many lines":       {strings.Repeat("\n", MaxLines+1) + sound, "lines"},
		"too many rules":       {strings.Repeat(sound, MaxRules+1), "65 rules"},
		"not UTF-8":            {sound + "// \xff", "UTF-8"},
		"a carriage return":    {sound + "\r\n", "U+000D"},
		"text that runs back":  {sound + "// \u202e", "U+202E"},
		"hidden by an escape":  {strings.Replace(sound, "Non.", `Non\u{200b}.`, 1), "U+200B"},
		"a hidden word joiner": {forbidding("rule", anything, `context.disciplines.contains("da\u{2060}nce")`), "U+2060"},
		"nested too deep":      {forbidding("rule", anything, strings.Repeat("(", 40)+"true"+strings.Repeat(")", 40)), "nested"},
		"not Cedar":            {"forbid everything", "parse error"},
		"no id":                {strings.Replace(sound, `@id("rule")`, "", 1), "@id"},
		"a bad id":             {strings.Replace(sound, `@id("rule")`, `@id("The rule")`, 1), "@id"},
		"the same id twice":    {sound + sound, "same id"},
		"no French":            {strings.Replace(sound, `@fr("Non.")`, "", 1), "French"},
		"no English":           {strings.Replace(sound, `@en("No.")`, `@en("  ")`, 1), "English"},
		"no way to pass":       {strings.Replace(sound, `@fr_pass("Autre chose.")`, "", 1), "@fr_pass"},
		"a permit that passes": {strings.Replace(sound, "forbid (", "permit (", 1), "@en_pass"},
		"another annotation":   {`@note("trust me") ` + sound, "@note"},
		"a long sentence":      {strings.Replace(sound, "Non.", strings.Repeat("n", MaxSentence+1), 1), "600"},
		"an unknown value":     {strings.Replace(sound, "Non.", "Non {hidden_count}.", 1), "hidden_count"},
		"values that differ":   {strings.Replace(sound, "Non.", "Non {cost}.", 1), "same {values}"},
		"stray braces":         {strings.NewReplacer("Non.", "{Non}.", "No.", "{No}.").Replace(sound), "braces"},
	} {
		_, err := Parse("tested", c.text)
		if !errors.Is(err, ErrRefused) || !contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	for _, name := range []protocol.PolicyName{"", "Audience", "charter", "own", "principle"} {
		if _, err := Parse(name, sound); !errors.Is(err, ErrRefused) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

// Conditions that Cedar would take, and that would then be skipped or never
// hold: a prohibition that is read and voted must be one.
func TestConditionsThatWouldNotBind(t *testing.T) {
	for _, c := range []string{
		`context.colour == "red"`,                             // unknown attribute
		`resource.cost > 1`,                                   // known elsewhere
		`context has colour && context.colour == "red"`,       // silently false
		`context has cost`,                                    // always true
		`false && context.colour == "red"`,                    // hidden behind a constant
		`context.cost == "3"`,                                 // wrong type
		`context.cost > resource.min_members && context.cost`, // a number for a condition
		`context.recipient_kinds.contains(Kind::"médias")`,    // no such kind
		`context.recipient_kinds.contains("media")`,           // a string for a kind
		`context.recipients.contains(Kind::"media")`,          // a kind for a member
		`context.recipients.containsAny([Kind::"media"])`,
		`context.recipients.containsAll(context.recipient_kinds)`,
		`context.recipients == context.recipient_kinds`,
		`principal == Kind::"house"`,
		`principal in [resource]`,
		`principal is Federation`,
		`principal in Member::"Théâtre du Fleuve"`, // not how a member is named
		`context.purposes.contains(Purpose::"resale")`,
		`action == Action::"measure"`,
		`Planet::"mars" == principal`,
		`Member::"boreal".good_standing`, // only the principal has attributes
		`principal.kind.name == "house"`,
		`{cost: 1}.cost == context.cost`,
		`decimal("1.0").lessThan(decimal("2.0"))`,
		`principal.hasTag("x")`,
		`[].contains(context.cost)`,
		`[1, "a"].contains(context.cost)`,
		`[Member::"boreal", Kind::"house"].contains(principal)`,
		strings.Repeat(`context.cost > 1 || `, 200) + "true",
	} {
		if _, err := Parse("tested", forbidding("rule", anything, c)); !errors.Is(err, ErrRefused) {
			t.Errorf("%.80s: %v", c, err)
		}
	}
	for _, head := range []string{
		`principal == Member::"Boréal", action, resource`,
		`principal is Planet, action, resource`,
		`principal is Federation, action, resource`,
		`principal, action == Action::"measure", resource`,
		`principal, action in [], resource`,
		`principal, action, resource == Federation::"La Scène"`,
		`principal, action, resource == Member::"boreal"`,
	} {
		if _, err := Parse("tested", forbidding("rule", head, "true")); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", head, err)
		}
	}
}

// Words that a member may well want to use.
func TestConditionsThatBind(t *testing.T) {
	for _, c := range []string{
		`context.disciplines.contains("dance") || context.any_discipline`,
		`context.participants.contains(principal)`,
		`principal in [Member::"aurore", Member::"boreal"]`,
		`context.recipients.containsAny([Member::"gazette", Member::"radio"])`,
		`context.date >= 20261101 && context.date < 20270101`,
		`if context.recipient_count > 1 then context.min_members < 4 else false`,
		`context.cost * 2 > resource.budget_left - 1`,
		`!(context.postal_prefixes.contains("J0M")) && context["postal_precision"] == 3`,
		`principal.kind != Kind::"media" && action == Action::"activate"`,
	} {
		if _, err := Parse("tested", forbidding("rule", anything, c)); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// Which requests a discipline or a day of the request touches.
func TestWordsMeanWhatTheVocabularySays(t *testing.T) {
	r := sizeOnly()
	r.Definitions = append(r.Definitions, protocol.Definition{
		Name: "abonnes", Title: protocol.Text{FR: "Abonnés", EN: "Subscribers"}, From: "2026-11-20",
	})
	for condition, want := range map[string]bool{
		`context.disciplines.contains("dance")`:                        true,
		`context.disciplines.contains("dance.contemporary")`:           true,
		`context.disciplines.contains("dance.contemporary.montreal")`:  false,
		`context.any_discipline`:                                       true,
		`context.source_count == 2`:                                    true,
		`context.period_days == 4`:                                     true, // from the 20th to today, the 23rd
		`context.date == 20261123`:                                     true,
		`context.recipient_count == 0 && context.recipients.isEmpty()`: true,
		`context.postal_precision == 3`:                                true,
		`principal in context.participants`:                            true,
		`resource == Federation::"scene"`:                              true,
		`resource == Federation::"other"`:                              false,
	} {
		own, err := ParseLocal(forbidding("rule", anything, condition))
		if err != nil {
			t.Fatal(err)
		}
		if got := !shipped(t).With(own).Decide(r).Allowed; got != want {
			t.Errorf("%s is %v", condition, got)
		}
	}
}

// The enumerations of the vocabulary are those of the protocol.
func TestVocabularyListsWhatTheProtocolKnows(t *testing.T) {
	text, err := os.ReadFile("vocabulary.cedarschema")
	if err != nil {
		t.Fatal(err)
	}
	listed := func(entity string) (names []string) {
		list := regexp.MustCompile(`entity ` + entity + ` enum \[(.*)\]`).FindSubmatch(text)[1]
		for _, name := range regexp.MustCompile(`"([a-z]+)"`).FindAllSubmatch(list, -1) {
			names = append(names, string(name[1]))
		}
		return names
	}
	kinds := []string{string(protocol.KindHouse), string(protocol.KindFestival), string(protocol.KindMuseum),
		string(protocol.KindCompany), string(protocol.KindMedia)}
	if got := listed("Kind"); !slices.Equal(got, kinds) {
		t.Errorf("kinds: %v", got)
	}
	if got := listed("Purpose"); !slices.Equal(got, []string{string(protocol.PurposePooling), string(protocol.PurposeActivation)}) {
		t.Errorf("purposes: %v", got)
	}
}

// Whatever the text, Parse answers, and what it takes can be decided, shown and
// compared.
func FuzzParse(f *testing.F) {
	for _, s := range Shipped() {
		f.Add(s.Text)
	}
	f.Add(forbidding("rule", anything, `context.cost * 9000000000000000000 < 0`))
	f.Add(forbidding("rule", `principal in Member::"aurore", action in [Action::"match"], resource is Federation`, `"a" like "a*\*"`))
	f.Add(permitting("rule", anything, "!!!true && -(-1) == 1 || if true then false else true"))
	f.Add(`@id @fr("\u{202e}") @en("") permit(principal,action,resource)unless{[[]]==[]};`)
	f.Add(strings.Repeat("(", 1000))
	r := asking()
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse("fuzzed", text)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			return
		}
		set, err := NewSet(p)
		if err != nil {
			t.Fatal(err)
		}
		d := set.Decide(r)
		for _, rule := range d.Rules {
			if rule.Text.FR == "" || rule.Text.EN == "" {
				t.Errorf("%+v", rule)
			}
		}
		if d.Allowed && len(d.Rules) == 0 {
			t.Error("allowed by no rule")
		}
		if changes := Diff(p, p); len(changes.Rules) != 0 {
			t.Errorf("a policy differs from itself: %+v", changes.Rules)
		}
		again, err := Parse("fuzzed", text)
		if err != nil || !slices.Equal(again.Rules(), p.Rules()) {
			t.Errorf("read twice, two policies: %v", err)
		}
	})
}
