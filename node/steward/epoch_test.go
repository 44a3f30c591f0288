package steward_test

import (
	"context"
	"slices"
	"testing"

	"coulisse/node/steward"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// While members move to a new key, its stewards answer under both; then the
// former key is gone from every folder, whichever one looks at.
func TestTwoEpochs(t *testing.T) {
	s := play(t, 3)
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	asker := s.town.Members[4]
	before := s.tokens(asker, s.houses[:2], "ada")
	_, committed := s.ticket(asker, "bob")
	committed.Set = []uint32{1, 2}

	s.square.Do(func(town *federationtest.Town) { town.StartEpoch(2 * federationtest.Day) })
	s.settle()
	for _, h := range s.houses {
		h.Steward = steward.New(h.cfg) // nothing but the folder is left
		s.wantFiles(h, "share-1-1-1.age", "share-2-1-1.age")
	}
	if reply := s.houses[0].Evaluate(context.Background(), asker.ID, committed); reply.GetRefusal() != "" {
		t.Errorf("a ticket of the former epoch is refused: %s", reply.GetRefusal())
	}
	after := s.tokens(asker, s.houses[1:], "ada")
	if slices.Equal(before, after) {
		t.Error("the new key gives the old tokens")
	}

	// Elected meanwhile: the newest key is handed on, the former stays.
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	if again := s.tokens(asker, s.houses[:2], "ada"); !slices.Equal(after, again) {
		t.Error("a token changed with the stewards")
	}
	for _, h := range s.houses {
		s.wantFiles(h, "share-1-1-1.age", "share-2-2-1.age")
	}

	s.square.Do(func(town *federationtest.Town) {
		town.Now += 3 * federationtest.Day
		town.Must(federationtest.State(town, protocol.Retirement{Epoch: 1}))
	})
	if reply := s.houses[0].Evaluate(context.Background(), asker.ID, committed); reply.GetRefusal() == "" {
		t.Error("a steward still answers under a retired key")
	}
	s.settle()
	for _, h := range s.houses {
		s.wantFiles(h, "share-2-2-1.age")
		if reply := h.Evaluate(context.Background(), asker.ID, committed); reply.GetRefusal() == "" {
			t.Error("a steward still answers under a retired key")
		}
	}
}

// The key in use is handed on first if stewards are elected while they make
// another, and no envelope key outlives its ceremony.
func TestElectedWhileMakingAKey(t *testing.T) {
	s := play(t, 4)
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	s.square.Do(func(town *federationtest.Town) { town.StartEpoch(9 * federationtest.Day) })
	for _, h := range s.houses { // each greets
		s.town.Must(h.Step(context.Background()))
	}
	s.elect(2, s.town.Members[1:4]...)
	s.settle()
	if keys := federation.Keys(&s.town.Log); len(keys) != 2 || keys[0].Attempt.Roll != 2 {
		t.Fatalf("%+v", keys)
	}
	s.wantFiles(s.houses[0])
	for _, h := range s.houses[1:] {
		s.wantFiles(h, "share-1-2-1.age", "share-2-2-1.age")
	}
	s.tokens(s.town.Members[4], s.houses[1:3], "ada")
}
