package node

import (
	"slices"
	"testing"

	"coulisse/node/rounds"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

func shipped(t *testing.T, name protocol.PolicyName) protocol.Effect {
	t.Helper()
	for _, s := range policies.Shipped() {
		if s.Name == name {
			return protocol.Effect{SetPolicy: &protocol.PolicyText{Name: s.Name, Text: s.Text}}
		}
	}
	t.Fatalf("no policy %s ships", name)
	return protocol.Effect{}
}

// quarter is a town's log with rounds under different rules: before any policy,
// under two, and after one was taken back; some run, some refused or aborted.
func quarter(t *testing.T) *federationtest.Town {
	t.Helper()
	town := federationtest.Found(t, 4).Keyed()
	ask := func(labels bool, to federation.Stage, members ...*federationtest.Member) {
		m := town.Manifest(members...)
		if !labels {
			if m.Recipients = nil; to == federation.Published {
				to = federation.Closed // nobody collects
			}
		}
		r := town.Begin(m)
		if to != federation.Proposed {
			town.Advance(r.ID, to)
		}
	}
	all := town.Members
	ask(false, federation.Proposed, all[0], all[1])
	town.Now += federationtest.Day
	town.Decide(shipped(t, "pooled-audiences"))
	ask(false, federation.Published, all[0], all[1])
	ask(true, federation.Published, all[1], all[2], all[3])
	town.Decide(shipped(t, "activation"))
	town.Now += federationtest.Day
	for range 6 {
		ask(true, federation.Published, all[0], all[1], all[2])
		town.Now += 3 * federationtest.Hour
	}
	ask(true, federation.Published, all[2], all[3])
	ask(false, federation.Keyed, all...)
	running := federation.RunningRounds(&town.Log)
	last := running[len(running)-1]
	town.Must(federationtest.Node(town, all[0], protocol.Abort{RoundRef: last.Ref(), Reason: protocol.Text{FR: "Non.", EN: "No."}}))
	town.Decide(protocol.Effect{RemovePolicy: "activation"})
	town.Now += federationtest.Day
	ask(true, federation.Reserved, all[0], all[1], all[2])
	ask(false, federation.Published, all[0], all[3])
	town.Must(federationtest.Vote(town, all[3], protocol.Leave{Member: all[3].ID})) // its past rounds stay as they were
	return town
}

// answer is how one round fares.
type answer struct{ before, after bool }

// naively replays the log and judges each manifest in the state that the log
// had when it came, with nothing but what is public then.
func naively(t *testing.T, town *federationtest.Town, since protocol.Millis, e protocol.Effect) map[protocol.RoundID]answer {
	t.Helper()
	answers := map[protocol.RoundID]answer{}
	var log federation.Memory
	for _, entry := range town.Entries {
		town.Must(log.Apply(entry))
		if entry.Label != protocol.LabelManifest || entry.At < since {
			continue
		}
		list := federation.Rounds(&log)
		r := list[len(list)-1]
		view, err := federation.View(&log)
		town.Must(err)
		ledger, err := federation.ReadLedger(&log)
		town.Must(err)
		texts := map[protocol.PolicyName]string{}
		for _, p := range view.Policies {
			texts[p.Name] = p.Text
		}
		ok := func(view governance.View) bool {
			var parsed []policies.Policy
			for name, text := range texts {
				p, err := policies.Parse(name, text)
				town.Must(err)
				parsed = append(parsed, p)
			}
			set, err := policies.NewSet(parsed...)
			town.Must(err)
			a := rounds.Asked{Hash: r.Hash, Manifest: r.Content(), Initiator: protocol.MemberID(r.Manifest.By), At: r.At, Left: ledger.Left()}
			return federation.CheckFloors(view.Charter.Floors, r.Content()) == nil && set.Decide(rounds.Request(&log, view, a)).Allowed
		}
		before := ok(view)
		switch {
		case e.SetPolicy != nil:
			texts[e.SetPolicy.Name] = e.SetPolicy.Text
		case e.RemovePolicy != "":
			delete(texts, e.RemovePolicy)
		default:
			view.Charter.Floors = *e.SetFloors
		}
		answers[r.ID] = answer{before, ok(view)}
	}
	return answers
}

func TestSimulationAgreesWithAReplayOfTheLog(t *testing.T) {
	town := quarter(t)
	more, dearer := town.View().Charter.Floors, town.View().Charter.Floors
	more.MinParticipants = 3
	dearer.MaxRoundCost = 1
	late := town.Entries[len(town.Entries)/2].At
	differing := 0
	for name, e := range map[string]protocol.Effect{
		"nobody singled out": shipped(t, "no-singling-out"), "labels for all": shipped(t, "activation"),
		"nothing new": shipped(t, "pooled-audiences"), "no pooling": {RemovePolicy: "pooled-audiences"},
		"three at least": {SetFloors: &more}, "no money": {SetFloors: &dearer},
	} {
		for _, since := range []protocol.Millis{0, late, town.Now + federationtest.Day} {
			s, err := simulate(&town.Log, e, since)
			town.Must(err)
			want := naively(t, town, since, e)
			allowed := 0
			for id, a := range want {
				if a.before {
					allowed++
				}
				has := func(list []SimulatedRound) bool {
					return slices.ContainsFunc(list, func(r SimulatedRound) bool { return r.Round == id && len(r.Why) > 0 })
				}
				if got := (answer{a.before, a.before != (has(s.Refused) || has(s.Permitted))}); got != a || has(s.Refused) != (a.before && !a.after) {
					t.Errorf("%s: round %s: %+v, want %+v", name, id, got, a)
				}
			}
			if s.Asked != len(want) || s.Allowed != allowed {
				t.Errorf("%s: %d asked, %d allowed; want %d and %d", name, s.Asked, s.Allowed, len(want), allowed)
			}
			differing += len(s.Refused) + len(s.Permitted)
		}
	}
	if differing < 10 {
		t.Errorf("only %d rounds make a difference: this test shows little", differing)
	}
}

// What the budget had left is what the log says, whatever came of the rounds.
func TestSimulationKnowsTheBudgetOfThen(t *testing.T) {
	town := quarter(t)
	views, err := viewsByDecision(&town.Log)
	town.Must(err)
	all := federation.Rounds(&town.Log)
	var log federation.Memory
	for _, entry := range town.Entries {
		town.Must(log.Apply(entry))
		if entry.Label != protocol.LabelManifest {
			continue
		}
		list := federation.Rounds(&log)
		asked := list[len(list)-1]
		ledger, err := federation.ReadLedger(&log)
		town.Must(err)
		i := slices.IndexFunc(all, func(r federation.Round) bool { return r.ID == asked.ID })
		if left := leftFor(&town.Log, all, all[i], views[all[i].Content().Policies]); left != ledger.Left() {
			t.Errorf("round %s: %d left, the ledger had %d", asked.ID, left, ledger.Left())
		}
	}
}

// A new version of a policy says what it changes from the version before.
func TestVersionsAreCompared(t *testing.T) {
	town := federationtest.Found(t, 3)
	first := town.Proposal(shipped(t, "no-singling-out"))
	signed := federationtest.SignVote(town, town.Members[0], first)
	town.Must(federationtest.Post(town, signed))
	next := town.Proposal(shipped(t, "activation"))
	next.Amends = protocol.ID(town.Federation, signed)
	next.Effect.SetPolicy.Name = "no-singling-out"
	amending := federationtest.SignVote(town, town.Members[0], next)
	town.Must(federationtest.Post(town, amending))
	p, err := findProposal(&town.Log, protocol.ID(town.Federation, amending).String())
	town.Must(err)
	page := ProposalPage{Amends: next.Amends}
	page.compare(&town.Log, p)
	if len(page.VersionChanges) < 2 {
		t.Errorf("two versions of other rules differ in nothing: %v", page.VersionChanges)
	}
	if page.simulate(&town.Log, p); page.Simulation != nil {
		t.Error("a proposal with no state is tried")
	}
	page.State = p.State(federation.Time(&town.Log))
	if page.simulate(&town.Log, p); page.Simulation == nil || page.Simulation.Asked != 0 {
		t.Errorf("a proposal that waits: %+v", page.Simulation)
	}
}
