package rehearsal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"coulisse/coordinator"
	"coulisse/crypto/seal"
)

// ReplicaDir is the folder of a replica.
func (f *Federation) ReplicaDir(i int) string {
	return filepath.Join(f.coordinatorDir(), string(f.peers[i].ID))
}

// CertifyOffice has somebody take the office's folder to a replica's machine, for
// a certificate by that one's authority.
func (f *Federation) CertifyOffice(i int) {
	f.tb.Helper()
	dir := filepath.Join(f.coordinatorDir(), coordinator.DirOperator)
	f.must(coordinator.RenewOffice(f.tb.Context(), f.ReplicaDir(i), dir, time.Now()))
	var err error
	f.Office, err = coordinator.OpenOffice(dir)
	f.must(err)
}

// Backup backs a running replica up into a new file, and returns its path.
func (f *Federation) Backup(i int, name string, identity *seal.Identity) string {
	f.tb.Helper()
	to := filepath.Join(f.Dir, name)
	f.must(f.backup(i, to, identity))
	return to
}

func (f *Federation) backup(i int, to string, identity *seal.Identity) error {
	_, err := coordinator.Backup(context.Background(), coordinator.Backing{
		Dir: f.ReplicaDir(i), To: to, Recipients: []seal.Recipient{identity.Recipient()}, Version: "rehearsal", Now: time.Now(),
	})
	return err
}

// BackupDuring backs every replica up, again and again, while something goes
// on, and returns the first backups and the last ones.
func (f *Federation) BackupDuring(identity *seal.Identity, something func()) (first, last []string) {
	f.tb.Helper()
	done := make(chan struct{})
	failed := make(chan error, len(f.peers))
	rounds := make([]int, len(f.peers))
	path := func(i, round int) string { return filepath.Join(f.Dir, fmt.Sprintf("%s-%d.age", f.peers[i].ID, round)) }
	for i := range f.peers {
		go func() {
			for ; ; rounds[i]++ {
				if err := f.backup(i, path(i, rounds[i]), identity); err != nil {
					failed <- err
					return
				}
				select {
				case <-done:
					failed <- nil
					return
				default:
				}
			}
		}()
	}
	something()
	close(done)
	for range f.peers {
		f.must(<-failed)
	}
	for i, round := range rounds {
		first, last = append(first, path(i, 0)), append(last, path(i, round))
	}
	return first, last
}

// CopyLog has a member write its copy of the log, once it has a checkpoint.
func (f *Federation) CopyLog(m *Member, name string) string {
	f.tb.Helper()
	path := filepath.Join(f.Dir, name)
	f.Eventually("a checkpoint at "+string(m.ID), func() bool {
		write, err := m.Node.CopyLog()
		if err != nil {
			return false
		}
		file, err := os.Create(path)
		f.must(err)
		defer file.Close()
		f.must(write(file))
		return true
	})
	return path
}

// Lose stops a replica, if it runs, and deletes its folder.
func (f *Federation) Lose(i int) {
	f.tb.Helper()
	if f.replicas[i] != nil {
		f.StopReplica(i)
	}
	f.must(os.RemoveAll(f.ReplicaDir(i)))
}

// Restore makes the coordinator again, in the place of all of its folders, and
// starts the replicas that it has made.
func (f *Federation) Restore(r coordinator.Restoring) coordinator.Restored {
	f.tb.Helper()
	for i, p := range f.replicas {
		if p != nil {
			f.StopReplica(i)
		}
	}
	r.Dir, r.Version, r.Now = f.coordinatorDir()+"-restored", "rehearsal", time.Now()
	done, err := coordinator.Restore(r)
	f.must(err)
	f.must(os.RemoveAll(f.coordinatorDir()))
	f.must(os.Rename(r.Dir, f.coordinatorDir()))
	f.Office, err = coordinator.OpenOffice(filepath.Join(f.coordinatorDir(), coordinator.DirOperator))
	f.must(err)
	for i, p := range f.peers {
		if _, err := os.Stat(f.ReplicaDir(i)); err == nil {
			f.StartReplica(i)
			f.logger.Info("restored", "replica", p.ID)
		}
	}
	return done
}
