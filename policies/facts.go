package policies

import (
	"fmt"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"coulisse/protocol"
)

// facts is a request in Cedar's terms, under the words of
// vocabulary.cedarschema.
type facts struct {
	principal, resource types.Entity
	context             types.Record
}

func (f facts) request(p power) cedar.Request {
	return cedar.Request{Principal: f.principal.UID, Action: p.uid(), Resource: f.resource.UID, Context: f.context}
}

func (f facts) entities() types.EntityMap {
	return types.EntityMap{f.principal.UID: f.principal, f.resource.UID: f.resource}
}

// factsOf translates a request without fault. The schema checks the result: a
// difference between the two files is a mistake of ours, and denies.
func factsOf(r Request) (facts, error) {
	f := facts{
		principal: types.Entity{
			UID: memberUID(r.Initiator.ID),
			Attributes: types.NewRecord(types.RecordMap{
				"kind":          kindUID(r.Initiator.Kind),
				"good_standing": types.Boolean(r.Initiator.GoodStanding),
			}),
		},
		resource: types.Entity{
			UID: types.NewEntityUID(typeFederation, types.String(r.Federation)),
			Attributes: types.NewRecord(types.RecordMap{
				"min_members":      types.Long(r.Floors.MinMembers),
				"min_participants": types.Long(r.Floors.MinParticipants),
				"min_size":         types.Long(r.Floors.MinSize),
				"min_variance":     types.Long(r.Floors.MinVariance),
				"max_round_cost":   types.Long(r.Floors.MaxRoundCost),
				"budget_left":      types.Long(r.BudgetLeft),
			}),
		},
		context: contextOf(r),
	}
	validator := words().validator
	if err := validator.Entities(f.entities()); err != nil {
		return facts{}, fmt.Errorf("entities: %w", err)
	}
	for _, p := range r.powers() {
		if err := validator.Request(f.request(p)); err != nil {
			return facts{}, fmt.Errorf("context: %w", err)
		}
	}
	return f, nil
}

func contextOf(r Request) types.Record {
	precision, prefixes := places(r.Definitions)
	disciplines, anyDiscipline := topics(r.Definitions)
	return types.NewRecord(types.RecordMap{
		"participants":         setOf(r.Participants, partyUID),
		"participant_count":    types.Long(len(r.Participants)),
		"source_count":         types.Long(len(r.Definitions)),
		"all_in_good_standing": types.Boolean(allInGoodStanding(r.everybody())),
		"recipients":           setOf(r.Recipients, partyUID),
		"recipient_count":      types.Long(len(r.Recipients)),
		"recipient_kinds":      setOf(r.Recipients, func(p Party) types.Value { return kindUID(p.Kind) }),
		"recent_labels":        types.Long(r.RecentLabels.n),
		"min_members":          types.Long(r.MinMembers),
		"named":                setOf(r.Named, func(id protocol.MemberID) types.Value { return memberUID(id) }),
		"excluded":             setOf(r.Excluded, func(id protocol.MemberID) types.Value { return memberUID(id) }),
		"purposes": setOf(r.Purposes, func(p protocol.Purpose) types.Value {
			return types.NewEntityUID(typePurpose, types.String(p))
		}),
		"disciplines":      setOf(disciplines, text),
		"any_discipline":   types.Boolean(anyDiscipline),
		"postal_prefixes":  setOf(prefixes, text),
		"postal_precision": types.Long(precision),
		"period_days":      types.Long(shortestPeriod(r.Definitions, dateOf(r.At))),
		"size_variance":    types.Long(r.Noise.Total),
		"parts_variance":   types.Long(r.Noise.Sources),
		"cost":             types.Long(r.Cost),
		"date":             types.Long(dayNumber(r.At)),
	})
}

func memberUID(id protocol.MemberID) types.EntityUID {
	return types.NewEntityUID(typeMember, types.String(id))
}

func kindUID(k protocol.MemberKind) types.EntityUID {
	return types.NewEntityUID(typeKind, types.String(k))
}

func partyUID(p Party) types.Value { return memberUID(p.ID) }

func text(s string) types.Value { return types.String(s) }

func setOf[T any](list []T, value func(T) types.Value) types.Set {
	values := make([]types.Value, len(list))
	for i, v := range list {
		values[i] = value(v)
	}
	return types.NewSet(values...)
}

func allInGoodStanding(parties []Party) bool {
	for _, p := range parties {
		if !p.GoodStanding {
			return false
		}
	}
	return true
}

// topics lists the taxonomy codes asked for, with every code above each, and
// whether some definition takes all disciplines.
func topics(definitions []protocol.Definition) (codes []string, all bool) {
	for _, d := range definitions {
		all = all || len(d.Disciplines) == 0
		for _, code := range d.Disciplines {
			for i, c := range code {
				if c == '.' {
					codes = append(codes, code[:i])
				}
			}
			codes = append(codes, code)
		}
	}
	return codes, all
}

// places lists the starts of postal codes asked for, and the longest's length.
func places(definitions []protocol.Definition) (longest int, prefixes []string) {
	for _, d := range definitions {
		for _, p := range d.PostalPrefixes {
			longest = max(longest, len(p))
			prefixes = append(prefixes, p)
		}
	}
	return longest, prefixes
}

// shortestPeriod is the least number of days that a definition spans, both ends
// included, or 0 if all leave it open. A period without a last day ends today:
// otherwise "since yesterday" would pass for an open one.
func shortestPeriod(definitions []protocol.Definition, today protocol.Date) int {
	shortest := 0
	for _, d := range definitions {
		if d.From == "" {
			continue
		}
		until := d.Until
		if until == "" {
			until = max(d.From, today)
		}
		if days := daysBetween(d.From, until); shortest == 0 || days < shortest {
			shortest = days
		}
	}
	return shortest
}

// daysBetween counts both days; they have passed [protocol.Date.Check].
func daysBetween(from, until protocol.Date) int {
	first, _ := time.Parse(time.DateOnly, string(from))
	last, _ := time.Parse(time.DateOnly, string(until))
	return int(last.Sub(first)/(24*time.Hour)) + 1
}

func dateOf(at protocol.Millis) protocol.Date {
	return protocol.Date(at.Time().Format(time.DateOnly))
}

func dayNumber(at protocol.Millis) int {
	t := at.Time()
	return t.Year()*10000 + int(t.Month())*100 + t.Day()
}
