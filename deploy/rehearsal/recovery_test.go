package rehearsal_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/crypto/dp"
	"coulisse/crypto/seal"
	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/protocol"
)

func identity(t *testing.T, dir string) (*seal.Identity, string) {
	t.Helper()
	path := filepath.Join(dir, "office.agekey")
	id, err := seal.LoadOrCreateIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	return id, path
}

func grant(n dp.NanoRho) protocol.Effect {
	return protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: n}}
}

// complains reports whether a node says that the coordinator was set back.
func complains(t *testing.T, n *node.Node) bool {
	t.Helper()
	s, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, trouble := range s.Troubles {
		if strings.Contains(trouble.What.EN, "restored from an older backup") && strings.Contains(trouble.Do.FR, "coulisse log export") {
			return true
		}
	}
	return false
}

// Backups are made while members vote, and each of them restores: the first
// ones and the last.
func TestBackupWhileMembersVote(t *testing.T) {
	f := rehearsal.Found(t, "agora", "moulin", "phare")
	id, path := identity(t, f.Dir)
	first, last := f.BackupDuring(id, func() {
		for n := range dp.NanoRho(4) {
			f.Decide(grant(n + 1))
		}
	})
	member := f.CopyLog(f.Members[2], "phare.jsonl")
	for i := range 3 {
		f.Lose(i)
	}
	early := coordinator.Restoring{Dir: filepath.Join(f.Dir, "early"), Backups: first, Identities: []string{path}, Version: "rehearsal", Now: time.Now()}
	begun, err := coordinator.Restore(early)
	if err != nil {
		t.Fatal(err)
	}
	done := f.Restore(coordinator.Restoring{Backups: last, Identities: []string{path}, Logs: []string{member}})
	if begun.Head.Size >= done.Head.Size {
		t.Errorf("the first backups have %d entries, the last %d", begun.Head.Size, done.Head.Size)
	}
	f.Decide(grant(5))
}

// All is lost but three backups, which are older than what the members have
// read. Nodes notice, and say what to do; with a member's copy all goes on.
func TestAnOlderBackup(t *testing.T) {
	f := rehearsal.Found(t, "agora", "moulin", "phare")
	id, path := identity(t, f.Dir)
	backups := []string{}
	for i, name := range []string{"r1.age", "r2.age", "r3.age"} {
		backups = append(backups, f.Backup(i, name, id))
	}
	f.Decide(grant(1))
	member := f.CopyLog(f.Members[1], "moulin.jsonl")
	for i := range 3 {
		f.Lose(i)
	}
	old := f.Restore(coordinator.Restoring{Backups: backups, Identities: []string{path}})
	f.Leader()
	f.Eventually("a complaint", func() bool { return complains(t, f.Members[0].Node) })
	for _, m := range f.Members {
		if err := m.Node.Trouble(); err != nil {
			t.Error("this is no evidence, only a backup that is too old:", err)
		}
	}
	done := f.Restore(coordinator.Restoring{Backups: backups, Identities: []string{path}, Logs: []string{member}})
	if done.Head.Size <= old.Head.Size || done.From != member || len(done.Missing) > 0 || len(done.Replicas) != 3 {
		t.Errorf("%+v after %+v", done, old)
	}
	f.Eventually("an end of the complaints", func() bool { return !complains(t, f.Members[0].Node) })
	f.Decide(grant(2))
}

// Two of three replicas burn, together with their disks. The third has more
// than it knows to be agreed on.
func TestALostMajority(t *testing.T) {
	f := rehearsal.Found(t, "agora", "moulin", "phare")
	id, path := identity(t, f.Dir)
	backups := []string{f.Backup(1, "r2.age", id), f.Backup(2, "r3.age", id)}
	f.Decide(grant(1))
	f.Lose(1)
	f.Lose(2)
	f.StopReplica(0)
	done := f.Restore(coordinator.Restoring{Survivor: f.ReplicaDir(0), Backups: backups, Identities: []string{path}})
	if done.From != f.ReplicaDir(0) || len(done.Missing) > 0 {
		t.Errorf("%+v", done)
	}
	f.Decide(grant(2))

	// This time there is no backup of the two: the third goes on alone.
	f.Lose(0)
	f.Lose(2)
	f.StopReplica(1)
	done = f.Restore(coordinator.Restoring{Survivor: f.ReplicaDir(1), Alone: true})
	if len(done.Replicas) != 1 || len(done.Missing) != 2 {
		t.Errorf("%+v", done)
	}
	f.Decide(grant(3))
}

// The doctors of a healthy federation find nothing, and of a node that stopped
// they say so.
func TestDoctors(t *testing.T) {
	f := rehearsal.Found(t, "agora", "moulin", "phare")
	id, _ := identity(t, f.Dir)
	f.Leader()
	for i, name := range []string{"r1.age", "r2.age", "r3.age"} {
		f.Backup(i, name, id)
	}
	f.Decide(grant(1))
	for i := range 3 {
		if found := coordinator.Doctor(t.Context(), f.ReplicaDir(i), "rehearsal", time.Now()); len(found) > 0 {
			t.Errorf("replica %d: %+v", i+1, found)
		}
	}
	m := f.Members[0]
	if found := node.Doctor(t.Context(), m.Folder.Dir, true, time.Now()); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	f.CopyLog(m, "copy.jsonl") // it has a checkpoint, then
	f.StopNode(m)
	found := node.Doctor(t.Context(), m.Folder.Dir, false, time.Now())
	if len(found) != 1 || !strings.Contains(found[0].What.EN, "does not run") {
		t.Errorf("a node that is stopped: %+v", found)
	}
	for i := range 3 {
		f.StopReplica(i)
	}
	found = node.Doctor(t.Context(), m.Folder.Dir, false, time.Now())
	if len(found) != 4 || !strings.Contains(found[1].What.EN, "One cannot reach the coordinator") {
		t.Errorf("a coordinator that is stopped: %+v", found)
	}
	f.StartNode(m)
}
