package policies

import (
	"fmt"
	"strings"

	"coulisse/protocol"
)

// phrases are one language's words around the sentences of the rules.
type phrases struct {
	allowed, denied, deniedByMany string
	passes, rule                  string
	origins                       map[Origin]string
}

var (
	phrasesFrench = phrases{
		allowed:      "Permis.",
		denied:       "Refusé.",
		deniedByMany: "Refusé, pour %d raisons.",
		passes:       "Ce qui passerait\u00a0: ",
		rule:         "Règle\u00a0: ",
		origins: map[Origin]string{
			Adopted:   "adoptée par un vote",
			Charter:   "plancher de la charte",
			OwnPolicy: "propre à ce membre",
			Principle: "principe de toute décision",
		},
	}
	phrasesEnglish = phrases{
		allowed:      "Permitted.",
		denied:       "Denied.",
		deniedByMany: "Denied, for %d reasons.",
		passes:       "What would pass: ",
		rule:         "Rule: ",
		origins: map[Origin]string{
			Adopted:   "adopted by a vote",
			Charter:   "floor of the charter",
			OwnPolicy: "this member's own",
			Principle: "principle of every decision",
		},
	}
)

// Explain says a decision in the language "fr", else English: each rule, why,
// what would pass, and who laid the rule down.
func Explain(d Decision, lang string) string {
	p := phrasesEnglish
	if lang == "fr" {
		p = phrasesFrench
	}
	var b strings.Builder
	switch {
	case d.Allowed:
		b.WriteString(p.allowed)
	case len(d.Rules) == 1:
		b.WriteString(p.denied)
	default:
		fmt.Fprintf(&b, p.deniedByMany, len(d.Rules))
	}
	for i, r := range d.Rules {
		b.WriteString("\n\n")
		if len(d.Rules) > 1 {
			fmt.Fprintf(&b, "%d. ", i+1)
		}
		b.WriteString(r.Text.In(lang))
		if r.Passes != (protocol.Text{}) {
			b.WriteString("\n" + p.passes + r.Passes.In(lang))
		}
		b.WriteString("\n" + p.rule + string(r.key()) + ", " + p.origins[r.Origin] + ".")
	}
	return b.String()
}

// Refusal is the reason that a participant gives in its acknowledgement, cut to
// what a [protocol.Text] holds. It is public, a member's own rules included.
func (d Decision) Refusal() protocol.Text {
	return protocol.Text{
		FR: cut(Explain(d, "fr"), protocol.MaxText),
		EN: cut(Explain(d, "en"), protocol.MaxText),
	}
}
