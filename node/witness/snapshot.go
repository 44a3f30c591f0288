package witness

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"
	"path/filepath"
	"time"

	"coulisse/crypto/durable"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// A snapshot is what the log comes to, so that a start need not verify all of
// it again. It is a cache: this node's own, signed by it, of this very build,
// and of a beginning of the very log beside it; any other is ignored, and the
// log verified from its genesis on. It has, one after the other,
//
//	the state without the log's entries: each key and value after its length
//	the statement, canonical JSON
//	the signature over it, 64 bytes
//	the statement's length, 4 bytes, big-endian
const fileSnapshot = "snapshot"

// When a snapshot is made: when the node stops, after a long start, and now and
// then. Less than leastGrowth is verified faster than read.
const (
	snapshotEvery = 10 * time.Minute
	leastGrowth   = 256
	longReplay    = 4096
)

const (
	// maxStatement is far above what one has, in bytes.
	maxStatement = 4096
	// signedAs begins what is signed. No document begins so.
	signedAs = "coulisse witness snapshot 1\x00"
)

// statement is what this node says of a snapshot.
type statement struct {
	Federation protocol.Hash `json:"federation"`
	Build      protocol.Hash `json:"build"`     // which program made it
	Head       protocol.Head `json:"head"`      // of the log's beginning that it covers
	LogBytes   int64         `json:"log_bytes"` // of the log's file
	Log        protocol.Hash `json:"log"`       // SHA-256 of those
	State      protocol.Hash `json:"state"`     // SHA-256 of the state above
}

// snapshots is how a witness keeps them.
type snapshots struct {
	key   key.Private[key.Node]
	build protocol.Hash
	// covered is how far the last one goes, and at when it was made.
	covered int64
	at      time.Time
}

// keepSnapshot makes a snapshot if it is time. One that cannot be written costs
// the next start its time, and nothing else.
func (w *Witness) keepSnapshot(due func(grown int64, since time.Duration) bool) {
	if w.snapshots == nil {
		return
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	size, now := federation.Size(&w.memory), w.now()
	if w.stopped != nil || !due(size-w.snapshots.covered, now.Sub(w.snapshots.at)) {
		return
	}
	w.snapshots.at = now
	if err := w.writeSnapshot(); err == nil {
		w.snapshots.covered = size
	}
}

// now and then
func periodic(grown int64, since time.Duration) bool {
	return grown >= leastGrowth && since >= snapshotEvery
}

// writeSnapshot replaces the file whole. mu is held.
func (w *Witness) writeSnapshot() error {
	head, err := federation.Head(&w.memory)
	if err != nil {
		return err
	}
	file, err := durable.Create(filepath.Join(w.dir, fileSnapshot))
	if err != nil {
		return err
	}
	defer file.Discard()
	out := bufio.NewWriterSize(file, 1<<20)
	state, err := writeState(out, &w.memory)
	if err != nil {
		return err
	}
	said, err := protocol.Canonical(statement{
		Federation: w.federation, Build: w.snapshots.build, Head: head,
		LogBytes: w.whole, Log: sum(w.digest), State: state,
	})
	if err != nil {
		return err
	}
	tail := append(said, w.snapshots.key.Sign(append([]byte(signedAs), said...))...)
	if _, err := out.Write(binary.BigEndian.AppendUint32(tail, uint32(len(said)))); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return file.Commit()
}

// writeState returns the hash of what it writes.
func writeState(out io.Writer, memory *federation.Memory) (protocol.Hash, error) {
	digest := sha256.New()
	both := bufio.NewWriterSize(io.MultiWriter(out, digest), 64<<10)
	var length [binary.MaxVarintLen64]byte
	memory.Derived(func(key, value string) bool {
		for _, s := range []string{key, value} {
			both.Write(length[:binary.PutUvarint(length[:], uint64(len(s)))]) // Flush tells
			both.WriteString(s)
		}
		return true
	})
	err := both.Flush()
	return sum(digest), err
}

// sum is the hash so far.
func sum(h hash.Hash) (out protocol.Hash) {
	h.Sum(out[:0])
	return out
}
