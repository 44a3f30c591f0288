package rehearsal

import (
	"context"
	"errors"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// TestCoordinatorMovesWhileMembersVote replaces all three replicas, one after
// the other, the first of them dead and the others running, while members go on
// voting; a node that was off meanwhile finds the coordinator again, since not
// all had moved when it last looked.
func TestCoordinatorMovesWhileMembersVote(t *testing.T) {
	f := Found(t, "agora", "brise", "cigale")
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	grant := func(n int64) protocol.Effect { return protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}} }
	f.Decide(grant(1))
	f.StopReplica(1)
	for old := 1; old <= 3; old++ {
		replaced := old % 3 // the dead one first, then two that run
		beside := (replaced + 1) % 3
		if old == 3 {
			beside = 3 // its neighbour is gone, and its folder knows none of those that have come
		}
		_, card := f.JoinReplica(beside)
		if old == 3 {
			f.CertifyOffice(beside) // so far by the one that leaves now
		}
		roll, err := f.Office.Admit(ctx, card, f.peers[replaced].ID)
		f.must(err)
		if len(roll.Replicas) != 3 || roll.Number != old {
			t.Fatalf("the roll: %+v", roll)
		}
		f.Decide(grant(2))
		f.settled(ctx)
		if old > 1 {
			if err := <-f.replicas[replaced].done; !errors.Is(err, coordinator.ErrRemoved) {
				t.Fatalf("the replaced replica ended with %v", err)
			}
			f.replicas[replaced] = nil
		}
		f.Decide(grant(3))
	}
	// The new ones alone survive the loss of one.
	f.StopReplica(f.Leader())
	f.Decide(grant(4))
	// A node knows where they are after a start, too.
	m := f.Members[2]
	f.StopNode(m)
	f.StartNode(m)
	f.Decide(grant(5))
}

// TestReplacementGoesOnUnderTheNextLeader stops the leader while the newcomer
// is let in and does not run yet. Whoever leads next takes it from there.
func TestReplacementGoesOnUnderTheNextLeader(t *testing.T) {
	f := Found(t, "agora", "brise", "cigale")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}})
	leader := f.Leader()
	replaced := (leader + 1) % 3
	i, card := f.JoinReplica(leader)
	f.StopReplica(i)
	f.CertifyOffice(leader) // so far perhaps by the one that leaves now
	_, err := f.Office.Admit(ctx, card, f.peers[replaced].ID)
	f.must(err)
	// One change at a time: the newcomer has no vote yet.
	if _, err := f.Office.Remove(ctx, f.peers[leader].ID); !errors.Is(err, governance.ErrRoll) {
		t.Errorf("a second change: %v", err)
	}
	f.StopReplica(leader)
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}}) // by the replaced one, which still votes
	f.StartReplica(i)
	f.StartReplica(leader)
	f.settled(ctx)
	if err := <-f.replicas[replaced].done; !errors.Is(err, coordinator.ErrRemoved) {
		t.Fatalf("the replaced replica ended with %v", err)
	}
	f.replicas[replaced] = nil
	// A newcomer that never comes up is given up for another.
	lost, card := f.JoinReplica(i)
	f.CertifyOffice(i) // the leader leaves, which may have certified it
	f.Lose(lost)
	_, err = f.Office.Admit(ctx, card, f.peers[leader].ID)
	f.must(err)
	f.StopReplica(leader)
	j, another := f.JoinReplica(i)
	roll, err := f.Office.Admit(ctx, another, card.ID)
	f.must(err)
	f.settled(ctx)
	if len(roll.Replicas) != 3 || f.replicas[j] == nil {
		t.Errorf("the roll: %+v", roll)
	}
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}})
}

// settled waits until consensus is what the roll says and all of it answers.
func (f *Federation) settled(ctx context.Context) {
	f.tb.Helper()
	f.Eventually("consensus to follow the roll", func() bool {
		all := f.Office.Status(ctx)
		led := false
		for _, s := range all {
			if s.Error != "" || s.LogSize != all[0].LogSize {
				return false
			}
			led = led || s.State == "leader"
		}
		return led
	})
}

func TestRollIsTheReplicasOwn(t *testing.T) {
	f := Found(t, "agora", "brise", "cigale")
	ctx := t.Context()
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}})
	_, card := f.JoinReplica(0)
	if _, err := f.Office.Admit(ctx, card, "replique-9"); !errors.Is(err, governance.ErrRoll) {
		t.Errorf("in the place of nobody: %v", err)
	}
	thief := card
	thief.ID = "replique-1"
	if _, err := f.Office.Admit(ctx, thief, ""); err == nil {
		t.Error("one name for two replicas")
	}
	if _, err := f.Office.RaiseRules(ctx); !errors.Is(err, governance.ErrRules) {
		t.Errorf("rules that nobody knows: %v", err)
	}
	// No majority, no roll.
	f.StopReplica(1)
	f.StopReplica(2)
	bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := f.Office.Admit(bounded, card, "replique-3"); err == nil {
		t.Error("one replica of three has changed the roll")
	}
}
