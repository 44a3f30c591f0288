package tokens_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// tokenOf is an invented token that its person's number tells.
func tokenOf(id warehouse.PersonID) oprf.Token {
	return sha512.Sum512(binary.BigEndian.AppendUint64(nil, uint64(id)))
}

func newIdentity(tb testing.TB) *seal.Identity {
	tb.Helper()
	identity, err := seal.NewIdentity()
	if err != nil {
		tb.Fatal(err)
	}
	return identity
}

func openCache(tb testing.TB, dir string, identity *seal.Identity) *tokens.Cache {
	tb.Helper()
	cache, err := tokens.OpenCache(dir, identity, 1)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cache.Close)
	return cache
}

func put(tb testing.TB, cache *tokens.Cache, sequence int64, ids ...warehouse.PersonID) {
	tb.Helper()
	made := make([]oprf.Token, len(ids))
	for i, id := range ids {
		made[i] = tokenOf(id)
	}
	if err := cache.Put(sequence, ids, made); err != nil {
		tb.Fatal(err)
	}
}

func numbers(from, count int) []warehouse.PersonID {
	ids := make([]warehouse.PersonID, count)
	for i := range ids {
		ids[i] = warehouse.PersonID(from + i)
	}
	return ids
}

// sequence is what the warehouse would list.
func sequence(ids ...warehouse.PersonID) iter.Seq2[warehouse.PersonID, error] {
	return func(yield func(warehouse.PersonID, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// upTo are all numbers that are lower.
func upTo(most warehouse.PersonID) iter.Seq2[warehouse.PersonID, error] {
	return func(yield func(warehouse.PersonID, error) bool) {
		for id := range most {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// wantHeld compares all that a cache tells with the people who have a token.
func wantHeld(t *testing.T, cache *tokens.Cache, held map[warehouse.PersonID]bool, most warehouse.PersonID) {
	t.Helper()
	want := slices.Sorted(maps.Keys(held))
	var chosen, lacking []warehouse.PersonID
	collect := func(list *[]warehouse.PersonID) func(warehouse.PersonID, *oprf.Token) error {
		return func(id warehouse.PersonID, token *oprf.Token) error {
			if *token != tokenOf(id) {
				return errors.New("another person's token")
			}
			*list = append(*list, id)
			return nil
		}
	}
	all := numbers(0, int(most)+2)
	err := cache.Select(context.Background(), sequence(all...), collect(&chosen))
	for p, failed := range cache.Missing(persons(all)) {
		lacking, err = append(lacking, p.ID), errors.Join(err, failed)
	}
	if err != nil || cache.Len() != int64(len(want)) || !slices.Equal(chosen, want) {
		t.Fatalf("%d tokens, %d chosen, want %d: %v", cache.Len(), len(chosen), len(want), err)
	}
	if others := slices.DeleteFunc(all, func(id warehouse.PersonID) bool { return held[id] }); !slices.Equal(lacking, others) {
		t.Fatalf("%d without a token, want %d", len(lacking), len(others))
	}
}

func persons(ids []warehouse.PersonID) iter.Seq2[warehouse.Person, error] {
	return func(yield func(warehouse.Person, error) bool) {
		for id := range sequence(ids...) {
			if !yield(warehouse.Person{ID: id}, nil) {
				return
			}
		}
	}
}

// Tickets for people in any order, some of them again, and erasures, with new
// processes in between: at every moment the cache has who has a token.
func TestTheCacheAgainstASet(t *testing.T) {
	t.Parallel()
	dir, identity := t.TempDir(), newIdentity(t)
	random := rand.New(rand.NewPCG(1, 2))
	held, most := map[warehouse.PersonID]bool{}, warehouse.PersonID(60_000)
	cache := openCache(t, dir, identity)
	for step := range int64(120) {
		var ids []warehouse.PersonID
		from := random.Int64N(int64(most))
		for range 1 + random.IntN(1200) {
			id := warehouse.PersonID(from + random.Int64N(1+int64(most)-from)) // anywhere after
			if random.IntN(2) == 0 {
				id = warehouse.PersonID(min(from+int64(len(ids)), int64(most))) // or the next
			}
			ids = append(ids, id)
		}
		if step%9 == 8 {
			if err := cache.Erase(ids); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				delete(held, id)
			}
		} else {
			put(t, cache, step, ids...)
			for _, id := range ids {
				held[id] = true
			}
		}
		if step%20 == 19 {
			wantHeld(t, cache, held, most)
			cache.Close()
			cache = openCache(t, dir, identity)
			wantHeld(t, cache, held, most)
			if files := names(t, dir); len(files) > 24 {
				t.Fatalf("%d files", len(files))
			}
		}
	}
	if err := cache.Erase(slices.Sorted(maps.Keys(held))); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, cache, nil, most)
	if files := names(t, dir); len(files) != 1 {
		t.Errorf("nobody has a token, and there are %q", files)
	}
}

// names lists the files of the cache.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "epoch-1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// small is a cache of a few runs, one of them of two groups, and its folder.
func small(t *testing.T) (dir string, identity *seal.Identity, people int) {
	t.Helper()
	dir, identity = t.TempDir(), newIdentity(t)
	cache := openCache(t, dir, identity)
	for i := range 10 {
		put(t, cache, int64(i+1), numbers(1+1200*i, 1200)...)
	}
	cache.Close()
	return dir, identity, 12_000
}

// Whatever is altered, cut, missing or from another time is refused with what
// to do, and nothing that was read before is wrong.
func TestADamagedCache(t *testing.T) {
	t.Parallel()
	dir, identity, people := small(t)
	refused := func(what string) {
		t.Helper()
		var seen int
		cache, err := tokens.OpenCache(dir, identity, 1)
		if err == nil {
			defer cache.Close()
			if cache.Len() != int64(people) {
				t.Fatalf("%s: opened with %d tokens", what, cache.Len())
			}
			err = cache.Select(context.Background(), upTo(warehouse.PersonID(people)+1), func(id warehouse.PersonID, token *oprf.Token) error {
				if seen++; *token != tokenOf(id) {
					t.Fatalf("%s: another token was read", what)
				}
				return nil
			})
		}
		var worded protocol.Refusal
		if !errors.Is(err, tokens.ErrDamaged) || !errors.As(err, &worded) || !strings.Contains(worded.Words().FR, filepath.Join(dir, "epoch-1")) {
			t.Fatalf("%s: %d read, then %v", what, seen, err)
		}
	}
	for _, name := range names(t, dir) {
		path := filepath.Join(dir, "epoch-1", name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			at := i * (len(content) - 1) / 59
			bad := bytes.Clone(content)
			bad[at] ^= 1 << (i % 8)
			write(t, path, bad)
			refused(fmt.Sprintf("%s with byte %d altered", name, at))
			write(t, path, content[:at])
			refused(fmt.Sprintf("%s cut to %d", name, at))
		}
		write(t, path, append(bytes.Clone(content), 0))
		refused(name + " with a byte more")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		refused(name + " missing")
		write(t, path, content)
	}
	cache := openCache(t, dir, identity)
	wantHeld(t, cache, setOf(numbers(1, people)), warehouse.PersonID(people))
}

func setOf(ids []warehouse.PersonID) map[warehouse.PersonID]bool {
	set := map[warehouse.PersonID]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Files that are whole, and not in their place: of another cache under the same
// identity, of another epoch, or one run under the name of another.
func TestFilesThatAreElsewhereFromWhereTheyWereWritten(t *testing.T) {
	t.Parallel()
	dir, identity, _ := small(t)
	folder := filepath.Join(dir, "epoch-1")
	damaged := func(what string, epoch protocol.Epoch) {
		t.Helper()
		if _, err := tokens.OpenCache(dir, identity, epoch); !errors.Is(err, tokens.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "epoch-2"), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	damaged("another epoch's", 2)
	var runs []string
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, "run-") {
			runs = append(runs, filepath.Join(folder, name))
		}
	}
	for i, path := range runs {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(runs[(i+1)%len(runs)])
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, other)
		damaged("a run in the place of another", 1)
		write(t, path, content)
	}
	list := filepath.Join(folder, "runs.age")
	old, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	cache := openCache(t, dir, identity)
	if err := cache.Erase(numbers(1, 1)); err != nil {
		t.Fatal(err)
	}
	cache.Close()
	write(t, list, old)
	damaged("a list from before an erasure", 1)
}

// A reader that began before goes on with what there was; an erasure is done
// once the last of those has ended, and then no file is left from before.
func TestReadingWhileItChanges(t *testing.T) {
	t.Parallel()
	dir, identity := t.TempDir(), newIdentity(t)
	cache := openCache(t, dir, identity)
	put(t, cache, 1, numbers(1, 500)...)
	before := names(t, dir)
	var changing sync.WaitGroup
	erased, n := make(chan struct{}), 0
	err := cache.Select(context.Background(), upTo(1000), func(id warehouse.PersonID, _ *oprf.Token) error {
		if n++; n == 1 {
			for i := range 9 {
				put(t, cache, int64(2+i), numbers(501+i, 1)...)
			}
			changing.Go(func() {
				defer close(erased)
				if err := cache.Erase(numbers(7, 1)); err != nil {
					t.Error(err)
				}
			})
		}
		select {
		case <-erased:
			t.Error("erased while it is read")
		default:
		}
		return nil
	})
	changing.Wait()
	if err != nil || n != 500 {
		t.Fatalf("%d read: %v", n, err)
	}
	held := setOf(numbers(1, 509))
	delete(held, 7)
	wantHeld(t, cache, held, 509)
	for _, name := range names(t, dir) {
		if name != "runs.age" && slices.Contains(before, name) {
			t.Error("the file from before the erasure is left")
		}
	}
}

func TestAClosedCache(t *testing.T) {
	t.Parallel()
	cache := openCache(t, t.TempDir(), newIdentity(t))
	put(t, cache, 1, 1, 2, 3)
	cache.Close()
	if _, err := cache.Has(1); err == nil {
		t.Error("a closed cache says who has a token")
	}
	if err := cache.Put(2, numbers(9, 1), make([]oprf.Token, 1)); err == nil {
		t.Error("a closed cache keeps tokens")
	}
	if err := cache.Erase(numbers(1, 1)); err == nil {
		t.Error("a closed cache says that it has erased")
	}
}

// What the caller's own function returns is not taken for damage.
func TestTheVisitorsErrors(t *testing.T) {
	t.Parallel()
	cache := openCache(t, t.TempDir(), newIdentity(t))
	put(t, cache, 1, 1, 2, 3)
	visit := func(warehouse.PersonID, *oprf.Token) error { return fs.ErrNotExist }
	for _, err := range []error{
		cache.Select(context.Background(), sequence(2), visit),
		cache.Select(context.Background(), func(yield func(warehouse.PersonID, error) bool) { yield(0, fs.ErrNotExist) }, visit),
	} {
		if err != fs.ErrNotExist {
			t.Error(err)
		}
	}
	ended, end := context.WithCancel(context.Background())
	end()
	nothing := func(warehouse.PersonID, *oprf.Token) error { return nil }
	if err := cache.Select(ended, upTo(1<<13), nothing); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
