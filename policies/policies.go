// Package policies is the members' law: it parses, decides and explains the
// policies that they vote, which are Cedar texts, and the stricter ones that a
// member keeps for itself.
//
// It implements the policy part of protocol.md 4 (a participant checks each
// manifest against the policies whose votes it has verified, and its own
// stricter rules) and of 6 (a passed vote can tighten a member's own rule,
// never loosen it). Everything is a pure function of its arguments: the
// coordinator and every node come to the same [Decision].
//
// It is not where votes are counted (protocol/governance), nor where floors,
// costs and budgets are computed: they come in a [Request]. It is the gateway
// to cedar-go; nothing else imports it.
package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"coulisse/protocol"
)

// ErrRefused: a text cannot be a policy. It wraps every error of this package,
// each of which says what to change.
var ErrRefused = errors.New("not a policy")

// RuleID names a rule within its policy, in the form of a [protocol.MemberID].
type RuleID string

// Effect is what a rule does to a request that it fits.
type Effect string

// The effects. One forbid outweighs any number of permits, and a request that
// nothing permits is denied.
const (
	Permit Effect = "permit"
	Forbid Effect = "forbid"
)

// Origin says who laid a rule down.
type Origin string

// The origins of a rule.
const (
	Adopted   Origin = "adopted"    // the members, by a vote
	Charter   Origin = "charter"    // the charter's floors; in every [Set]
	OwnPolicy Origin = "own-policy" // one member, for itself
	Principle Origin = "principle"  // the way decisions are made; see decide.go
)

// Rule is one rule as people meet it: in a proposal its sentences have
// placeholders, in a [Decision] the values of the request.
type Rule struct {
	Policy protocol.PolicyName `json:"policy"`
	ID     RuleID              `json:"id"`
	Origin Origin              `json:"origin"`
	Effect Effect              `json:"effect"`
	// Text says what the rule does and why.
	Text protocol.Text `json:"text"`
	// Passes says what a forbid would let through. A permit has none.
	Passes protocol.Text `json:"passes,omitzero"`
}

// rule is a rule with its compiled form.
type rule struct {
	Rule
	compiled *cedar.Policy
	powers   []power // those it speaks of
}

// Policy is a parsed text of the members. The zero Policy has no rules; it is
// what [Diff] compares a new policy with, or a removed one.
type Policy struct {
	Name protocol.PolicyName
	Text string
	// Version is the number of the decision that adopted it; 0 for a proposal.
	Version int

	rules []rule
}

// Rules lists the rules in the order of the text.
func (p Policy) Rules() []Rule { return listed(p.rules) }

// Own is a parsed text of one member: it only forbids.
type Own struct {
	Text string

	rules []rule
}

// Rules lists the rules in the order of the text.
func (o Own) Rules() []Rule { return listed(o.rules) }

func listed(rules []rule) []Rule {
	list := make([]Rule, len(rules))
	for i, r := range rules {
		list[i] = r.Rule
	}
	return list
}

// MaxPolicies bounds a set.
const MaxPolicies = 64

// Set is all that binds at one moment: the charter's floors, the adopted
// policies and, at a member, its own. The zero Set permits nothing.
type Set struct {
	adopted []Policy // ascending by name
	own     []rule
}

// NewSet makes a set of adopted policies, each name once.
func NewSet(adopted ...Policy) (Set, error) {
	if len(adopted) > MaxPolicies {
		return Set{}, fmt.Errorf("%w: at most %d policies are in force together; remove or merge some", ErrRefused, MaxPolicies)
	}
	sorted := slices.Clone(adopted)
	slices.SortFunc(sorted, func(a, b Policy) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for i, p := range sorted {
		if i > 0 && sorted[i-1].Name == p.Name {
			return Set{}, fmt.Errorf("%w: policy %q is there twice; a new version replaces the old one", ErrRefused, p.Name)
		}
	}
	return Set{adopted: sorted}, nil
}

// With puts a member's own policy in place of the one before. It can only turn a
// permission into a denial.
func (s Set) With(own Own) Set {
	return Set{adopted: s.adopted, own: slices.Concat(s.own, own.rules)}
}

// Policies lists the adopted policies, ascending by name.
func (s Set) Policies() []Policy { return slices.Clone(s.adopted) }

// all lists every rule in force, in the order in which decisions show them.
func (s Set) all() []rule {
	rules := slices.Clone(charter())
	for _, p := range s.adopted {
		rules = append(rules, p.rules...)
	}
	return append(rules, s.own...)
}

// key names a rule within its set.
func (r Rule) key() types.PolicyID {
	return types.PolicyID(string(r.Policy) + "/" + string(r.ID))
}
