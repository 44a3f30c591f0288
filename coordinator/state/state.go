// Package state is the coordinator's replicated state: a deterministic machine
// over BuntDB that applies the commands of the Raft log. What a federation
// accepts is package federation's to say; this package gives it transactions,
// adds the little that is not public (enrolment tokens), and takes and
// restores snapshots.
//
// It is the gateway to tidwall/buntdb, kept in memory: durability is Raft's.
// It reads no clock, no randomness and no configuration, and never ranges over
// a map (enforced by a test): equal commands give equal states on every
// replica.
package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"

	"github.com/tidwall/buntdb"
)

// State is the machine. Apply, Snapshot and Restore are called by one
// goroutine; View by any number, at any time.
type State struct {
	// swap is held for writing only while Restore replaces the database.
	swap  sync.RWMutex
	db    *buntdb.DB
	heads *federation.Heads // of the log in db

	// grown is closed and replaced whenever the log may have grown.
	grownMu sync.Mutex
	grown   chan struct{}

	// hashMu lets one caller at a time digest the state; the others find it.
	hashMu sync.Mutex
	hashed digest
}

// digest is the state's hash after some command.
type digest struct {
	applied string
	hash    protocol.Hash
}

// New returns an empty state.
func New() (*State, error) {
	db, err := open()
	if err != nil {
		return nil, err
	}
	return &State{db: db, heads: new(federation.Heads), grown: make(chan struct{})}, nil
}

func open() (*buntdb.DB, error) {
	db, err := buntdb.Open(":memory:")
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	return db, nil
}

// Close releases the memory.
func (s *State) Close() error {
	s.swap.Lock()
	defer s.swap.Unlock()
	return s.db.Close()
}

// appliedKey holds the index of the last applied command, in the same
// transaction as what the command did.
const appliedKey = "raft/applied"

// Apply carries out one command and returns its outcomes, an [Outcome] for each
// document in the order of the command. A command that does not decode stops the replica: it was written by another version, and going
// on would part this replica from the others.
func (s *State) Apply(index uint64, command []byte) any {
	c, err := decodeCommand(command)
	if err != nil {
		panic(fmt.Sprintf("state: command %d does not decode; upgrade this replica: %v", index, err))
	}
	outcomes := s.apply(index, c)
	s.announce()
	return outcomes
}

func (s *State) apply(index uint64, c Command) (outcomes []Outcome) {
	err := s.db.Update(func(tx *buntdb.Tx) error {
		t := transaction{tx, s.heads}
		outcomes = c.run(t)
		t.Set(appliedKey, strconv.FormatUint(index, 10)) // also of one that was refused
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("state: command %d cannot be stored: %v", index, err))
	}
	return outcomes
}

// View runs fn over a consistent state that does not change meanwhile.
func (s *State) View(fn func(federation.Tx) error) error {
	s.swap.RLock()
	defer s.swap.RUnlock()
	return s.db.View(func(tx *buntdb.Tx) error { return fn(transaction{tx, s.heads}) })
}

// Grown returns a channel that is closed when the log has grown after this
// call.
func (s *State) Grown() <-chan struct{} {
	s.grownMu.Lock()
	defer s.grownMu.Unlock()
	return s.grown
}

func (s *State) announce() {
	s.grownMu.Lock()
	defer s.grownMu.Unlock()
	close(s.grown)
	s.grown = make(chan struct{})
}

// Snapshot writes the whole state to memory, so that Apply waits for a copy
// and not for a disk.
func (s *State) Snapshot() ([]byte, error) {
	var image bytes.Buffer
	if err := s.db.Save(&image); err != nil {
		return nil, fmt.Errorf("snapshot the state: %w", err)
	}
	return image.Bytes(), nil
}

// Restore replaces the whole state with a snapshot's, or leaves it alone.
// BuntDB's Load takes truncated input without a word, so the caller verifies
// the bytes before they reach this.
func (s *State) Restore(r io.Reader) error {
	fresh, err := open()
	if err != nil {
		return err
	}
	if err := fresh.Load(r); err != nil {
		return errors.Join(fmt.Errorf("restore the state: %w", err), fresh.Close())
	}
	s.swap.Lock()
	old := s.db
	s.db, s.heads = fresh, new(federation.Heads)
	s.swap.Unlock()
	stopAt(s.View(knows))
	s.announce()
	return old.Close()
}

// knows refuses a log that goes by rules that this build does not know.
func knows(tx federation.Tx) error {
	if federation.Size(tx) == 0 {
		return nil
	}
	view, err := federation.View(tx)
	if err != nil {
		return err
	}
	return governance.Known(view.Roll)
}

// Hash digests every key and value but the Raft index: replicas that applied
// the same commands have the same. It reads the whole state, once a command.
func (s *State) Hash() (protocol.Hash, error) {
	s.hashMu.Lock()
	defer s.hashMu.Unlock()
	err := s.View(func(tx federation.Tx) error {
		if applied, _ := tx.Get(appliedKey); applied != s.hashed.applied || s.hashed.hash.IsZero() {
			s.hashed = digest{applied, hash(tx)}
		}
		return nil
	})
	return s.hashed.hash, err
}

func hash(tx federation.Tx) protocol.Hash {
	digest := sha256.New()
	tx.Ascend("", func(key, value string) bool {
		if key == appliedKey {
			return true
		}
		var lengths [16]byte
		binary.BigEndian.PutUint64(lengths[:8], uint64(len(key)))
		binary.BigEndian.PutUint64(lengths[8:], uint64(len(value)))
		digest.Write(lengths[:])
		io.WriteString(digest, key)
		io.WriteString(digest, value)
		return true
	})
	return protocol.Hash(digest.Sum(nil))
}

// transaction lends a BuntDB transaction to package federation. Its database
// is in memory and its keys are never empty, so an error is a bug.
type transaction struct {
	tx    *buntdb.Tx
	heads *federation.Heads
}

// Heads are those of the log, for package federation.
func (t transaction) Heads() *federation.Heads { return t.heads }

// Get implements [federation.Tx].
func (t transaction) Get(key string) (string, bool) {
	value, err := t.tx.Get(key)
	if errors.Is(err, buntdb.ErrNotFound) {
		return "", false
	}
	must(err)
	return value, true
}

// Set implements [federation.Tx].
func (t transaction) Set(key, value string) {
	_, _, err := t.tx.Set(key, value, nil)
	must(err)
}

// Ascend implements [federation.Tx].
func (t transaction) Ascend(prefix string, fn func(key, value string) bool) {
	must(t.tx.AscendGreaterOrEqual("", prefix, func(key, value string) bool {
		return len(key) >= len(prefix) && key[:len(prefix)] == prefix && fn(key, value)
	}))
}

func must(err error) {
	if err != nil {
		panic("state: " + err.Error())
	}
}
