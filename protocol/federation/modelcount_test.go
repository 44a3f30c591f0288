package federation_test

import (
	"fmt"
	"maps"
	"slices"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

func (a *assembly) close(q *motion) {
	t, own, by := a.count(q)
	due := a.town.Now > q.closes || own >= a.roster()
	want := a.votable(q) && due
	if !a.expect("close", want, State(a.town, protocol.Close{Proposal: q.id})) {
		return
	}
	q.over = true
	d := federation.Decisions(&a.town.Log, a.town.View().Decisions-1)[0]
	rule := a.town.Founding.Genesis.Charter.Ordinary
	if q.effect == "suspend" || q.effect == "charter" {
		rule = a.town.Founding.Genesis.Charter.Special
	}
	carried := governance.Carried(rule, t) && a.applies(q.effect, q.from) // the rule itself is TestCarriedOnEveryPattern's
	if !d.Tally.Equal(t) || d.Carried != carried || len(d.Delegations) != by {
		a.t.Fatalf("%s: the model counts %+v, carried %v, %d by proxy; the log %+v, %v, %d", q.effect, t, carried, by, d.Tally, d.Carried, len(d.Delegations))
	}
	a.reached[fmt.Sprintf("%s carried %v", q.effect, carried)]++
	a.reached[fmt.Sprintf("decided with %d by proxy", by)]++
	if !carried {
		return
	}
	switch q.effect {
	case "suspend":
		a.out["membre-06"] = "suspended"
	case "reinstate":
		delete(a.out, "membre-06")
	case "charter":
		a.charters++
		a.proxies, a.cosigners = 3-a.proxies, 3-a.cosigners
	}
}

// count is the tally in plain words, with how many voted for themselves and by
// proxy.
func (a *assembly) count(q *motion) (t protocol.Tally, own, by int) {
	t = protocol.Tally{Members: a.roster(), Colleges: make([]protocol.Count, 1)}
	carried := map[voter]int{}
	for _, id := range slices.Sorted(maps.Keys(q.ballots)) {
		b := q.ballots[id]
		if !a.active(id) || !a.active(b.by) || b.by != id && carried[b.by] == a.proxies {
			continue
		}
		if b.by == id {
			own++
		} else {
			carried[b.by]++
			by++
		}
		t.Add(b.choice)
		t.Colleges[0].Add(b.choice) // all are houses
		if id == "membre-02" {
			t.Chair = b.choice
		}
	}
	return t, own, by
}
