// Package witness is a node's own copy of the federation's log. It applies
// every entry by the same rules as the coordinator, recounting each vote and
// checking each signature, and stops at the first entry that the rules refuse
// (protocol.md section 6).
//
// What a node knows of the federation, it knows from here: nothing that the
// coordinator says is believed before it went through.
package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

var (
	// ErrEvidence: the coordinator handed out an entry that the rules refuse, or
	// another history than the one under which this node has signed. The node
	// stops following and signing, and keeps what it was shown. Compare heads
	// with another member, and show the file to the co-operative's board.
	ErrEvidence = errors.New("the coordinator's log breaks the rules of the federation")
	// ErrBehind: this copy does not reach as far as what the node has signed
	// under before. It will, once the log was read again; nothing is signed until
	// then.
	ErrBehind = errors.New("the log is not read up to where this node has signed before; nothing is signed until it is")
	// ErrForeign: the log is another federation's. Nothing of it was taken.
	ErrForeign = errors.New("the log belongs to another federation than the one this node enrolled with")
)

const (
	fileLog        = "log.jsonl"
	evidencePrefix = "evidence-"
)

// Bounds of an entry, in bytes: its document and the frame. The genesis holds
// every founder's card.
const (
	maxEntry   = 2 * protocol.MaxDocument
	maxGenesis = 16 << 20
)

// Witness is the verified copy. One goroutine takes entries; any number read.
type Witness struct {
	dir        string
	federation protocol.Hash
	now        func() time.Time

	// mu guards what follows. The file holds what memory holds, entry by entry;
	// only within a Take it is one ahead.
	mu     sync.RWMutex
	memory federation.Memory
	file   *os.File
	whole  int64         // bytes of the file that are entries of memory
	digest hash.Hash     // SHA-256 of those
	signed protocol.Head // the largest head that was signed under
	ahead  time.Duration // see [Witness.Ahead]
	aside  string        // see [Witness.Aside]
	// stopped is why nothing more is taken nor signed.
	stopped error

	// signing is held while a larger head is put on disk.
	signing sync.Mutex

	// snapshots is nil if none are kept. What is in it belongs to the one
	// goroutine that takes entries.
	snapshots *snapshots

	grownMu sync.Mutex
	grown   chan struct{}
}

// Open verifies the copy in dir from its genesis on. An entry that was being
// taken when the process ended is dropped; it will be fetched again.
func Open(dir string, id protocol.Hash) (*Witness, error) { return open(dir, id, nil) }

func open(dir string, id protocol.Hash, kept *snapshots) (*Witness, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, fileLog), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the node's copy of the log: %w", err)
	}
	w := &Witness{
		dir: dir, federation: id, now: time.Now, file: file, digest: sha256.New(),
		snapshots: kept, grown: make(chan struct{}),
	}
	if err := w.restore(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	w.keepSnapshot(func(grown int64, _ time.Duration) bool { return grown >= longReplay })
	return w, nil
}

// verify applies an entry to memory, whole or not at all.
func (w *Witness) verify(raw []byte) error {
	entry, err := protocol.Decode[protocol.Entry](raw)
	if err != nil {
		return err
	}
	if federation.Size(&w.memory) == 0 {
		if err := w.checkGenesis(entry); err != nil {
			return err
		}
	}
	return w.memory.Apply(entry)
}

// checkGenesis comes before anything of a foreign log is taken.
func (w *Witness) checkGenesis(entry protocol.Entry) error {
	if entry.Label != protocol.LabelGenesis {
		return nil // refused by the rules
	}
	founding, err := protocol.Decode[protocol.Founding](entry.Doc)
	if err != nil {
		return err
	}
	id, err := founding.Genesis.ID()
	if err != nil {
		return err
	}
	if id != w.federation {
		return fmt.Errorf("%w: it is of %s, not %s", ErrForeign, id.Short(), w.federation.Short())
	}
	return nil
}

// Take verifies the next entry and keeps it. After [ErrEvidence] nothing more
// is taken from anybody; after any other error, such as a full disk, the same
// entry may be taken again.
func (w *Witness) Take(raw []byte) error {
	err := w.take(raw)
	if err == nil || w.Err() != nil {
		w.wake()
	}
	if err == nil {
		w.keepSnapshot(periodic)
	}
	return err
}

