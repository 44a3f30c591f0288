package governance_test

import (
	"errors"
	"strings"
	"testing"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

// council is the replicas of a town, with their keys.
type council struct {
	t    *testing.T
	town *Town
	keys map[protocol.ReplicaID]key.Private[key.Replica]
}

func newCouncil(t *testing.T) council {
	town := Found(t, 3)
	return council{t, town, map[protocol.ReplicaID]key.Private[key.Replica]{ReplicaID: town.Replica}}
}

// replica is a new one, or one that there is.
func (c council) replica(id protocol.ReplicaID) protocol.Replica {
	if _, ok := c.keys[id]; !ok {
		k, err := key.Generate[key.Replica]()
		c.town.Must(err)
		c.keys[id] = k
	}
	seen := protocol.Replica{ID: id, Key: c.keys[id].Public(), Address: string(id) + ".example.org:7000"}
	seen.TLS, seen.Authority = protocol.HashOf([]byte("tls "+id)), protocol.HashOf([]byte("authority "+id))
	if id == ReplicaID {
		first := c.town.Founding.Genesis.Replicas[0]
		seen.TLS, seen.Authority = first.TLS, first.Authority
	}
	return seen
}

// next is the roll that follows, of these replicas.
func (c council) next(ids ...protocol.ReplicaID) protocol.Roll {
	present := c.town.View().Roll
	r := protocol.Roll{Number: present.Number + 1, Rules: present.Rules}
	for _, id := range ids {
		r.Replicas = append(r.Replicas, c.replica(id))
	}
	return r
}

func signAs[T protocol.Document[key.Replica]](c council, id protocol.ReplicaID, doc T) protocol.Signed[T] {
	s := protocol.Signer[key.Replica]{Federation: c.town.Federation, By: protocol.PartyID(id), Key: c.keys[id]}
	signed, err := protocol.Sign(s, c.town.Head(), doc)
	c.town.Must(err)
	return signed
}

// endorsed is a roll with the endorsements of these replicas.
func (c council) endorsed(r protocol.Roll, by ...protocol.ReplicaID) protocol.RollChange {
	id, err := r.ID()
	c.town.Must(err)
	change := protocol.RollChange{Roll: r}
	for _, by := range by {
		change.Endorsements = append(change.Endorsements, signAs(c, by, protocol.Endorsement{Roll: id}))
	}
	return change
}

// put appends a roll that the first of its endorsers hands in.
func (c council) put(r protocol.Roll, by ...protocol.ReplicaID) error {
	change := c.endorsed(r, by...)
	document, err := protocol.Canonical(signAs(c, by[0], change))
	c.town.Must(err)
	return c.town.Append(protocol.LabelRoll, document)
}

func (c council) refused(what string, err error, want error) {
	c.t.Helper()
	if !errors.Is(err, want) {
		c.t.Errorf("%s: %v", what, err)
	}
}

func TestRoll(t *testing.T) {
	c := newCouncil(t)
	c.town.Must(c.put(c.next(ReplicaID, "r2"), ReplicaID))
	c.refused("by one of two", c.put(c.next(ReplicaID, "r2", "r3"), ReplicaID), governance.ErrRoll)
	c.town.Must(c.put(c.next(ReplicaID, "r2", "r3"), ReplicaID, "r2"))

	c.refused("two at once", c.put(c.next(ReplicaID, "r2", "r3", "r4", "r5"), ReplicaID, "r2"), governance.ErrRoll)
	c.refused("a stranger's", c.put(c.next("r2", "r3", "r4"), "r2", "r4"), governance.ErrRoll)
	c.refused("endorsed twice", c.endorsed(c.next("r2", "r3", "r4"), "r2", "r2").Check(), protocol.ErrMalformed)
	shared := c.next(ReplicaID, "r2", "r3")
	shared.Replicas[2].Key = c.keys["r2"].Public()
	c.refused("one key for two", shared.Check(), protocol.ErrMalformed)
	other := c.next(ReplicaID, "r2", "r3")
	other.Replicas[2].Key = c.replica("r9").Key
	c.refused("another key", c.put(other, ReplicaID, "r2"), governance.ErrRoll)
	skipped := c.next("r2", "r3", "r4")
	skipped.Number++
	c.refused("a number skipped", c.put(skipped, "r2", "r3"), governance.ErrRoll)
	swapped := c.endorsed(c.next("r2", "r3", "r4"), "r2", "r3")
	swapped.Roll.Replicas[2].Address = "elsewhere.example.org:1"
	document, err := protocol.Canonical(signAs(c, "r2", swapped))
	c.town.Must(err)
	c.refused("another than was endorsed", c.town.Append(protocol.LabelRoll, document), governance.ErrRoll)
	c.refused("who is left does not answer", c.put(c.next(ReplicaID, "r3"), ReplicaID, "r2"), governance.ErrRoll)

	// In the place of the first, which is dead. Its key is nobody's afterwards.
	c.town.Must(c.put(c.next("r2", "r3", "r4"), "r2", "r3"))
	c.refused("by one that was replaced", c.put(c.next("r2", "r3", "r4"), ReplicaID, "r2", "r3"), governance.ErrRoll)
	if _, ok := c.town.View().Replica(ReplicaID); ok {
		t.Error("the replaced replica is still on the roll")
	}
	// Whoever replays the chain of decisions comes to the same roll.
	view, err := governance.Replay(c.town.Founding, federation.Decisions(&c.town.Log, 0), c.town.Ballots())
	if err != nil || view.Roll.Number != 3 || view.Roll.Replicas[2].ID != "r4" {
		t.Errorf("replayed: %+v, %v", view.Roll, err)
	}
}

// A build that knows newer rules takes what came with them only once they are
// in force; one that does not stops there, and at nothing before.
func TestRulesOfTheLog(t *testing.T) {
	c := newCouncil(t)
	raised := c.next(ReplicaID)
	raised.Rules = 2
	err := c.put(raised, ReplicaID)
	c.refused("rules that this build does not know", err, governance.ErrRules)
	if err == nil || !strings.Contains(err.Error(), "upgrade it, nothing is lost") {
		t.Errorf("the words: %v", err)
	}
	undo := governance.Know(2, protocol.LabelCosign)
	defer undo()
	leave := c.town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	signed := SignVote(c.town, c.town.Members[0], leave)
	document, err := protocol.Canonical(signed)
	c.town.Must(err)
	c.town.Must(c.town.Append(protocol.LabelProposal, document))
	id := protocol.ID(c.town.Federation, signed)
	cosign := func() error { return Vote(c.town, c.town.Members[1], protocol.Cosign{Proposal: id}) }
	c.refused("a document of rules to come", cosign(), governance.ErrEarlyRules)
	raised = c.next(ReplicaID)
	raised.Rules = 2
	c.town.Must(c.put(raised, ReplicaID))
	c.town.Must(cosign())
	lowered := c.next(ReplicaID)
	lowered.Rules = 1
	c.refused("rules that go back", c.put(lowered, ReplicaID), governance.ErrRoll)

	undo()
	if _, err := governance.Replay(c.town.Founding, federation.Decisions(&c.town.Log, 0), c.town.Ballots()); !errors.Is(err, governance.ErrRules) {
		t.Errorf("an older build over this chain: %v", err)
	}
}

// A majority of the replicas is gone with its keys. The members leave the
// coordinator with the third, and it lets others in by itself.
func TestSoleReplica(t *testing.T) {
	c := newCouncil(t)
	c.town.Must(c.put(c.next(ReplicaID, "r2"), ReplicaID))
	c.town.Must(c.put(c.next(ReplicaID, "r2", "r3"), ReplicaID, "r2"))
	c.refused("by a minority", c.put(c.next(ReplicaID, "r2"), ReplicaID), governance.ErrRoll)
	address := c.replica(ReplicaID).Address
	sole := func(id protocol.ReplicaID, address string) protocol.Effect {
		return protocol.Effect{SoleReplica: &protocol.SoleReplica{Replica: id, Address: address}}
	}
	view := c.town.View()
	if !view.Special(sole(ReplicaID, address)) {
		t.Error("an ordinary vote sends replicas away")
	}
	m := c.town.Members
	c.refused("a stranger", Vote(c.town, m[0], c.town.Proposal(sole("r9", address))), governance.ErrEffect)
	c.refused("somewhere else", Vote(c.town, m[0], c.town.Proposal(sole(ReplicaID, "elsewhere:7000"))), governance.ErrEffect)

	// One that does not lead is not left alone: it may answer no more.
	away := c.town.Open(sole("r2", c.replica("r2").Address))
	for _, one := range m {
		c.town.Must(Vote(c.town, one, protocol.NewBallot(protocol.Vote{Proposal: away, Choice: protocol.For})))
	}
	c.refused("closed by another", State(c.town, protocol.Close{Proposal: away}), federation.ErrRefused)
	if federation.MayClose(&c.town.Log, away, ReplicaID, c.town.Now) || !federation.MayClose(&c.town.Log, away, "r2", c.town.Now) {
		t.Error("who may close it")
	}
	// Nor does it wait for years for the day on which that one leads.
	p, err := federation.FindProposal(&c.town.Log, away)
	c.town.Must(err)
	last := p.Content().Closes + 7*Day
	if federation.MayClose(&c.town.Log, away, ReplicaID, last) || !federation.MayClose(&c.town.Log, away, ReplicaID, last+1) {
		t.Error("it does not lapse after a week")
	}

	before, number := c.town.View(), c.town.View().Decisions
	c.town.Decide(sole(ReplicaID, address))
	roll := c.town.View().Roll
	if len(roll.Replicas) != 1 || roll.Replicas[0] != view.Roll.Replicas[0] || roll.Number != view.Roll.Number+1 || roll.Rules != view.Roll.Rules {
		t.Fatalf("%+v", roll)
	}
	// Anybody recounts it from the ballots, and takes nothing less.
	d, _ := federation.FindDecision(&c.town.Log, number+1)
	if after, err := before.Apply(d, c.town.Ballots()); err != nil || len(after.Roll.Replicas) != 1 {
		t.Error(err)
	}
	fewer := d
	fewer.Ballots = d.Ballots[:1]
	if _, err := before.Apply(fewer, c.town.Ballots()); err == nil {
		t.Error("a roll without the votes for it")
	}
	c.town.Must(State(c.town, protocol.Close{Proposal: away})) // it has lapsed
	c.refused("twice", Vote(c.town, m[0], c.town.Proposal(sole(ReplicaID, address))), governance.ErrEffect)
	c.refused("one that was left", c.put(c.next(ReplicaID, "r4"), "r2", "r3"), governance.ErrRoll)
	c.town.Must(c.put(c.next(ReplicaID, "r4"), ReplicaID))
	c.town.Must(c.put(c.next(ReplicaID, "r4", "r5"), ReplicaID, "r4"))
}
