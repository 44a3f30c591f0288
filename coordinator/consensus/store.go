package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"coulisse/crypto/durable"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// store is raft's LogStore and StableStore in one bbolt file.
//
// Bucket "log" holds the entries under big-endian indexes, without gaps. Bucket
// "state" holds two records: "extent", the first and last index, rewritten in
// the transaction of every change to the log, so that a lost tail or head is
// noticed; and "stable", raft's term and vote as one record.
//
// A vote is two values to raft, its term and its candidate, set by two calls
// (hashicorp/raft issue 661: a crash between them leaves the new term with the
// old candidate, and the replica may vote twice in that term). Here the first
// call only remembers the term; the second writes both, in one record of one
// transaction. A crash between the calls leaves the former vote whole, and raft
// answers no candidate before the second call has returned.
//
// While the disk is nearly full, entries are refused before anything is written,
// which raft takes from a log. Any write that fails or hangs halts the replica: after it, raft's picture and
// the disk's differ, and after a failed fsync the kernel may call a page clean
// that never reached the disk.
type store struct {
	db    *bolt.DB
	limit time.Duration       // for one write
	halt  func(reason error)  // ends the process
	dead  atomic.Bool         // a write failed; nothing is written any more
	done  atomic.Bool         // the replica has to start again; the log takes nothing more
	full  func() bool         // whether there is no room for entries; nil for never
	slow  func(time.Duration) // told of a write that took a tenth of limit; may be nil
	// slowest is the longest write since somebody asked.
	slowest atomic.Int64

	// logMu orders changes of the log with changes of extent.
	logMu  sync.Mutex
	extent atomic.Pointer[extent]

	// stableMu makes a change of one stable value a change of the whole record.
	stableMu sync.Mutex
	stable   map[string][]byte
	voteTerm []byte // the half of a vote that waits for its candidate
}

// extent is the range of indexes in the log; zero if it is empty.
type extent struct{ first, last uint64 }

const (
	keyExtent = "extent"
	keyStable = "stable"

	// Names that raft gives to its stable values.
	keyTerm          = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"

	// keySnapshot is this package's own: the index of the newest snapshot that
	// there was. A folder that lost all of them, beside an empty log, would pass
	// for a new one.
	keySnapshot = "NewestSnapshot"
)

var (
	bucketLog   = []byte("log")
	bucketState = []byte("state")
)

// openStore opens the file and reads all of it: a damaged entry is found here,
// where refusing to start is safe, and not when a follower asks for it.
func openStore(path string, limit time.Duration, halt func(error)) (*store, error) {
	s := &store{limit: limit, halt: halt, stable: map[string][]byte{}}
	s.extent.Store(&extent{})
	err := withoutFaults(func() (err error) {
		s.db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType})
		if err != nil {
			return opening(path, err)
		}
		if err := checkMeta(path); err != nil {
			return err
		}
		if err := s.create(path); err != nil {
			return err
		}
		return s.db.View(s.load)
	})
	if err != nil {
		if s.db != nil {
			s.db.Close()
		}
		return nil, err
	}
	return s, nil
}

// opening says what to do about an error of bolt.Open.
func opening(path string, err error) error {
	var system *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("open the log at %s: %w", path, ErrInUse)
	case errors.As(err, &system):
		return fmt.Errorf("open the log: %w", err)
	default: // bbolt does not recognise its file
		return fmt.Errorf("open the log at %s (%v): %w", path, err, ErrCorrupt)
	}
}

// create lays out a file that bbolt has just made, and no other: one that lost
// its buckets must not pass for a new one.
func (s *store) create(path string) error {
	const untouched = 1 // bbolt's transaction number in a new file
	var last int
	if err := s.db.View(func(tx *bolt.Tx) error { last = tx.ID(); return nil }); err != nil || last > untouched {
		return err
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketLog, bucketState} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		stable, err := sealStable(s.stable)
		if err != nil {
			return err
		}
		state := tx.Bucket(bucketState)
		if err := state.Put([]byte(keyStable), stable); err != nil {
			return err
		}
		return state.Put([]byte(keyExtent), sealExtent(extent{}))
	})
	if err != nil {
		return fmt.Errorf("lay out the log: %w", err)
	}
	return durable.SyncFolder(filepath.Dir(path)) // or the new file may vanish with the power
}

func (s *store) Close() error { return s.db.Close() }

// update runs one durable transaction under the watchdog.
func (s *store) update(change func(*bolt.Tx) error) error {
	if s.dead.Load() {
		return ErrHalted
	}
	watchdog := time.AfterFunc(s.limit, func() {
		s.fail(fmt.Errorf("a write took longer than %v: %w", s.limit, ErrHalted))
	})
	began := time.Now()
	err := s.db.Update(change)
	watchdog.Stop()
	s.took(time.Since(began))
	if err != nil {
		s.fail(fmt.Errorf("a write failed (%v): %w", err, ErrHalted))
	}
	if s.dead.Load() {
		return ErrHalted
	}
	return nil
}

// took notes how long a write was: a disk that is dying is slow first.
func (s *store) took(long time.Duration) {
	for last := s.slowest.Load(); int64(long) > last && !s.slowest.CompareAndSwap(last, int64(long)); last = s.slowest.Load() {
	}
	if s.slow != nil && long > s.limit/10 {
		s.slow(long)
	}
}

