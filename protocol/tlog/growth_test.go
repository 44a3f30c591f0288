package tlog

import (
	"errors"
	"slices"
	"testing"

	"coulisse/protocol"
)

// naiveGrowth is SUBPROOF of RFC 6962, section 2.1.2, word for word. whole is
// whether the tree of m entries is the one that the verifier knows.
func naiveGrowth(m int, entries [][]byte, whole bool) []protocol.Hash {
	if m == len(entries) {
		if whole {
			return []protocol.Hash{}
		}
		return []protocol.Hash{naiveRoot(entries)}
	}
	k := split(len(entries))
	if m <= k {
		return append(naiveGrowth(m, entries[:k], whole), naiveRoot(entries[k:]))
	}
	return append(naiveGrowth(m-k, entries[k:], false), naiveRoot(entries[:k]))
}

func headOf(t testing.TB, store memory, size int64) protocol.Head {
	t.Helper()
	head, err := HeadAt(store, size)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func TestGrowthAgainstRFC6962(t *testing.T) {
	const n = 70
	store, entries := grown(t, n)
	for size := 1; size <= n; size++ {
		for before := 1; before <= size; before++ {
			path, err := ProveGrowth(store, int64(before), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(path, naiveGrowth(before, entries[:size], true)) {
				t.Fatalf("the proof from %d to %d differs from the RFC's", before, size)
			}
			if err := CheckGrowth(headOf(t, store, int64(before)), headOf(t, store, int64(size)), path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCheckGrowthRefuses(t *testing.T) {
	store, _ := grown(t, 21)
	before, head := headOf(t, store, 13), headOf(t, store, 21)
	path, err := ProveGrowth(store, 13, 21)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(path)
	flipped[1][3] ^= 1
	other := before
	other.Root[0] ^= 1
	for name, err := range map[string]error{
		"another beginning": CheckGrowth(other, head, path),
		"another size":      CheckGrowth(protocol.Head{Size: 12, Root: before.Root}, head, path),
		"backwards":         CheckGrowth(head, before, path),
		"nothing before":    CheckGrowth(protocol.Head{}, head, nil),
		"a flipped bit":     CheckGrowth(before, head, flipped),
		"a shorter path":    CheckGrowth(before, head, path[1:]),
		"a longer path":     CheckGrowth(before, head, append(slices.Clone(path), path[0])),
		"no path":           CheckGrowth(before, head, nil),
		"an endless path":   CheckGrowth(before, head, make([]protocol.Hash, 1000)),
		"an enormous size":  CheckGrowth(before, protocol.Head{Size: 1<<63 - 1, Root: head.Root}, path),
		"itself, otherwise": CheckGrowth(protocol.Head{Size: 21, Root: other.Root}, head, nil),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, sizes := range [][2]int64{{0, 21}, {-1, 21}, {22, 21}, {3, 40}} {
		if _, err := ProveGrowth(store, sizes[0], sizes[1]); err == nil {
			t.Errorf("a proof from %d to %d", sizes[0], sizes[1])
		}
	}
}

func FuzzCheckGrowth(f *testing.F) {
	store, _ := grown(f, 9)
	head := headOf(f, store, 9)
	path, err := ProveGrowth(store, 6, 9)
	if err != nil {
		f.Fatal(err)
	}
	root := headOf(f, store, 6).Root
	f.Add(int64(6), root[:], slices.Concat(path[0][:], path[1][:], path[2][:]))
	f.Add(int64(9), head.Root[:], []byte{})
	f.Add(int64(-1), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, size int64, root, raw []byte) {
		before := protocol.Head{Size: size}
		copy(before.Root[:], root)
		path := make([]protocol.Hash, len(raw)/32)
		for i := range path {
			copy(path[i][:], raw[32*i:])
		}
		if CheckGrowth(before, head, path) == nil && before != headOf(t, store, size) {
			t.Fatal("a proof for a beginning that the log never had")
		}
	})
}
