package policies

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"coulisse/protocol"
)

// Bounds of a policy's text; the bytes are bounded by [protocol.MaxPolicy].
const (
	MaxLines    = 2000
	MaxRules    = 64
	MaxSentence = 600 // bytes
	maxNesting  = 32
	maxReported = 300 // bytes of a parser's or validator's own words
)

// Parse reads a policy that the members may adopt. The same text is read or
// refused everywhere alike.
func Parse(name protocol.PolicyName, text string) (Policy, error) {
	if err := name.Check(); err != nil {
		return Policy{}, fmt.Errorf("%w: its name: %v", ErrRefused, err)
	}
	if slices.Contains([]protocol.PolicyName{charterName, ownName, principleName}, name) {
		return Policy{}, fmt.Errorf("%w: the name %q is taken by the program; choose another", ErrRefused, name)
	}
	rules, err := parse(name, Adopted, text)
	if err != nil {
		return Policy{}, fmt.Errorf("%w: %v", ErrRefused, err)
	}
	return Policy{Name: name, Text: text, rules: rules}, nil
}

// ParseLocal reads a member's own policy, which only forbids: what the members
// decided together can be tightened at home, never loosened.
func ParseLocal(text string) (Own, error) {
	rules, err := parse(ownName, OwnPolicy, text)
	if err != nil {
		return Own{}, fmt.Errorf("%w: %v", ErrRefused, err)
	}
	for _, r := range rules {
		if r.Effect != Forbid {
			return Own{}, fmt.Errorf("%w: rule %q permits; a member's own policy only forbids, and a permission is "+
				"proposed to the members", ErrRefused, r.ID)
		}
	}
	return Own{Text: text, rules: rules}, nil
}

func parse(name protocol.PolicyName, origin Origin, text string) ([]rule, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	list, err := cedar.NewPolicyListFromBytes("", []byte(text))
	if err != nil {
		return nil, errors.New(shortened(err))
	}
	if len(list) < 1 || len(list) > MaxRules {
		return nil, fmt.Errorf("it has %d rules; write 1 to %d", len(list), MaxRules)
	}
	rules := make([]rule, len(list))
	line := map[RuleID]int{}
	for i, compiled := range list {
		at := compiled.Position().Line
		r, err := parseRule(compiled)
		if err != nil {
			return nil, fmt.Errorf("the rule at line %d: %v", at, err)
		}
		if first, taken := line[r.ID]; taken {
			return nil, fmt.Errorf("the rules at lines %d and %d have the same id %q; rename one", first, at, r.ID)
		}
		line[r.ID] = at
		r.Policy, r.Origin = name, origin
		rules[i] = r
	}
	return rules, nil
}

func parseRule(compiled *cedar.Policy) (rule, error) {
	r := rule{Rule: Rule{Effect: Forbid}, compiled: compiled}
	if compiled.Effect() == cedar.Permit {
		r.Effect = Permit
	}
	if err := r.annotate(compiled.Annotations()); err != nil {
		return rule{}, err
	}
	tree := (*ast.Policy)(compiled.AST())
	if err := checkMeaning(tree); err != nil {
		return rule{}, fmt.Errorf("%q: %v", r.ID, err)
	}
	r.powers = powersOf(tree.Action)
	return r, nil
}

// annotate takes the rule's name and sentences from its annotations.
func (r *rule) annotate(notes cedar.Annotations) error {
	take := func(key types.AnnotationKey) (s string) {
		s = string(notes[key])
		delete(notes, key)
		return s
	}
	r.ID = RuleID(take("id"))
	if err := protocol.PolicyName(r.ID).Check(); err != nil {
		return errors.New(`name it with @id("…"), 2 to 40 lower-case letters, digits and hyphens`)
	}
	r.Text = protocol.Text{FR: take("fr"), EN: take("en")}
	if err := checkSentences(r.Text); err != nil {
		return fmt.Errorf("%q: what it does and why, @fr and @en: %v", r.ID, err)
	}
	if r.Effect == Forbid {
		r.Passes = protocol.Text{FR: take("fr_pass"), EN: take("en_pass")}
		if err := checkSentences(r.Passes); err != nil {
			return fmt.Errorf("%q: what would pass instead, @fr_pass and @en_pass: %v", r.ID, err)
		}
	}
	for key := range notes {
		return fmt.Errorf("%q: it has an annotation other than @id, @fr and @en, or for a forbid @fr_pass and @en_pass; "+
			"take out @%s", r.ID, smallest(notes, key))
	}
	return nil
}

// smallest makes the error the same everywhere, whatever the map's order.
func smallest(notes cedar.Annotations, key types.AnnotationKey) types.AnnotationKey {
	for other := range notes {
		key = min(key, other)
	}
	return key
}

// checkSentences demands both languages, with the same values in both.
func checkSentences(t protocol.Text) error {
	var named [2][]string
	for i, s := range []string{t.FR, t.EN} {
		if strings.TrimSpace(s) == "" || len(s) > MaxSentence {
			return fmt.Errorf("write it in French and in English, each in 1 to %d bytes", MaxSentence)
		}
		if r, bad := hiddenRune(s); bad {
			return fmt.Errorf("take out the invisible character U+%04X", r)
		}
		names, err := placeholders(s)
		if err != nil {
			return err
		}
		slices.Sort(names)
		named[i] = slices.Compact(names)
	}
	if !slices.Equal(named[0], named[1]) {
		return errors.New("show the same {values} in both languages")
	}
	return nil
}

// checkText bounds a text before anything reads it, and refuses characters
// that would let it look like another one on the page where it is voted.
func checkText(text string) error {
	if text == "" || len(text) > protocol.MaxPolicy {
		return fmt.Errorf("it has %d bytes; write 1 to %d", len(text), protocol.MaxPolicy)
	}
	if !utf8.ValidString(text) {
		return errors.New("it is not UTF-8; save it as UTF-8")
	}
	if n := strings.Count(text, "\n"); n > MaxLines {
		return fmt.Errorf("it has %d lines; write at most %d", n, MaxLines)
	}
	if r, bad := hiddenRune(text); bad {
		return fmt.Errorf("take out the invisible character U+%04X; lines end with a line feed alone", r)
	}
	if nesting(text) > maxNesting {
		return fmt.Errorf("brackets are nested more than %d deep; split the rule", maxNesting)
	}
	return nil
}

// hiddenRune finds a character that a reader cannot see and that is not a
// space, tab or line feed: controls, and the marks that reverse or join text.
func hiddenRune(s string) (rune, bool) {
	for _, r := range s {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
			return r, true
		}
	}
	return 0, false
}

var skipped = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|//[^\n]*`)

// nesting is how deep brackets go outside strings and comments. The Cedar
// parser recurses on them, and a peer wrote the text.
func nesting(text string) (deepest int) {
	depth := 0
	for _, c := range skipped.ReplaceAllLiteralString(text, "") {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		}
		deepest = max(deepest, depth)
	}
	return deepest
}

// shortened is an error of the Cedar library in one line. Its validator
// reports faults in map order, so they are sorted.
func shortened(err error) string {
	lines := strings.Split(err.Error(), "\n")
	slices.Sort(lines)
	said := strings.Join(slices.Compact(lines), "; ")
	if len(said) > maxReported {
		said = cut(said, maxReported)
	}
	return said
}

// cut shortens s to at most n bytes, at the edge of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
