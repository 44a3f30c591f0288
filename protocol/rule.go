package protocol

import (
	"cmp"
	"fmt"
	"slices"
)

// Rule says which persons belong to a pooled audience, from the sources that
// know them. Exactly one field is set:
//
//	{"source":"a"}                              known to a
//	{"at_least":{"t":2,"of":["a","b","c"]}}     known to 2 of the members behind them
//	{"all":[rule, …]}                           every rule holds
//	{"any":[rule, …]}                           one of them holds
//	{"except":{"rule":rule,"not":rule}}         the first holds and the second does not
//
// There is no bare negation. An exclusion only narrows another rule, so no rule
// can be written that holds for a person whom no source knows.
type Rule struct {
	All     []Rule     `json:"all,omitempty"`
	Any     []Rule     `json:"any,omitempty"`
	AtLeast *AtLeast   `json:"at_least,omitempty"`
	Except  *Except    `json:"except,omitempty"`
	Source  SourceName `json:"source,omitempty"`
}

// AtLeast holds for a person known to T or more different members, each
// through one or more of the sources Of. A member with two of them counts
// once: a house cannot raise its own weight by splitting its people.
type AtLeast struct {
	Of []SourceName `json:"of"`
	T  int          `json:"t"`
}

// Except holds where Rule holds and Not does not.
type Except struct {
	Not  Rule `json:"not"`
	Rule Rule `json:"rule"`
}

// Bounds of a rule. The root is at depth 1.
const (
	MaxRuleDepth   = 8
	MaxRuleNodes   = 512
	MaxRuleSources = 1024 // different names
)

// Check reports the first fault. The owner of a source is the member that
// uploads it in this round, or "" for a source that the round does not have.
func (r Rule) Check(owner func(SourceName) MemberID) error {
	c := ruleCheck{owner: owner, members: map[SourceName]MemberID{}}
	return c.rule(r, 1)
}

// ruleCheck counts what a rule has used of its bounds. It asks for each owner
// once, however often a rule repeats a name.
type ruleCheck struct {
	owner   func(SourceName) MemberID
	members map[SourceName]MemberID
	nodes   int
}

func (c *ruleCheck) rule(r Rule, depth int) error {
	if depth > MaxRuleDepth {
		return fmt.Errorf("%w: a rule is nested at most %d deep", ErrMalformed, MaxRuleDepth)
	}
	if c.nodes++; c.nodes > MaxRuleNodes {
		return fmt.Errorf("%w: a rule has at most %d parts", ErrMalformed, MaxRuleNodes)
	}
	if r.forms() != 1 {
		return fmt.Errorf("%w: each part of a rule is one of source, at_least, all, any or except", ErrMalformed)
	}
	switch {
	case r.Source != "":
		return c.source(r.Source)
	case r.AtLeast != nil:
		return c.atLeast(*r.AtLeast)
	case r.Except != nil:
		return c.rules(depth+1, r.Except.Rule, r.Except.Not)
	case len(r.All) > 0:
		return c.rules(depth+1, r.All...)
	default:
		return c.rules(depth+1, r.Any...)
	}
}

// forms counts the fields that are set.
func (r Rule) forms() int {
	n := 0
	for _, set := range []bool{r.Source != "", r.AtLeast != nil, r.Except != nil, len(r.All) > 0, len(r.Any) > 0} {
		if set {
			n++
		}
	}
	return n
}

