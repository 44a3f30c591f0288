package protocol

import (
	"strconv"
	"strings"
)

// Words says the rule in the language "fr", else English, as the end of the
// sentence "the audience is everyone known …", each source under its title.
// The rule has passed [Rule.Check].
func (r Rule) Words(lang string, title func(SourceName) string) string {
	w := ruleWords{phrases: ruleEnglish, title: title}
	if lang == "fr" {
		w.phrases = ruleFrench
	}
	return w.rule(r)
}

// rulePhrases are one language's way to say a rule.
type rulePhrases struct {
	in, and, or, butNot   string
	atLeastOne, atLeast   string // # stands for the number
	among, comma, last    string
	openQuote, closeQuote string
}

// The French marks stand off by a no-break space, as typography there asks.
var (
	ruleFrench = rulePhrases{
		in: "dans ", and: " et ", or: " ou ", butNot: ", mais pas ",
		atLeastOne: "chez au moins 1 membre", atLeast: "chez au moins # membres", among: " parmi ",
		comma: ", ", last: " et ", openQuote: "«\u00a0", closeQuote: "\u00a0»",
	}
	ruleEnglish = rulePhrases{
		in: "in ", and: " and ", or: " or ", butNot: ", but not ",
		atLeastOne: "to at least 1", atLeast: "to at least #", among: " of ",
		comma: ", ", last: " and ", openQuote: "“", closeQuote: "”",
	}
)

type ruleWords struct {
	phrases rulePhrases
	title   func(SourceName) string
}

func (w ruleWords) rule(r Rule) string {
	switch {
	case r.Source != "":
		return w.phrases.in + w.quoted(r.Source)
	case r.AtLeast != nil:
		return w.atLeast(*r.AtLeast)
	case r.Except != nil:
		return w.part(r.Except.Rule) + w.phrases.butNot + w.part(r.Except.Not)
	case len(r.All) > 0:
		return w.joined(r.All, w.phrases.and)
	default:
		return w.joined(r.Any, w.phrases.or)
	}
}

// part is a rule inside another: in brackets if it could be read two ways.
func (w ruleWords) part(r Rule) string {
	switch {
	case len(r.All) == 1:
		return w.part(r.All[0])
	case len(r.Any) == 1:
		return w.part(r.Any[0])
	case r.Source != "":
		return w.rule(r)
	}
	return "(" + w.rule(r) + ")"
}

func (w ruleWords) joined(rules []Rule, by string) string {
	if len(rules) == 1 {
		return w.rule(rules[0])
	}
	parts := make([]string, len(rules))
	for i, r := range rules {
		parts[i] = w.part(r)
	}
	return strings.Join(parts, by)
}

func (w ruleWords) atLeast(a AtLeast) string {
	count := w.phrases.atLeastOne
	if a.T != 1 {
		count = strings.Replace(w.phrases.atLeast, "#", strconv.Itoa(a.T), 1)
	}
	names := make([]string, len(a.Of))
	for i, name := range a.Of {
		names[i] = w.quoted(name)
	}
	list := names[0]
	if last := len(names) - 1; last > 0 {
		list = strings.Join(names[:last], w.phrases.comma) + w.phrases.last + names[last]
	}
	return count + w.phrases.among + list
}

func (w ruleWords) quoted(name SourceName) string {
	return w.phrases.openQuote + w.title(name) + w.phrases.closeQuote
}
