package policies_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	. "coulisse/policies"
	"coulisse/protocol"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// checkFilled reports a sentence that is missing or still has a placeholder.
func checkFilled(t interface{ Errorf(string, ...any) }, r Rule) {
	texts := []protocol.Text{r.Text}
	if r.Effect == Forbid {
		texts = append(texts, r.Passes)
	}
	for _, text := range texts {
		if text.FR == "" || text.EN == "" || text.FR == text.EN || strings.ContainsAny(text.FR+text.EN, "{}") {
			t.Errorf("%s/%s says %q and %q", r.Policy, r.ID, text.FR, text.EN)
		}
	}
}

// Every sentence of every shipped rule, as decisions show it.
func TestEverySentenceIsFilledInBothLanguages(t *testing.T) {
	shown := map[string]bool{}
	see := func(d Decision) {
		for _, r := range d.Rules {
			checkFilled(t, r)
			shown[string(r.Policy)+"/"+string(r.ID)] = true
		}
		for _, lang := range []string{"fr", "en"} {
			if said := Explain(d, lang); strings.ContainsAny(said, "{}") || contains(said, "%!") {
				t.Error(said)
			}
		}
	}
	for _, c := range ruleCases {
		r := asking()
		c.spoil(&r)
		see(shipped(t).Decide(r))
	}
	see(shipped(t).Decide(asking()))
	see(Set{}.Decide(asking()))
	see(shipped(t, "activation").Decide(asking()))
	for _, r := range allShippedRules(t) {
		if name := string(r.Policy) + "/" + string(r.ID); !shown[name] {
			t.Errorf("%s was never shown", name)
		}
	}
}

// French is written as it is printed: a colon stands off by a no-break space,
// so that no line begins with it.
func TestFrenchColonsDoNotStrayToTheNextLine(t *testing.T) {
	stray := regexp.MustCompile(`[^\x{00a0}]:( |$)`)
	for _, r := range allShippedRules(t) {
		for _, s := range []string{r.Text.FR, r.Passes.FR} {
			if stray.MatchString(s) {
				t.Errorf("%s/%s: %s", r.Policy, r.ID, s)
			}
		}
	}
}

func TestExplainReadsAloud(t *testing.T) {
	r := asking()
	r.MinMembers, r.Noise.Total = 2, 100
	d := shipped(t).Decide(r)
	for lang, want := range map[string]string{
		"fr": `Refusé, pour 2 raisons.

1. Une personne ne compte que si assez de membres la connaissent, chacun de son côté. Le seuil demandé est de 2. La charte exige 3 ou plus.
Ce qui passerait : Une règle qui ne retient une personne qu'à partir de 3 membres.
Règle : charter/enough-members, plancher de la charte.

2. La taille de l'audience serait trop exacte. Elle serait brouillée de ± 20 personnes (variance 100). La charte exige ± 39 personnes (variance 400) ou plus.
Ce qui passerait : Une taille brouillée de ± 39 personnes (variance 400) ou plus.
Règle : charter/noise-on-the-size, plancher de la charte.`,
		"en": `Denied, for 2 reasons.

1. A person counts only when enough members know them, each on its own. The threshold asked for is 2. The charter requires 3 or more.
What would pass: A rule that takes a person only from 3 members on.
Rule: charter/enough-members, floor of the charter.

2. The size of the audience would be too exact. It would be blurred by ± 20 people (variance 100). The charter requires ± 39 people (variance 400) or more.
What would pass: A size blurred by ± 39 people (variance 400) or more.
Rule: charter/noise-on-the-size, floor of the charter.`,
	} {
		if got := strings.ReplaceAll(Explain(d, lang), "\u00a0", " "); got != want {
			t.Errorf("%s:\n%s", lang, got)
		}
	}
	if got := Explain(shipped(t, "pooled-audiences").Decide(sizeOnly()), "en"); !strings.HasPrefix(got, "Permitted.\n\nA member in good standing may pool") {
		t.Error(got)
	}
}

// Values in the units of people who vote.
func TestValuesInWords(t *testing.T) {
	r := asking()
	r.Cost, r.BudgetLeft = 1_666_667, 1_000_000_000
	r.Floors.MaxRoundCost = 1
	r.Floors.MinSize = 999_999
	r.Noise.Total = 100_000_000
	r.Excluded = []protocol.MemberID{"d9", "d8", "d7", "d6", "d5", "d4", "d3", "d2", "d1"}
	r.Named = []protocol.MemberID{"boreal", "cascade"}
	text := `@id("show")
@fr("{cost}|{resource.budget_left}|{resource.min_size}|{size_variance}|{excluded}|{named}|{date}|{any_discipline}|{principal}|{principal.kind}|{purposes}|{recipient_kinds}|{disciplines}|{postal_prefixes}")
@en("{cost}|{resource.budget_left}|{resource.min_size}|{size_variance}|{excluded}|{named}|{date}|{any_discipline}|{principal}|{principal.kind}|{purposes}|{recipient_kinds}|{disciplines}|{postal_prefixes}")
@fr_pass("-") @en_pass("+") forbid (principal, action, resource);`
	own, err := ParseLocal(text)
	if err != nil {
		t.Fatal(err)
	}
	d := Set{}.With(own).Decide(r)
	shown := d.Rules[slices.IndexFunc(d.Rules, func(r Rule) bool { return r.ID == "show" })].Text
	want := protocol.Text{
		FR: "0,001666667 rho|1 rho|999 999|± 19 600 personnes (variance 100 000 000)|d1, d2, d3, d4, d5, d6, d7 et 2 autres|" +
			"boreal et cascade|2026-11-23|non|aurore|maison|activation et mise en commun|média|dance et dance.contemporary|H2X",
		EN: "0.001666667 rho|1 rho|999,999|± 19,600 people (variance 100,000,000)|d1, d2, d3, d4, d5, d6, d7 and 2 others|" +
			"boreal and cascade|2026-11-23|no|aurore|house|activation and pooling|media|dance and dance.contemporary|H2X",
	}
	if got := strings.ReplaceAll(shown.FR, "\u00a0", " "); got != want.FR {
		t.Errorf("fr\n%s\nwant\n%s", got, want.FR)
	}
	if got := strings.ReplaceAll(shown.EN, "\u00a0", " "); got != want.EN {
		t.Errorf("en\n%s\nwant\n%s", got, want.EN)
	}
}

// A refusal fits into an acknowledgement, however many rules deny.
func TestRefusalFits(t *testing.T) {
	r := asking()
	for _, c := range ruleCases {
		if c.rule != "charter/good-standing" && c.rule != "activation/few-recipients" {
			c.spoil(&r)
		}
	}
	refusal := shipped(t).Decide(r).Refusal()
	if err := refusal.Check(); err != nil {
		t.Error(err)
	}
	if !utf8.ValidString(refusal.FR) || !strings.HasSuffix(refusal.FR, "…") {
		t.Errorf("%q", refusal.FR)
	}
}
