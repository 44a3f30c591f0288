package rehearsal

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/crypto/seal"
	"coulisse/protocol"
)

// After a replica was replaced, the backups of those that are on the roll make
// the coordinator again, at the addresses of the roll; the backup of the one
// that left opens nothing any more.
func TestRestoreAfterAReplacement(t *testing.T) {
	f := Found(t, "agora", "moulin", "phare")
	path := filepath.Join(f.Dir, "office.agekey")
	id, err := seal.LoadOrCreateIdentity(path)
	f.must(err)
	old := f.Backup(2, "old.age", id)
	f.Lose(2)
	i, card := f.JoinReplica(0)
	_, err = f.Office.Admit(t.Context(), card, f.peers[2].ID)
	f.must(err)
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	f.settled(t.Context())
	backups := []string{f.Backup(0, "r1.age", id), f.Backup(1, "r2.age", id), f.Backup(i, "r4.age", id)}
	for _, found := range coordinator.Doctor(t.Context(), f.ReplicaDir(i), "rehearsal", time.Now()) {
		t.Errorf("the doctor of the new replica: %+v", found)
	}
	for _, lost := range []int{0, 1, i} {
		f.Lose(lost)
	}
	refused := coordinator.Restoring{
		Dir: filepath.Join(f.Dir, "refused"), Backups: []string{old, backups[0], backups[1]}, Identities: []string{path}, Version: "rehearsal", Now: time.Now(),
	}
	if _, err := coordinator.Restore(refused); !errors.Is(err, coordinator.ErrForeign) || !strings.Contains(err.Error(), "before it was replaced") {
		t.Error("the keys of a replica that has left:", err)
	}
	done := f.Restore(coordinator.Restoring{Backups: backups, Identities: []string{path}})
	if len(done.Replicas) != 3 || done.Replicas[2].ID != card.ID || string(done.Replicas[2].Address) != card.Address || len(done.Missing) > 0 {
		t.Errorf("%+v", done)
	}
	f.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})
	f.settled(t.Context())
}
