package witness_test

import (
	"errors"
	"os"
	"testing"

	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/tlog"
)

// stated is a checkpoint that the replica signs of a town's log.
func stated(t *testing.T, town *federationtest.Town) *checkpoint.Checkpoint {
	t.Helper()
	note, err := checkpoint.Sign(checkpoint.OriginOf(town.View()), town.Head(), town.Replica)
	town.Must(err)
	c, err := checkpoint.Open(note, town.View())
	town.Must(err)
	return &c
}

// forked is two histories of one federation, each signed by its replica.
func forked(t *testing.T) (ours, theirs *federationtest.Town) {
	t.Helper()
	ours = federationtest.Found(t, 3)
	theirs = ours.Again()
	ours.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	theirs.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})
	return ours, theirs
}

func TestTwoHistoriesAreEvidence(t *testing.T) {
	ours, theirs := forked(t)
	other := stated(t, theirs)
	early := stated(t, ours)
	ours.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 3}})
	for name, last := range map[string]*checkpoint.Checkpoint{"none before": nil, "of the same size": early, "a larger one": stated(t, ours)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := open(t, dir, ours.Federation)
			feed(t, w, ours.Entries)
			if last != nil {
				if err := w.Compare(last, nil); err != nil {
					t.Fatal(err)
				}
			}
			grown := w.Grown()
			if err := w.Compare(other, last); !errors.Is(err, witness.ErrEvidence) {
				t.Fatal("two histories compare equal:", err)
			}
			<-grown // whoever waits for the log is told
			if _, err := w.SigningHead(); !errors.Is(err, witness.ErrEvidence) {
				t.Error("signs on:", err)
			}
			if err := w.Take(nil); !errors.Is(err, witness.ErrEvidence) {
				t.Error("follows on:", err)
			}
			if err := w.Compare(early, nil); !errors.Is(err, witness.ErrEvidence) {
				t.Error("compares on:", err)
			}
			convicts(t, ours, last, evidence(t, dir))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if w = open(t, dir, ours.Federation); !errors.Is(w.Err(), witness.ErrEvidence) {
				t.Error("a restart made it forget:", w.Err())
			}
		})
	}
}

// convicts reads the evidence as somebody would who trusts neither side.
func convicts(t *testing.T, town *federationtest.Town, last *checkpoint.Checkpoint, files []string) {
	t.Helper()
	if len(files) != 1 {
		t.Fatalf("%d files of evidence", len(files))
	}
	text, err := os.ReadFile(files[0])
	town.Must(err)
	fork, err := protocol.DecodeFile[witness.Fork](text)
	town.Must(err)
	theirs, err := checkpoint.Open([]byte(fork.Theirs), town.View())
	if err != nil || theirs.Head.Size != fork.Own.Size || theirs.Head.Root == fork.Own.Root {
		t.Fatalf("their checkpoint says nothing against them: %v", err)
	}
	if last == nil {
		if fork.Ours != "" {
			t.Error("a checkpoint that this node never had")
		}
		return
	}
	ours, err := checkpoint.Open([]byte(fork.Ours), town.View())
	town.Must(err)
	if ours.Head == fork.Own {
		return
	}
	if err := tlog.CheckGrowth(fork.Own, ours.Head, fork.Growth); err != nil {
		t.Error("ours did not grow out of the node's log:", err)
	}
}

func TestTheSameHistoryIsNot(t *testing.T) {
	town := federationtest.Found(t, 3)
	early := stated(t, town)
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	w := open(t, t.TempDir(), town.Federation)
	feed(t, w, town.Entries[:2])
	if err := w.Compare(early, nil); err != nil {
		t.Error("an earlier checkpoint:", err)
	}
	// What the node has not read yet, it cannot judge.
	if err := w.Compare(stated(t, town), nil); !errors.Is(err, witness.ErrBehind) || w.Err() != nil {
		t.Error("a later one:", err)
	}
}