func (w *Witness) take(raw []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped != nil {
		return w.stopped
	}
	limit := maxEntry
	if federation.Size(&w.memory) == 0 {
		limit = maxGenesis
	}
	if len(raw) > limit || bytes.IndexByte(raw, '\n') >= 0 {
		return w.stop(raw[:min(len(raw), limit)], protocol.ErrMalformed)
	}
	// The file first: an entry in memory that a full disk kept from the file
	// would leave a gap in it. It does not wait for the disk: what a power cut
	// loses is fetched and verified again.
	line := append(bytes.Clone(raw), '\n')
	if _, err := w.file.WriteAt(line, w.whole); err != nil {
		return errors.Join(fmt.Errorf("keep an entry of the log: %w", err), w.file.Truncate(w.whole))
	}
	if err := w.verify(raw); errors.Is(err, governance.ErrRules) {
		// No evidence of anything: an upgraded node takes the same entry.
		return errors.Join(err, w.file.Truncate(w.whole))
	} else if err != nil {
		return errors.Join(w.stop(raw, err), w.file.Truncate(w.whole))
	}
	w.count(line)
	w.readClock()
	if err := w.checkSigned(); err != nil {
		return w.stop(raw, err)
	}
	return nil
}

// count notes that a line of the file is an entry of memory. mu is held.
func (w *Witness) count(line []byte) {
	w.whole += int64(len(line))
	w.digest.Write(line) // never fails
}

// stop keeps what the coordinator handed out, beside earlier evidence. mu is
// held.
func (w *Witness) stop(raw []byte, reason error) error {
	name := fmt.Sprintf(evidencePrefix+"%d-%s.json", federation.Size(&w.memory), protocol.HashOf(raw).Short())
	path := filepath.Join(w.dir, name)
	w.stopped = fmt.Errorf("%w: %w; the entry is in %s", ErrEvidence, reason, path)
	if err := durable.WriteFile(path, raw); err != nil {
		w.stopped = errors.Join(fmt.Errorf("%w: %w", ErrEvidence, reason), err)
	}
	return w.stopped
}

// Err is why nothing more is taken; nil while entries are.
func (w *Witness) Err() error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.stopped
}

// View runs fn over the verified state. fn must not keep the Tx.
func (w *Witness) View(fn func(federation.Tx) error) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return fn(&w.memory)
}

// Size is how many entries were verified.
func (w *Witness) Size() int64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return federation.Size(&w.memory)
}

// Head is the log as this node has verified it. [Witness.SigningHead] is the
// one to sign under.
func (w *Witness) Head() (protocol.Head, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return federation.Head(&w.memory)
}

// Grown is closed when an entry was taken after this call, or none will be.
func (w *Witness) Grown() <-chan struct{} {
	w.grownMu.Lock()
	defer w.grownMu.Unlock()
	return w.grown
}

func (w *Witness) wake() {
	w.grownMu.Lock()
	defer w.grownMu.Unlock()
	close(w.grown)
	w.grown = make(chan struct{})
}

// Close closes the file. Nothing is taken meanwhile or afterwards.
func (w *Witness) Close() error {
	w.keepSnapshot(func(grown int64, _ time.Duration) bool { return grown >= leastGrowth })
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}

// Await returns when at least size entries are verified.
func (w *Witness) Await(ctx context.Context, size int64) error {
	return w.await(ctx, func(tx federation.Tx) bool { return federation.Size(tx) >= size })
}

// AwaitDocument returns when exactly this document is in the verified log.
// Whoever submitted it need not believe the coordinator that it is.
func (w *Witness) AwaitDocument(ctx context.Context, document []byte) error {
	return w.await(ctx, func(tx federation.Tx) bool {
		_, ok := federation.Lookup(tx, document)
		return ok
	})
}

// AwaitAlready returns when the verified log refuses a signed document because it
// says that already, in another document or in several.
func (w *Witness) AwaitAlready(ctx context.Context, label protocol.Label, document []byte) error {
	return w.await(ctx, func(tx federation.Tx) bool {
		_, ok := federation.Lookup(tx, document)
		return ok || errors.Is(federation.Try(tx, federation.Time(tx), label, document), federation.ErrAlready)
	})
}

func (w *Witness) await(ctx context.Context, holds func(federation.Tx) bool) error {
	for {
		grown := w.Grown()
		w.mu.RLock()
		done, stopped := holds(&w.memory), w.stopped
		w.mu.RUnlock()
		if done {
			return nil
		}
		if stopped != nil {
			return stopped
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
