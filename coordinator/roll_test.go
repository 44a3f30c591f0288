package coordinator

import (
	"errors"
	"testing"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/wire"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func rollOfIDs(ids ...protocol.ReplicaID) protocol.Roll {
	r := protocol.Roll{Number: 1, Rules: 1}
	for _, id := range ids {
		r.Replicas = append(r.Replicas, protocol.Replica{ID: id, Address: string(id) + ":1"})
	}
	return r
}

func voters(ids ...protocol.ReplicaID) (members []consensus.Member) {
	for _, id := range ids {
		members = append(members, consensus.Member{Peer: consensus.Peer{ID: id, Address: consensus.Address(id + ":1")}, Votes: true})
	}
	return members
}

func silent(id protocol.ReplicaID) consensus.Member {
	return consensus.Member{Peer: consensus.Peer{ID: id, Address: consensus.Address(id + ":1")}}
}

// From wherever a leader stopped, the next one makes the same moves to the end,
// one at a time, and nobody leaves before the newcomer votes.
func TestMoves(t *testing.T) {
	for name, test := range map[string]struct {
		roll    protocol.Roll
		members []consensus.Member
		want    []move
	}{
		"nothing to do": {rollOfIDs("r1", "r2", "r3"), voters("r1", "r2", "r3"), nil},
		"a replacement": {rollOfIDs("r1", "r3", "r4"), voters("r1", "r2", "r3"), []move{
			{admit, consensus.Peer{ID: "r4", Address: "r4:1"}}, {promote, consensus.Peer{ID: "r4", Address: "r4:1"}}, {remove, consensus.Peer{ID: "r2", Address: "r2:1"}}}},
		"after the first move": {rollOfIDs("r1", "r3", "r4"), append(voters("r1", "r2", "r3"), silent("r4")), []move{
			{promote, consensus.Peer{ID: "r4", Address: "r4:1"}}, {remove, consensus.Peer{ID: "r2", Address: "r2:1"}}}},
		"the last one": {rollOfIDs("r2"), voters("r1"), []move{
			{admit, consensus.Peer{ID: "r2", Address: "r2:1"}}, {promote, consensus.Peer{ID: "r2", Address: "r2:1"}}, {remove, consensus.Peer{ID: "r1", Address: "r1:1"}}}},
		"restored without the others": {rollOfIDs("r1", "r2", "r3"), voters("r2"), nil},
		"one given up":                {rollOfIDs("r1", "r3"), append(voters("r1", "r3"), silent("r4")), []move{{remove, consensus.Peer{ID: "r4", Address: "r4:1"}}}},
	} {
		members := test.members
		for _, want := range test.want {
			got := next(test.roll, members)
			if got != want {
				t.Fatalf("%s: %+v, want %+v", name, got, want)
			}
			members = moved(members, got)
		}
		if got := next(test.roll, members); got.what != stay {
			t.Errorf("%s: then %+v", name, got)
		}
	}
}

// A name stays at its address, and an address with its name.
func TestNamesAndAddresses(t *testing.T) {
	current := rollOfIDs("r1", "r2", "r3")
	for name, edit := range map[string]func(*protocol.Replica){
		"another name at an address": func(r *protocol.Replica) { r.ID = "r4" },
		"a name at another address":  func(r *protocol.Replica) { r.Address = "r4:1" },
	} {
		coming := rollOfIDs("r1", "r2", "r3")
		edit(&coming.Replicas[1])
		if err := ready(current, coming, voters("r1", "r2", "r3")); !errors.Is(err, governance.ErrRoll) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func moved(members []consensus.Member, m move) (after []consensus.Member) {
	for _, member := range members {
		if member.ID != m.peer.ID {
			after = append(after, member)
		}
	}
	if m.what != remove {
		after = append(after, consensus.Member{Peer: m.peer, Votes: m.what == promote})
	}
	return after
}

func TestOneChangeAtATime(t *testing.T) {
	joining := append(voters("r1", "r2", "r3"), silent("r4"))
	current := rollOfIDs("r1", "r3", "r4")
	for name, test := range map[string]struct {
		coming  protocol.Roll
		members []consensus.Member
		refused bool
	}{
		"while one joins":              {rollOfIDs("r1", "r4", "r5"), joining, true},
		"before it was let in":         {rollOfIDs("r1", "r4", "r5"), voters("r1", "r2", "r3"), true},
		"in the place of the newcomer": {rollOfIDs("r1", "r3", "r5"), joining, false},
		"the newcomer given up":        {rollOfIDs("r1", "r3"), joining, false},
		"once it votes":                {rollOfIDs("r1", "r4", "r5"), voters("r1", "r3", "r4"), false},
	} {
		if err := ready(current, test.coming, test.members); errors.Is(err, governance.ErrRoll) != test.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A replica is known by its key, whatever its certificate says.
func TestACertificateOffTheRoll(t *testing.T) {
	c := found(t, 3)
	c.enrol(c.members[0])
	c.settle() // a replica that has read no roll yet knows no stranger
	k, _ := request(t)
	for _, name := range []protocol.ReplicaID{"r9", "r1"} {
		raw, err := authority.SelfSigned("ville", name, k, "127.0.0.1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		stranger := c.dial(nil, certificateOf(t, k, raw))
		for i := range stranger.stubs {
			if _, err := stranger.stubs[i].Status(t.Context(), &wire.StatusRequest{}); status.Code(err) != codes.Unauthenticated {
				t.Errorf("replica %d let in one that is not on the roll, as %s: %v", i, name, err)
			}
		}
	}
}

// Whom the members left behind is not missed, though the office's card is from
// before.
func TestStatusGoesByTheNewestRoll(t *testing.T) {
	alone := rollOfIDs("r2")
	alone.Number = 2
	all := []ReplicaStatus{{ID: "r1", Error: "gone"}, {ID: "r2", roll: alone}, {ID: "r3", roll: rollOfIDs("r1", "r2", "r3")}}
	if got := listed(all); len(got) != 2 || got[0].ID != "r2" || got[1].ID != "r3" {
		t.Errorf("%+v", got)
	}
	before := []ReplicaStatus{{ID: "r1", Error: "gone"}, {ID: "r2"}}
	if got := listed(before); len(got) != 2 {
		t.Errorf("by the genesis's roll: %+v", got)
	}
}