func (c *ruleCheck) rules(depth int, rules ...Rule) error {
	for _, r := range rules {
		if err := c.rule(r, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *ruleCheck) source(name SourceName) error {
	if _, seen := c.members[name]; seen {
		return nil
	}
	if len(c.members) == MaxRuleSources {
		return fmt.Errorf("%w: a rule names at most %d sources", ErrMalformed, MaxRuleSources)
	}
	if err := name.Check(); err != nil {
		return err
	}
	member := c.owner(name)
	if member == "" {
		return fmt.Errorf("%w: the rule names %q, which is not a source of this round", ErrMalformed, name)
	}
	c.members[name] = member
	return nil
}

func (c *ruleCheck) atLeast(a AtLeast) error {
	if len(a.Of) > MaxRuleSources {
		return fmt.Errorf("%w: a rule names at most %d sources", ErrMalformed, MaxRuleSources)
	}
	members := map[MemberID]bool{}
	names := map[SourceName]bool{}
	for _, name := range a.Of {
		if err := c.source(name); err != nil {
			return err
		}
		if names[name] {
			return fmt.Errorf("%w: at_least lists %q twice", ErrMalformed, name)
		}
		names[name] = true
		members[c.members[name]] = true
	}
	if a.T < 1 || a.T > len(members) {
		return fmt.Errorf("%w: at_least asks for %d of %d members; ask for 1 to all of them, "+
			"each counted once however many of its sources are listed", ErrMalformed, a.T, len(members))
	}
	return nil
}

// MinMembers is a number of different members that must know a person before
// the rule can hold for it, whatever the person. It is a lower bound that never
// says too many, so a policy's floor may rest on it; it is exact for a source,
// for at_least, for any of exact rules, and for all of exact rules that share
// no member. Exclusions do not count: not being known somewhere protects nobody.
// The rule has passed [Rule.Check] with the same owner.
func (r Rule) MinMembers(owner func(SourceName) MemberID) int {
	known := map[SourceName]MemberID{}
	return r.need(func(name SourceName) MemberID {
		member, ok := known[name]
		if !ok {
			member = owner(name)
			known[name] = member
		}
		return member
	}).least
}

// need is a part's own demand: at least so many members, all of them among
// these. It stands for the rule without its exclusions.
type need struct {
	least   int
	members map[MemberID]bool
}

func (r Rule) need(owner func(SourceName) MemberID) need {
	switch {
	case r.Source != "":
		return need{1, map[MemberID]bool{owner(r.Source): true}}
	case r.AtLeast != nil:
		n := need{r.AtLeast.T, map[MemberID]bool{}}
		for _, name := range r.AtLeast.Of {
			n.members[owner(name)] = true
		}
		return n
	case r.Except != nil:
		return r.Except.Rule.need(owner)
	case len(r.Any) > 0:
		n := r.Any[0].need(owner)
		for _, part := range r.Any[1:] {
			other := part.need(owner)
			n.least = min(n.least, other.least)
			n.add(other)
		}
		return n
	case len(r.All) > 0:
		return needAll(r.conjuncts(owner, nil))
	default:
		return need{} // an empty rule, which Check refuses
	}
}

func (n need) add(other need) {
	for member := range other.members {
		n.members[member] = true
	}
}

func (n need) meets(other need) bool {
	for member := range other.members {
		if n.members[member] {
			return true
		}
	}
	return false
}

// conjuncts lists the demands that all hold together. An at_least over every
// one of its members is one demand a member, which lets needAll see more of
// them as disjoint.
func (r Rule) conjuncts(owner func(SourceName) MemberID, list []need) []need {
	switch {
	case r.Except != nil:
		return r.Except.Rule.conjuncts(owner, list)
	case len(r.All) > 0:
		for _, part := range r.All {
			list = part.conjuncts(owner, list)
		}
		return list
	}
	n := r.need(owner)
	if n.least < len(n.members) {
		return append(list, n)
	}
	for member := range n.members {
		list = append(list, need{1, map[MemberID]bool{member: true}})
	}
	return list
}

// needAll bounds demands that hold together. Demands upon disjoint sets of
// members add up, so any choice of disjoint ones is a lower bound. Finding the
// best choice is hard in general; two greedy ones do: largest demand first, and
// fewest members first.
func needAll(list []need) need {
	all := need{0, map[MemberID]bool{}}
	for _, n := range list {
		all.add(n)
	}
	bySize := func(a, b need) int { return cmp.Compare(len(a.members), len(b.members)) }
	byDemand := func(a, b need) int { return cmp.Or(cmp.Compare(b.least, a.least), bySize(a, b)) }
	for _, order := range []func(a, b need) int{byDemand, bySize} {
		// Stable, so that every node computes the same bound from the same rule:
		// demands that compare equal keep the rule's order.
		slices.SortStableFunc(list, order)
		all.least = max(all.least, packed(list))
	}
	return all
}

// packed adds up each demand that shares no member with an earlier one.
func packed(list []need) int {
	taken := need{0, map[MemberID]bool{}}
	for _, n := range list {
		if !taken.meets(n) {
			taken.add(n)
			taken.least += n.least
		}
	}
	return taken.least
}