// retire halts the replica for something else than its disk. The log takes
// nothing more; terms and votes, which raft panics without, are kept until the
// process has ended.
func (s *store) retire(reason error) {
	if s.done.CompareAndSwap(false, true) {
		s.halt(reason)
	}
}

func (s *store) fail(reason error) {
	if s.dead.CompareAndSwap(false, true) {
		s.halt(reason)
	}
}

// FirstIndex returns the first index of the log, 0 if it is empty.
func (s *store) FirstIndex() (uint64, error) { return s.extent.Load().first, nil }

// LastIndex returns the last index of the log, 0 if it is empty.
func (s *store) LastIndex() (uint64, error) { return s.extent.Load().last, nil }

// GetLog reads one entry, or returns raft.ErrLogNotFound.
func (s *store) GetLog(index uint64, l *raft.Log) error {
	err := s.db.View(func(tx *bolt.Tx) error {
		raw := tx.Bucket(bucketLog).Get(indexKey(index))
		if raw == nil {
			return raft.ErrLogNotFound
		}
		return decodeEntry(index, raw, l)
	})
	if errors.Is(err, ErrCorrupt) {
		s.fail(err)
	}
	return err
}

// StoreLog appends one entry.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries, all or none, and returns when they are on disk.
func (s *store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	if s.noRoom() {
		return ErrNoRoom
	}
	return s.changeLog(func(log *bolt.Bucket, now extent) (extent, error) {
		log.FillPercent = 0.9 // entries only ever go at the end
		for _, l := range logs {
			if now.last != 0 && l.Index != now.last+1 {
				return now, fmt.Errorf("entry %d does not follow entry %d", l.Index, now.last)
			}
			if err := log.Put(indexKey(l.Index), encodeEntry(l)); err != nil {
				return now, err
			}
			if now.first == 0 {
				now.first = l.Index
			}
			now.last = l.Index
		}
		return now, nil
	})
}

// DeleteRange deletes a head or a tail of the log, bounds included.
func (s *store) DeleteRange(low, high uint64) error {
	// A tail goes before other entries take its place; raft takes it for gone
	// only together with those. A head goes to make room.
	if low > s.extent.Load().first && s.noRoom() {
		return ErrNoRoom
	}
	return s.changeLog(func(log *bolt.Bucket, now extent) (extent, error) {
		low, high := max(low, now.first), min(high, now.last)
		if now.last == 0 || low > high {
			return now, nil
		}
		if low > now.first && high < now.last {
			return now, errors.New("a deletion would leave a gap in the log")
		}
		for index := low; index <= high; index++ {
			if err := log.Delete(indexKey(index)); err != nil {
				return now, err
			}
		}
		switch {
		case low == now.first && high == now.last:
			return extent{}, nil
		case low == now.first:
			return extent{high + 1, now.last}, nil
		default:
			return extent{now.first, low - 1}, nil
		}
	})
}

func (s *store) noRoom() bool { return s.full != nil && s.full() }

func (s *store) changeLog(change func(*bolt.Bucket, extent) (extent, error)) error {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if s.done.Load() {
		return ErrHalted
	}
	var next extent
	reach(beforeEntries)
	defer reach(afterEntries)
	err := s.update(func(tx *bolt.Tx) (err error) {
		if next, err = change(tx.Bucket(bucketLog), *s.extent.Load()); err != nil {
			return err
		}
		return tx.Bucket(bucketState).Put([]byte(keyExtent), sealExtent(next))
	})
	if err != nil {
		return err
	}
	s.extent.Store(&next)
	return nil
}

// Set writes one stable value; with the candidate of a vote goes its term.
func (s *store) Set(key, value []byte) error {
	s.stableMu.Lock()
	defer s.stableMu.Unlock()
	next := maps.Clone(s.stable)
	next[string(key)] = append([]byte{}, value...)
	if string(key) == keyVoteCandidate {
		if s.voteTerm == nil {
			return errors.New("a candidate came without the term of the vote")
		}
		next[keyVoteTerm] = s.voteTerm
	}
	reach(beforeStable)
	defer reach(afterStable)
	err := s.update(func(tx *bolt.Tx) error {
		raw, err := sealStable(next)
		if err != nil {
			return err
		}
		return tx.Bucket(bucketState).Put([]byte(keyStable), raw)
	})
	if err != nil {
		return err
	}
	s.stable, s.voteTerm = next, nil
	return nil
}

// Get returns a stable value, nil if it was never set.
func (s *store) Get(key []byte) ([]byte, error) {
	s.stableMu.Lock()
	defer s.stableMu.Unlock()
	return append([]byte(nil), s.stable[string(key)]...), nil
}

// SetUint64 writes one stable number, except the term of a vote: see [store].
func (s *store) SetUint64(key []byte, value uint64) error {
	raw := binary.BigEndian.AppendUint64(nil, value)
	if string(key) == keyVoteTerm {
		s.stableMu.Lock()
		defer s.stableMu.Unlock()
		s.voteTerm = raw
		return nil
	}
	return s.Set(key, raw)
}

// GetUint64 returns a stable number, 0 if it was never set.
func (s *store) GetUint64(key []byte) (uint64, error) {
	raw, _ := s.Get(key)
	if raw == nil {
		return 0, nil
	}
	if len(raw) != 8 {
		return 0, fmt.Errorf("stable value %q is not a number: %w", key, ErrCorrupt)
	}
	return binary.BigEndian.Uint64(raw), nil
}
