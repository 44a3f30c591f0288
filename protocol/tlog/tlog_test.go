package tlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"coulisse/protocol"
)

type memory map[string]string

func (m memory) Get(key string) (string, bool) { v, ok := m[key]; return v, ok }
func (m memory) Set(key, value string)         { m[key] = value }

// The oracle: RFC 6962, section 2.1, word for word.

func leaf(entry []byte) protocol.Hash { return sha256.Sum256(append([]byte{0}, entry...)) }

func node(l, r protocol.Hash) protocol.Hash {
	return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
}

// split is the largest power of two smaller than n.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func naiveRoot(entries [][]byte) protocol.Hash {
	if len(entries) == 1 {
		return leaf(entries[0])
	}
	k := split(len(entries))
	return node(naiveRoot(entries[:k]), naiveRoot(entries[k:]))
}

func naivePath(m int, entries [][]byte) []protocol.Hash {
	if len(entries) == 1 {
		return nil
	}
	k := split(len(entries))
	if m < k {
		return append(naivePath(m, entries[:k]), naiveRoot(entries[k:]))
	}
	return append(naivePath(m-k, entries[k:]), naiveRoot(entries[:k]))
}

func grown(t testing.TB, n int) (memory, [][]byte) {
	t.Helper()
	store, entries := memory{}, [][]byte{}
	for i := range n {
		entry := fmt.Appendf(nil, "entry %d", i)
		if err := Append(store, int64(i), entry); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return store, entries
}

func TestAgainstRFC6962(t *testing.T) {
	const n = 70 // past a power of two
	store, entries := grown(t, n)
	for size := 1; size <= n; size++ {
		head, err := HeadAt(store, int64(size))
		if err != nil {
			t.Fatal(err)
		}
		if head.Root != naiveRoot(entries[:size]) {
			t.Fatalf("root of %d entries differs from the RFC's", size)
		}
		for seq := range size {
			path, err := Prove(store, int64(seq), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(path, naivePath(seq, entries[:size])) {
				t.Fatalf("path of %d in %d differs from the RFC's", seq, size)
			}
			if err := Check(head, int64(seq), entries[seq], path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	store, entries := grown(t, 21)
	head, err := HeadAt(store, 21)
	if err != nil {
		t.Fatal(err)
	}
	path, err := Prove(store, 5, 21)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(path)
	flipped[2][7] ^= 1
	other := head
	other.Root[0] ^= 1
	for name, err := range map[string]error{
		"another entry":    Check(head, 5, entries[6], path),
		"another place":    Check(head, 6, entries[5], path),
		"before the log":   Check(head, -1, entries[5], path),
		"past the log":     Check(head, 21, entries[5], path),
		"a flipped bit":    Check(head, 5, entries[5], flipped),
		"a shorter path":   Check(head, 5, entries[5], path[:len(path)-1]),
		"a longer path":    Check(head, 5, entries[5], append(slices.Clone(path), path[0])),
		"no path":          Check(head, 5, entries[5], nil),
		"an endless path":  Check(head, 5, entries[5], make([]protocol.Hash, 1000)),
		"another head":     Check(other, 5, entries[5], path),
		"a negative size":  Check(protocol.Head{Size: -21, Root: head.Root}, 5, entries[5], path),
		"an enormous size": Check(protocol.Head{Size: 1<<63 - 1, Root: head.Root}, 5, entries[5], path),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamagedStore(t *testing.T) {
	store, _ := grown(t, 4)
	store[hashKey(0)] = "short"
	if _, err := HeadAt(store, 1); err == nil {
		t.Error("a damaged hash was used")
	}
	delete(store, hashKey(0))
	if _, err := Prove(store, 1, 4); err == nil {
		t.Error("a missing hash was used")
	}
}

func FuzzCheck(f *testing.F) {
	store, entries := grown(f, 9)
	head, _ := HeadAt(store, 9)
	path, _ := Prove(store, 3, 9)
	f.Add(int64(9), int64(3), entries[3], slices.Concat(path[0][:], path[1][:], path[2][:], path[3][:]))
	f.Add(int64(0), int64(-1), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, size, seq int64, entry, raw []byte) {
		path := make([]protocol.Hash, len(raw)/32)
		for i := range path {
			copy(path[i][:], raw[32*i:])
		}
		err := Check(protocol.Head{Size: size, Root: head.Root}, seq, entry, path)
		if err == nil && size == 9 && (seq != 3 || string(entry) != string(entries[3])) {
			honest, _ := Prove(store, seq, 9)
			if seq < 0 || seq > 8 || string(entry) != string(entries[seq]) || !slices.Equal(path, honest) {
				t.Fatal("a proof for what is not in the log")
			}
		}
	})
}
