package policies

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"coulisse/protocol"
)

// Changes is what replacing one policy by another would change, for the page
// of the proposal.
type Changes struct {
	Rules []RuleChange `json:"rules"` // in the order of the new text, then those removed
	Lines []Line       `json:"lines"`
}

// RuleChange is one rule before and after; the one that is not there is the
// zero Rule.
type RuleChange struct {
	ID     RuleID `json:"id"`
	Before Rule   `json:"before,omitzero"`
	After  Rule   `json:"after,omitzero"`
	// What a changed rule changed. When Conditions stays false, the rule decides
	// as before and only its sentences differ.
	Conditions bool `json:"conditions"`
	Sentences  bool `json:"sentences"`
}

// Line is a line of either text.
type Line struct {
	Mark Mark   `json:"mark"`
	Text string `json:"text"`
}

// Mark is what becomes of a line, as it is usually written before it.
type Mark string

// The marks of a line.
const (
	Kept    Mark = " "
	Removed Mark = "-"
	Added   Mark = "+"
)

// Diff compares two versions of a policy. The zero Policy stands for none.
func Diff(before, after Policy) Changes {
	return Changes{Rules: diffRules(before.rules, after.rules), Lines: diffLines(lines(before.Text), lines(after.Text))}
}

func diffRules(before, after []rule) []RuleChange {
	var changes []RuleChange
	for _, r := range after {
		i := slices.IndexFunc(before, func(old rule) bool { return old.ID == r.ID })
		if i < 0 {
			changes = append(changes, RuleChange{ID: r.ID, After: r.Rule})
			continue
		}
		old := before[i]
		change := RuleChange{ID: r.ID, Before: old.Rule, After: r.Rule,
			Conditions: !bytes.Equal(old.law(), r.law()),
			Sentences:  old.Text != r.Text || old.Passes != r.Passes,
		}
		if change.Conditions || change.Sentences {
			changes = append(changes, change)
		}
	}
	for _, old := range before {
		if !slices.ContainsFunc(after, func(r rule) bool { return r.ID == old.ID }) {
			changes = append(changes, RuleChange{ID: old.ID, Before: old.Rule})
		}
	}
	return changes
}

// law is what a rule decides, in one spelling, without its sentences.
func (r rule) law() []byte {
	bare := *r.compiled.AST()
	bare.Annotations = nil
	return cedar.NewPolicyFromAST(&bare).MarshalCedar()
}

// Words says each change in a sentence, in the language "fr", else English.
func (c Changes) Words(lang string) []string {
	said := make([]string, len(c.Rules))
	for i, change := range c.Rules {
		said[i] = change.words(lang)
	}
	return said
}

func (c RuleChange) words(lang string) string {
	say := func(fr, en string, values ...any) string {
		return fmt.Sprintf(protocol.Text{FR: fr, EN: en}.In(lang), values...)
	}
	before, after := c.Before.Text.In(lang), c.After.Text.In(lang)
	switch {
	case c.Before == (Rule{}):
		return say("Règle ajoutée, %s (%s). %s", "Rule added, %s (%s). %s", c.ID, c.After.Effect.word(lang), after)
	case c.After == (Rule{}):
		return say("Règle retirée, %s (%s). Elle disait\u00a0: %s", "Rule removed, %s (%s). It said: %s",
			c.ID, c.Before.Effect.word(lang), before)
	case c.Before.Effect != c.After.Effect:
		return say("Règle renversée, %s (%s, auparavant %s). %s", "Rule reversed, %s (%s, formerly %s). %s",
			c.ID, c.After.Effect.word(lang), c.Before.Effect.word(lang), after)
	case c.Conditions && !c.Sentences:
		return say("Règle changée, %s\u00a0: ses conditions changent, et ses phrases restent les mêmes. À vérifier dans le texte. %s",
			"Rule changed, %s: its conditions change, and its sentences stay the same. Check them in the text. %s", c.ID, after)
	case c.Conditions:
		return say("Règle changée, %s. Elle dira\u00a0: %s Elle disait\u00a0: %s", "Rule changed, %s. It will say: %s It said: %s",
			c.ID, after, before)
	}
	return say("Phrases changées, %s\u00a0: la règle décide comme avant. Elle dira\u00a0: %s Elle disait\u00a0: %s",
		"Sentences changed, %s: the rule decides as before. It will say: %s It said: %s", c.ID, after, before)
}

func (e Effect) word(lang string) string {
	words := map[Effect]protocol.Text{
		Permit: {FR: "permission", EN: "permission"},
		Forbid: {FR: "interdiction", EN: "prohibition"},
	}
	return words[e].In(lang)
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// diffLines is a shortest difference, by longest common subsequence. Texts have
// at most [MaxLines] lines, so the table has at most four million entries.
func diffLines(before, after []string) []Line {
	width := len(after) + 1
	common := make([]int16, (len(before)+1)*width) // of before[i:] and after[j:]
	for i := len(before) - 1; i >= 0; i-- {
		for j := len(after) - 1; j >= 0; j-- {
			if before[i] == after[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	var list []Line
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		switch {
		case i < len(before) && j < len(after) && before[i] == after[j]:
			list = append(list, Line{Kept, before[i]})
			i, j = i+1, j+1
		case i < len(before) && (j == len(after) || common[(i+1)*width+j] >= common[i*width+j+1]):
			list = append(list, Line{Removed, before[i]})
			i++
		default:
			list = append(list, Line{Added, after[j]})
			j++
		}
	}
	return list
}
