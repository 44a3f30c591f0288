// Package tlog keeps the Merkle log of the federation (RFC 6962 hashing) in a
// small key-value store: append an entry, tell the head at any size, prove
// that an entry is under a head or that one head grew out of another, check
// such a proof offline.
//
// The hashing is golang.org/x/mod/sumdb/tlog; this package only stores its
// hashes. It implements the log of protocol.md section 6.
package tlog

import (
	"errors"
	"fmt"

	"coulisse/protocol"

	"golang.org/x/mod/sumdb/tlog"
)

// Store holds the log's hashes. A key is written once.
type Store interface {
	Get(key string) (string, bool)
	Set(key, value string)
}

// ErrProof: a proof does not put this entry under this head. The entry was
// altered, or it comes from another log.
var ErrProof = errors.New("the proof does not lead to the head")

// errMissing cannot happen while the store is whole.
var errMissing = errors.New("a hash of the log is missing from the store")

func hashKey(index int64) string { return fmt.Sprintf("tlog/%016x", index) }

type reader struct{ store Store }

// ReadHashes implements tlog.HashReader.
func (r reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		stored, ok := r.store.Get(hashKey(index))
		if !ok || len(stored) != tlog.HashSize {
			return nil, errMissing
		}
		copy(hashes[i][:], stored)
	}
	return hashes, nil
}

// Append adds the entry that becomes number seq.
func Append(store Store, seq int64, entry []byte) error {
	hashes, err := tlog.StoredHashes(seq, entry, reader{store})
	if err != nil {
		return fmt.Errorf("append entry %d to the log: %w", seq, err)
	}
	first := tlog.StoredHashIndex(0, seq)
	for i, h := range hashes {
		store.Set(hashKey(first+int64(i)), string(h[:]))
	}
	return nil
}

// HeadAt is the head of the log when it had size entries.
func HeadAt(store Store, size int64) (protocol.Head, error) {
	root, err := tlog.TreeHash(size, reader{store})
	if err != nil {
		return protocol.Head{}, fmt.Errorf("head of the log at %d: %w", size, err)
	}
	return protocol.Head{Size: size, Root: protocol.Hash(root)}, nil
}

// Prove shows that entry seq is under the head of the given size.
func Prove(store Store, seq, size int64) ([]protocol.Hash, error) {
	proof, err := tlog.ProveRecord(size, seq, reader{store})
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", seq, err)
	}
	return pathOf(proof), nil
}

func pathOf(proof []tlog.Hash) []protocol.Hash {
	path := make([]protocol.Hash, len(proof))
	for i, h := range proof {
		path[i] = protocol.Hash(h)
	}
	return path
}

func hashes(path []protocol.Hash) []tlog.Hash {
	proof := make([]tlog.Hash, len(path))
	for i, h := range path {
		proof[i] = tlog.Hash(h)
	}
	return proof
}

// maxPath bounds the hashes of a proof: a tree of [protocol.MaxSize] entries
// has 53 levels.
const maxPath = 64

// Check verifies what Prove returned, from the entry's bytes.
func Check(head protocol.Head, seq int64, entry []byte, path []protocol.Hash) error {
	// Without these bounds the library does not come to an end.
	if len(path) > maxPath || head.Size < 1 || head.Size > protocol.MaxSize || seq < 0 || seq >= head.Size {
		return fmt.Errorf("%w: entry %d", ErrProof, seq)
	}
	proof := tlog.RecordProof(hashes(path))
	if err := tlog.CheckRecord(proof, head.Size, tlog.Hash(head.Root), seq, tlog.RecordHash(entry)); err != nil {
		return fmt.Errorf("%w: entry %d", ErrProof, seq)
	}
	return nil
}

// ProveGrowth shows that the log of the given size begins with the one of the
// size before (RFC 6962, section 2.1.2).
func ProveGrowth(store Store, before, size int64) ([]protocol.Hash, error) {
	proof, err := tlog.ProveTree(size, before, reader{store})
	if err != nil {
		return nil, fmt.Errorf("prove the growth of the log from %d to %d: %w", before, size, err)
	}
	return pathOf(proof), nil
}

// CheckGrowth verifies what ProveGrowth returned, from the two heads alone.
func CheckGrowth(before, head protocol.Head, path []protocol.Hash) error {
	if len(path) > maxPath || before.Size < 1 || before.Size > head.Size || head.Size > protocol.MaxSize {
		return fmt.Errorf("%w: growth from %d to %d", ErrProof, before.Size, head.Size)
	}
	err := tlog.CheckTree(hashes(path), head.Size, tlog.Hash(head.Root), before.Size, tlog.Hash(before.Root))
	if err != nil {
		return fmt.Errorf("%w: growth from %d to %d", ErrProof, before.Size, head.Size)
	}
	return nil
}
