package governance_test

import (
	"errors"
	"testing"

	"coulisse/protocol"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

// A replica takes a new authority beside its own, and lets the former one go:
// two at once, never three, and nothing else of it changes.
func TestAuthoritiesOnTheRoll(t *testing.T) {
	c := newCouncil(t)
	first, second, third := c.replica(ReplicaID).Authority, protocol.HashOf([]byte("second")), protocol.HashOf([]byte("third"))
	roll := func(authority, former protocol.Hash) protocol.Roll {
		r := c.next(ReplicaID)
		r.Replicas[0].Authority, r.Replicas[0].Former = authority, former
		return r
	}
	refused := func(what string, r protocol.Roll) {
		t.Helper()
		if err := c.put(r, ReplicaID); !errors.Is(err, governance.ErrRoll) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("another without the present one beside it", roll(second, protocol.Hash{}))
	refused("another beside one that never was", roll(second, third))
	for _, r := range []protocol.Roll{roll(first, first), roll(protocol.Hash{}, protocol.Hash{})} {
		if err := r.Check(); !errors.Is(err, protocol.ErrMalformed) {
			t.Error("the same twice, or none:", err)
		}
	}
	shown := roll(first, protocol.Hash{})
	shown.Replicas[0].TLS = protocol.HashOf([]byte("another key"))
	refused("another TLS key", shown)

	c.town.Must(c.put(roll(second, first), ReplicaID))
	now := c.town.View().Roll
	if !now.Certifies(first) || !now.Certifies(second) || now.Certifies(third) || now.Certifies(protocol.Hash{}) {
		t.Error("during a rotation both count, and nothing else")
	}
	if now.Issues(first) || !now.Issues(second) {
		t.Error("certificates come from the new one")
	}
	refused("a third", roll(third, second))
	refused("back to the former one", roll(first, protocol.Hash{}))
	c.town.Must(c.put(roll(second, protocol.Hash{}), ReplicaID))
	if now = c.town.View().Roll; now.Certifies(first) || !now.Certifies(second) {
		t.Error("the former one still counts")
	}
	c.town.Must(c.put(roll(third, second), ReplicaID))
	c.town.Must(c.put(roll(third, protocol.Hash{}), ReplicaID))
}

// What two replicas shared would outlive the removal of one.
func TestReplicasShareNothing(t *testing.T) {
	c := newCouncil(t)
	for what, edit := range map[string]func(one, two *protocol.Replica){
		"a TLS key":                  func(one, two *protocol.Replica) { two.TLS = one.TLS },
		"an authority":               func(one, two *protocol.Replica) { two.Authority = one.Authority },
		"one's former authority":     func(one, two *protocol.Replica) { two.Former = one.Authority },
		"a TLS key for an authority": func(one, two *protocol.Replica) { two.Authority = one.TLS },
		"no TLS key":                 func(_, two *protocol.Replica) { two.TLS = protocol.Hash{} },
		"no authority of its own":    func(_, two *protocol.Replica) { two.Authority = protocol.Hash{} },
	} {
		r := c.next(ReplicaID, "r2")
		edit(&r.Replicas[0], &r.Replicas[1])
		if err := r.Check(); !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
