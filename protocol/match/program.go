package match

import (
	"fmt"
	"math/bits"

	"coulisse/protocol"
)

// Program is a rule made ready to run over a bit set of sources: no names, no
// recursion, no allocation. It is safe for concurrent use.
type Program struct {
	sources []protocol.SourceName // bit i stands for sources[i]
	words   int                   // of a bit set
	tests   []test
	start   int
	// least is the number of members, and so of sources, below which no test
	// can succeed.
	least int
}

// test asks whether at least t members know the person, and where to go on.
type test struct {
	// once has the bits of members that are asked about one source.
	once []uint64
	// several has, for each member asked about more sources, their bits: such a
	// member counts once.
	several [][]uint64
	t       int
	yes, no int // the next test, or an end
}

const (
	holds = -1
	fails = -2
)

// Compile makes a program of a rule over the sources of its round, in their
// order. It refuses a rule that one member alone could satisfy with [ErrPaddable]:
// padding is in one upload only, so a rule that needs two members never counts it.
func Compile(rule protocol.Rule, sources []protocol.Source) (*Program, error) {
	bit := make(map[protocol.SourceName]int, len(sources))
	names := make([]protocol.SourceName, len(sources))
	for i, s := range sources {
		if _, twice := bit[s.Name]; twice {
			return nil, fmt.Errorf("%w: source %q is listed twice", protocol.ErrMalformed, s.Name)
		}
		bit[s.Name], names[i] = i, s.Name
	}
	owner := func(name protocol.SourceName) protocol.MemberID {
		if i, ok := bit[name]; ok {
			return sources[i].Member
		}
		return ""
	}
	if err := rule.Check(owner); err != nil {
		return nil, err
	}
	least := rule.MinMembers(owner)
	if least < 2 {
		return nil, ErrPaddable
	}
	c := compiler{
		program: &Program{sources: names, words: (len(names) + 63) / 64, least: least},
		bit:     bit, owner: owner,
	}
	c.program.start = c.rule(rule, holds, fails)
	return c.program, nil
}

type compiler struct {
	program *Program
	bit     map[protocol.SourceName]int
	owner   func(protocol.SourceName) protocol.MemberID
}

// rule adds the tests of a rule that goes on to yes or no, and returns where it
// begins. It is built from its end, so that every target is known.
func (c *compiler) rule(r protocol.Rule, yes, no int) int {
	switch {
	case r.Source != "":
		return c.test(1, []protocol.SourceName{r.Source}, yes, no)
	case r.AtLeast != nil:
		return c.test(r.AtLeast.T, r.AtLeast.Of, yes, no)
	case r.Except != nil:
		return c.rule(r.Except.Rule, c.rule(r.Except.Not, no, yes), no)
	}
	for i := len(r.All) - 1; i >= 0; i-- {
		yes = c.rule(r.All[i], yes, no)
	}
	if len(r.All) > 0 {
		return yes
	}
	for i := len(r.Any) - 1; i >= 0; i-- {
		no = c.rule(r.Any[i], yes, no)
	}
	return no
}

func (c *compiler) test(t int, of []protocol.SourceName, yes, no int) int {
	byMember := map[protocol.MemberID][]int{}
	var order []protocol.MemberID
	for _, name := range of {
		member := c.owner(name)
		if byMember[member] == nil {
			order = append(order, member)
		}
		byMember[member] = append(byMember[member], c.bit[name])
	}
	next := test{once: make([]uint64, c.program.words), t: t, yes: yes, no: no}
	for _, member := range order {
		set := next.once
		if len(byMember[member]) > 1 {
			set = make([]uint64, c.program.words)
			next.several = append(next.several, set)
		}
		for _, bit := range byMember[member] {
			set[bit/64] |= 1 << (bit % 64)
		}
	}
	c.program.tests = append(c.program.tests, next)
	return len(c.program.tests) - 1
}

// holds reports whether the rule holds for a person known to these sources.
func (p *Program) holds(known []uint64) bool {
	at := p.start
	for at >= 0 {
		t := &p.tests[at]
		if t.members(known) >= t.t {
			at = t.yes
		} else {
			at = t.no
		}
	}
	return at == holds
}

func (t *test) members(known []uint64) int {
	n := 0
	for i, word := range t.once {
		n += bits.OnesCount64(word & known[i])
	}
	for _, set := range t.several {
		for i, word := range set {
			if word&known[i] != 0 {
				n++
				break
			}
		}
	}
	return n
}
