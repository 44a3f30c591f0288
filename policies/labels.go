package policies

import (
	"maps"
	"slices"

	"coulisse/protocol"
)

// About is the part of a request that its manifest says. What is left for the
// caller to say: Federation, At, BudgetLeft, Floors and RecentLabels.
//
// The party of an unknown member is the zero Party, which denies.
func About(m protocol.Manifest, initiator protocol.MemberID, party func(protocol.MemberID) Party) Request {
	cost, err := m.Cost()
	if err != nil {
		cost = 0 // no price, no permission
	}
	r := Request{
		Operation:  m.Operation,
		Initiator:  party(initiator),
		MinMembers: m.Rule.MinMembers(m.Owner),
		Named:      Named(m),
		Excluded:   Excluded(m),
		Purposes:   []protocol.Purpose{protocol.PurposePooling},
		Noise:      m.Noise,
		Cost:       cost,
	}
	for _, id := range m.Participants() {
		r.Participants = append(r.Participants, party(id))
	}
	for _, id := range recipientsOf(m) {
		r.Recipients = append(r.Recipients, party(id))
	}
	for _, s := range m.Sources {
		r.Definitions = append(r.Definitions, s.Definition)
	}
	if len(r.Recipients) > 0 {
		r.Purposes = append(r.Purposes, protocol.PurposeActivation)
	}
	return r
}

// recipientsOf are the members behind the manifest's recipients, ascending.
func recipientsOf(m protocol.Manifest) []protocol.MemberID {
	members := map[protocol.MemberID]bool{}
	for _, name := range m.Recipients {
		members[m.Owner(name)] = true
	}
	return slices.Sorted(maps.Keys(members))
}

// ownersOf is [protocol.Manifest.Owner] for the many names of a rule.
func ownersOf(m protocol.Manifest) map[protocol.SourceName]protocol.MemberID {
	owner := make(map[protocol.SourceName]protocol.MemberID, len(m.Sources))
	for _, s := range m.Sources {
		owner[s.Name] = s.Member
	}
	return owner
}

// Excluded lists the members whose people the rule leaves out, ascending. When
// one member alone receives labels, leaving out its own people tells it nothing
// new, and it is not listed.
func Excluded(m protocol.Manifest) []protocol.MemberID {
	members, owner := map[protocol.MemberID]bool{}, ownersOf(m)
	leftOut(m.Rule, false, func(name protocol.SourceName) { members[owner[name]] = true })
	if only := recipientsOf(m); len(only) == 1 {
		delete(members, only[0])
	}
	return slices.Sorted(maps.Keys(members))
}

// leftOut visits the sources that can make the rule false by knowing a person.
// An exclusion within an exclusion takes people in again.
func leftOut(r protocol.Rule, negated bool, visit func(protocol.SourceName)) {
	switch {
	case r.Source != "":
		if negated {
			visit(r.Source)
		}
	case r.AtLeast != nil:
		if negated {
			for _, name := range r.AtLeast.Of {
				visit(name)
			}
		}
	case r.Except != nil:
		leftOut(r.Except.Rule, negated, visit)
		leftOut(r.Except.Not, !negated, visit)
	default:
		for _, part := range slices.Concat(r.All, r.Any) {
			leftOut(part, negated, visit)
		}
	}
}

// maxRecipients is beyond what Named looks into one by one.
const maxRecipients = 8

// Named lists the members that some label would name for certain, ascending:
// those that must know a person, given that the label is set and given what the
// label's recipient knows already, which is where the person is among its own
// sources. In "known to 3 of a, b, c" a label for a names b and c; in "known to
// 3 of a, b, c, d" it names nobody.
//
// Exclusions of other members are set aside here; [Excluded] tells them. Among
// more than 8 recipients every participant is listed: no policy should need to
// tell those apart, and the work stays bounded.
func Named(m protocol.Manifest) []protocol.MemberID {
	if len(m.Recipients) > maxRecipients {
		return m.Participants()
	}
	named, owner := map[protocol.MemberID]bool{}, ownersOf(m)
	for _, name := range m.Recipients {
		for _, view := range viewsOf(m.Sources, owner, name) {
			if seen := view.read(m.Rule); !seen.constant {
				maps.Copy(named, seen.needed)
			}
		}
	}
	return slices.Sorted(maps.Keys(named))
}

// view is what a recipient knows of one person before it gets the label.
type view struct {
	owner map[protocol.SourceName]protocol.MemberID
	self  protocol.MemberID
	in    map[protocol.SourceName]bool // its own sources
}

// viewsOf lists every view that the recipient of a source can have of a person
// that it uploaded there. A member has at most [protocol.MaxMemberSources], so
// there are at most eight.
func viewsOf(sources []protocol.Source, owner map[protocol.SourceName]protocol.MemberID, recipient protocol.SourceName) []view {
	self := owner[recipient]
	views := []view{{owner, self, map[protocol.SourceName]bool{recipient: true}}}
	for _, s := range sources {
		if s.Member != self || s.Name == recipient {
			continue
		}
		for _, v := range views {
			in := maps.Clone(v.in)
			in[s.Name] = true
			v.in[s.Name] = false
			views = append(views, view{owner, self, in})
		}
	}
	return views
}

// reading is a rule as one view leaves it: a constant, or something that others
// decide and that cannot hold unless all the needed members know the person.
type reading struct {
	constant bool
	holds    bool // of a constant
	needed   map[protocol.MemberID]bool
}

func (v view) read(r protocol.Rule) reading {
	switch {
	case r.Source != "":
		return v.readAtLeast(protocol.AtLeast{T: 1, Of: []protocol.SourceName{r.Source}})
	case r.AtLeast != nil:
		return v.readAtLeast(*r.AtLeast)
	case r.Except != nil:
		if not := v.read(r.Except.Not); not.constant && not.holds {
			return reading{constant: true}
		}
		return v.read(r.Except.Rule)
	case len(r.All) > 0:
		return v.readAll(r.All)
	default:
		return v.readAny(r.Any)
	}
}

func (v view) readAtLeast(a protocol.AtLeast) reading {
	short, others := a.T, map[protocol.MemberID]bool{}
	selfCounts := false
	for _, name := range a.Of {
		if member := v.owner[name]; member != v.self {
			others[member] = true
		} else if v.in[name] {
			selfCounts = true
		}
	}
	if selfCounts {
		short--
	}
	switch {
	case short <= 0:
		return reading{constant: true, holds: true}
	case short > len(others):
		return reading{constant: true}
	case short == len(others):
		return reading{needed: others}
	}
	return reading{}
}

func (v view) readAll(rules []protocol.Rule) reading {
	all := reading{constant: true, holds: true, needed: map[protocol.MemberID]bool{}}
	for _, r := range rules {
		part := v.read(r)
		if part.constant && !part.holds {
			return part
		}
		all.constant = all.constant && part.constant
		maps.Copy(all.needed, part.needed)
	}
	return all
}

func (v view) readAny(rules []protocol.Rule) reading {
	one := reading{constant: true}
	for _, r := range rules {
		part := v.read(r)
		switch {
		case part.constant && part.holds:
			return part
		case part.constant:
		case one.constant:
			one = reading{needed: maps.Clone(part.needed)}
		default:
			maps.DeleteFunc(one.needed, func(id protocol.MemberID, _ bool) bool { return !part.needed[id] })
		}
	}
	return one
}
