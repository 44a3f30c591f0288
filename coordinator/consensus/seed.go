package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"coulisse/protocol"

	"github.com/hashicorp/raft"
)

// Seeding is what a restored replica begins from, the same at all of them.
type Seeding struct {
	Peers   []Peer
	Lineage Lineage // drawn from all the rest
	// At dates the newest thing in the state.
	At    protocol.Millis
	State []byte // a snapshot of the state machine
}

// seedIndex is the index that a seed ends at. What comes first in a founding,
// the list of peers, is in the seed.
const seedIndex = 1

// term is the one that a seed ends in.
//
// Raft takes an index with a term to name one entry for ever. Two restorations
// must therefore not end in the same term, and none in a term that any replica
// left over from before may know, or come to by elections: such a replica would
// win them, and bring back a log that was given up. So terms go on from the
// time of the newest entry, in 2^-20 of a millisecond, with the lineage's first
// bits to tell equal times apart. Elections count on from there.
func (s Seeding) term() uint64 {
	draw := uint64(s.Lineage[0])<<12 | uint64(s.Lineage[1])<<4 | uint64(s.Lineage[2])>>4
	return uint64(max(s.At, 1))<<20 | draw
}

// Seed makes the folder of a replica that begins from a state. It holds nothing
// that [New] would not verify.
func Seed(dir string, s Seeding) error {
	if err := checkFounders(s.Peers, s.Peers[0].ID); err != nil {
		return err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("seed a replica: the folder %s is not empty: %w", dir, fs.ErrExist)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	store, err := openStore(filepath.Join(dir, fileLog), time.Minute, func(error) {})
	if err != nil {
		return fmt.Errorf("seed a replica: %w", err)
	}
	if err = store.SetUint64([]byte(keyTerm), s.term()); err == nil {
		err = s.put(dir)
	}
	if err == nil {
		err = store.note(seedIndex)
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("seed a replica: %w", err)
	}
	return nil
}

func (s Seeding) put(dir string) error {
	snaps, err := openSnapshots(dir)
	if err != nil {
		return err
	}
	snaps.kin.join(s.Lineage)
	_, anywhere := raft.NewInmemTransport("") // only spells addresses
	sink, err := snaps.Create(raft.SnapshotVersionMax, seedIndex, s.term(), configurationOf(s.Peers), seedIndex, anywhere)
	if err != nil {
		return err
	}
	if err := sink.(*snapshotSink).put(seedIndex, s.State); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// openSnapshots opens the snapshots of a replica that does not run.
func openSnapshots(dir string) (*snapshots, error) {
	quiet := newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool))
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, retainedSnapshots, quiet)
	return &snapshots{dir: dir, files: files, settle: func(uint64, uint64) error { return nil }}, err
}

// Salvage reads all that the folder of a stopped replica holds into a state
// machine. settled is called between what was certainly agreed on and the rest:
// entries after the last snapshot, of which the last few may never have been.
// It is for a replica that survives alone: while the others live, only they
// know. The folder stays as it was.
func Salvage(dir string, state StateMachine, settled func() error) error {
	path := filepath.Join(dir, fileLog)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("read a replica's log: %w", err)
	}
	store, err := openStore(path, time.Minute, func(error) {})
	if err != nil {
		return fmt.Errorf("read a replica's log: %w", err)
	}
	defer store.Close() // only read
	snaps, err := openSnapshots(dir)
	if err != nil {
		return err
	}
	machine, last := &machine{state: state}, uint64(0)
	newest, err := snaps.newest()
	if err == nil {
		err = store.noted(newest)
	}
	if err != nil {
		return err
	}
	if newest != nil {
		_, content, err := snaps.Open(newest.ID)
		if err != nil {
			return err
		}
		if err := machine.Restore(content); err != nil {
			return err
		}
		last = newest.Index
	}
	if err := settled(); err != nil {
		return err
	}
	return store.replay(last, machine)
}

// replay executes the commands after an index.
func (s *store) replay(after uint64, m *machine) error {
	first, last := s.extent.Load().first, s.extent.Load().last
	if last > 0 && first > after+1 {
		return fmt.Errorf("the log begins at %d and the snapshot before it ends at %d: %w", first, after, ErrCorrupt)
	}
	for index := after + 1; index <= last; index++ {
		var entry raft.Log
		if err := s.GetLog(index, &entry); err != nil {
			return err
		}
		if entry.Type == raft.LogCommand {
			m.Apply(&entry)
		}
	}
	return nil
}
