package consensus

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// testStore opens a store that must not halt.
func testStore(t testing.TB, path string) *store {
	t.Helper()
	s, err := openStore(path, time.Minute, func(reason error) { t.Errorf("halted: %v", reason) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func entries(first, last, term uint64) (logs []*raft.Log) {
	for i := first; i <= last; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term, Data: fmt.Appendf(nil, "command %d", i)})
	}
	return logs
}

func TestEntryFormat(t *testing.T) {
	l := raft.Log{
		Index: 258, Term: 3, Type: raft.LogConfiguration, Data: []byte("data"), Extensions: []byte{0xff},
		AppendedAt: time.Unix(1, 2),
	}
	const want = "01" + "79f900d9" + "0000000000000003" + "05" + "000000003b9aca02" + "00000004" + "64617461" + "ff"
	raw := encodeEntry(&l)
	if got := hex.EncodeToString(raw); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	var back raft.Log
	if err := decodeEntry(258, raw, &back); err != nil || !same(&l, &back) {
		t.Fatalf("%+v, %v", back, err)
	}
	if err := decodeEntry(259, raw, &back); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an entry passed for its neighbour: %v", err)
	}
	for i := range raw {
		damaged := bytes.Clone(raw)
		damaged[i] ^= 4
		if err := decodeEntry(258, damaged, &back); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d damaged: %v", i, err)
		}
	}
}

func same(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data) &&
		bytes.Equal(a.Extensions, b.Extensions) && a.AppendedAt.Equal(b.AppendedAt)
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(uint64(1), encodeEntry(&raft.Log{Index: 1, Term: 1, Data: []byte("data")}))
	f.Add(uint64(9), encodeEntry(&raft.Log{Index: 9, Term: 1 << 63, Extensions: []byte("x"), AppendedAt: time.Unix(5, 0)}))
	f.Add(uint64(0), []byte{entryFormat})
	f.Add(uint64(2), make([]byte, entryHeader))
	f.Fuzz(func(t *testing.T, index uint64, raw []byte) {
		var l raft.Log
		if err := decodeEntry(index, raw, &l); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(encodeEntry(&l), raw) {
			t.Fatalf("two encodings of one entry: %x", raw)
		}
	})
}

// TestStoreBehavesAsRafts plays what raft may do, closing and opening the file
// in between, on the store and on raft's own store in memory.
func TestStoreBehavesAsRafts(t *testing.T) {
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		path := filepath.Join(t.TempDir(), fmt.Sprint("log", runs))
		ours, theirs := testStore(t, path), raft.NewInmemStore()
		ours.db.NoSync = true // speed: nothing here is about power
		both := func(what string, do func(raft.LogStore, raft.StableStore) error) {
			if err := do(ours, ours); err != nil {
				r.Fatalf("%s: %v", what, err)
			}
			do(theirs, theirs)
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				_, last := bounds(r, theirs)
				logs := entries(last+1, last+rapid.Uint64Range(1, 8).Draw(r, "count"), rapid.Uint64().Draw(r, "term"))
				for _, l := range logs {
					l.Type = rapid.SampledFrom([]raft.LogType{raft.LogCommand, raft.LogNoop, raft.LogBarrier, raft.LogConfiguration}).Draw(r, "type")
					l.Data = rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(r, "data")
					l.Extensions = rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(r, "extensions")
				}
				both("append", func(s raft.LogStore, _ raft.StableStore) error { return s.StoreLogs(logs) })
			},
			"compact": func(r *rapid.T) {
				first, last := bounds(r, theirs)
				if last == 0 {
					r.Skip()
				}
				to := rapid.Uint64Range(first, last).Draw(r, "to")
				both("compact", func(s raft.LogStore, _ raft.StableStore) error { return s.DeleteRange(first, to) })
			},
			"truncate": func(r *rapid.T) {
				first, last := bounds(r, theirs)
				if last == 0 {
					r.Skip()
				}
				from := rapid.Uint64Range(first, last).Draw(r, "from")
				both("truncate", func(s raft.LogStore, _ raft.StableStore) error { return s.DeleteRange(from, last) })
			},
			"term": func(r *rapid.T) {
				term := rapid.Uint64().Draw(r, "term")
				both("term", func(_ raft.LogStore, s raft.StableStore) error { return s.SetUint64([]byte(keyTerm), term) })
			},
			"vote": func(r *rapid.T) {
				term, who := rapid.Uint64().Draw(r, "term"), rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(r, "candidate")
				both("vote", func(_ raft.LogStore, s raft.StableStore) error {
					return errors.Join(s.SetUint64([]byte(keyVoteTerm), term), s.Set([]byte(keyVoteCandidate), who))
				})
			},
			"reopen": func(r *rapid.T) {
				ours.Close()
				ours = testStore(t, path)
				ours.db.NoSync = true
			},
			"": func(r *rapid.T) { compare(r, ours, theirs) },
		})
		ours.Close()
	})
}

func bounds(r interface{ Fatal(...any) }, s raft.LogStore) (first, last uint64) {
	first, err := s.FirstIndex()
	if err != nil {
		r.Fatal(err)
	}
	last, err = s.LastIndex()
	if err != nil {
		r.Fatal(err)
	}
	return first, last
}

func compare(r *rapid.T, ours *store, theirs *raft.InmemStore) {
	first, last := bounds(r, theirs)
	if f, l := bounds(r, ours); f != first || l != last {
		r.Fatalf("entries %d to %d, want %d to %d", f, l, first, last)
	}
	for i := first; i <= last+1; i++ {
		var got, want raft.Log
		if a, b := ours.GetLog(i, &got), theirs.GetLog(i, &want); a != b || b == nil && !same(&got, &want) {
			r.Fatalf("entry %d: %+v, %v; want %+v, %v", i, got, a, want, b)
		}
	}
	for _, key := range []string{keyTerm, keyVoteTerm} {
		got, err := ours.GetUint64([]byte(key))
		if want, _ := theirs.GetUint64([]byte(key)); err != nil || got != want {
			r.Fatalf("%s = %d, %v; want %d", key, got, err, want)
		}
	}
	got, err := ours.Get([]byte(keyVoteCandidate))
	if want, _ := theirs.Get([]byte(keyVoteCandidate)); err != nil || !bytes.Equal(got, want) {
		r.Fatalf("candidate %q, %v; want %q", got, err, want)
	}
}

// TestHalfAVoteIsNoVote stops between the two calls by which raft votes.
func TestHalfAVoteIsNoVote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s := testStore(t, path)
	vote := func(term uint64, candidate string) {
		t.Helper()
		if err := errors.Join(s.SetUint64([]byte(keyVoteTerm), term), s.Set([]byte(keyVoteCandidate), []byte(candidate))); err != nil {
			t.Fatal(err)
		}
	}
	want := func(term uint64, candidate string) {
		t.Helper()
		gotTerm, _ := s.GetUint64([]byte(keyVoteTerm))
		got, _ := s.Get([]byte(keyVoteCandidate))
		if gotTerm != term || string(got) != candidate {
			t.Fatalf("voted for %q in term %d, want %q in %d", got, gotTerm, candidate, term)
		}
	}
	vote(4, "a")
	if err := s.SetUint64([]byte(keyVoteTerm), 5); err != nil {
		t.Fatal(err)
	}
	want(4, "a")
	s.Close()
	s = testStore(t, path)
	want(4, "a")
	if err := s.Set([]byte(keyVoteCandidate), []byte("b")); err == nil {
		t.Fatal("a candidate was written into the vote of an earlier term")
	}
	vote(5, "b")
	s.Close()
	s = testStore(t, path)
	want(5, "b")
}

func TestGapsAreRefused(t *testing.T) {
	open := func() (*store, *error) {
		var halt error
		s, err := openStore(filepath.Join(t.TempDir(), "log"), time.Minute, func(reason error) { halt = reason })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if err := s.StoreLogs(entries(5, 9, 1)); err != nil {
			t.Fatal(err)
		}
		return s, &halt
	}
	s, halt := open()
	if err := s.StoreLogs(entries(11, 12, 1)); !errors.Is(err, ErrHalted) || *halt == nil {
		t.Errorf("entry 11 after entry 9: %v, halt %v", err, *halt)
	}
	s, halt = open()
	if err := s.DeleteRange(6, 7); !errors.Is(err, ErrHalted) || *halt == nil {
		t.Errorf("a hole: %v, halt %v", err, *halt)
	}
	if f, l := bounds(t, s); f != 5 || l != 9 {
		t.Errorf("entries %d to %d", f, l)
	}
}

func TestSettle(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, last   uint64 // of a log all of term 2
		index, term   uint64 // of the snapshot
		wantFirst     uint64
		wantLast      uint64
		restart, fail bool
	}{
		{"empty log", 0, 0, 50, 3, 0, 0, false, false},
		{"log already follows", 51, 60, 50, 3, 51, 60, false, false},
		{"own snapshot", 1, 60, 50, 2, 1, 60, false, false},
		{"log ends before", 1, 40, 50, 3, 0, 0, false, false},
		{"log ends there, other term", 1, 50, 50, 3, 0, 0, true, false},
		{"log goes on, other term", 1, 60, 50, 3, 0, 0, true, false},
		{"gap", 52, 60, 50, 3, 52, 60, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := testStore(t, filepath.Join(t.TempDir(), "log"))
			if tc.last > 0 {
				if err := s.StoreLogs(entries(tc.first, tc.last, 2)); err != nil {
					t.Fatal(err)
				}
			}
			restart, err := s.settle(tc.index, tc.term)
			if restart != tc.restart || errors.Is(err, ErrCorrupt) != tc.fail {
				t.Errorf("restart %v, %v", restart, err)
			}
			if f, l := bounds(t, s); f != tc.wantFirst || l != tc.wantLast {
				t.Errorf("entries %d to %d, want %d to %d", f, l, tc.wantFirst, tc.wantLast)
			}
		})
	}
}

func TestHungWriteHalts(t *testing.T) {
	halted := make(chan error, 1)
	s, err := openStore(filepath.Join(t.TempDir(), "log"), 20*time.Millisecond, func(reason error) { halted <- reason })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stuck, err := s.db.Begin(true) // holds bbolt's lock as a write on a dead disk does
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() { result <- s.StoreLogs(entries(1, 1, 1)) }()
	if reason := <-halted; !errors.Is(reason, ErrHalted) {
		t.Errorf("halted for %v", reason)
	}
	stuck.Rollback()
	if err := <-result; !errors.Is(err, ErrHalted) {
		t.Errorf("the write that came back returned %v", err)
	}
	if err := s.SetUint64([]byte(keyTerm), 2); !errors.Is(err, ErrHalted) {
		t.Errorf("a write after the halt returned %v", err)
	}
}

func TestFailedWriteHalts(t *testing.T) {
	var reason error
	s, err := openStore(filepath.Join(t.TempDir(), "log"), time.Minute, func(r error) { reason = r })
	if err != nil {
		t.Fatal(err)
	}
	s.db.Close()
	if err := s.SetUint64([]byte(keyTerm), 2); !errors.Is(err, ErrHalted) || !errors.Is(reason, ErrHalted) {
		t.Errorf("returned %v, halted for %v", err, reason)
	}
}

func TestFolderIsForOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	testStore(t, path)
	if _, err := openStore(path, time.Minute, nil); err == nil {
		t.Fatal("two replicas share a folder")
	}
}

// TestDamageIsFound changes single bytes anywhere in the file, and cuts it off.
// The store opens with all it had, or says that it is corrupt: never with less.
func TestDamageIsFound(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	s := testStore(t, path)
	for i := uint64(1); i <= 60; i += 4 {
		if err := s.StoreLogs(entries(i, i+3, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.SetUint64([]byte(keyTerm), 57), s.SetUint64([]byte(keyVoteTerm), 57),
		s.Set([]byte(keyVoteCandidate), []byte("replica-b")), s.DeleteRange(1, 10)); err != nil {
		t.Fatal(err)
	}
	want := content(t, s)
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	try := func(what string, image []byte) (intact bool) {
		copies++
		other := filepath.Join(dir, fmt.Sprint(copies))
		if err := os.WriteFile(other, image, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(other)
		s, err := openStore(other, time.Minute, func(error) {})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
			return false
		}
		defer s.Close()
		if got := content(t, s); !maps.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%s: opened with %d values instead of %d", what, len(got), len(want))
		}
		return true
	}
	if !try("untouched", whole) {
		t.Fatal("an intact copy did not open")
	}
	random, found := rand.New(rand.NewPCG(1, 2)), 0
	for range 1500 {
		image, at := bytes.Clone(whole), random.IntN(len(whole))
		for whole[at] == 0 && random.IntN(20) > 0 { // most of the file is unused
			at = random.IntN(len(whole))
		}
		image[at] ^= byte(1 + random.IntN(255))
		if !try(fmt.Sprintf("byte %d", at), image) {
			found++
		}
	}
	t.Logf("%d of 1500 damaged bytes mattered", found)
	for length := 0; length < len(whole); length += 512 + random.IntN(4096) {
		if length > 0 { // a file of no bytes is a new one: see [Config.Peers]
			try(fmt.Sprintf("cut to %d bytes", length), whole[:length])
		}
	}
}

// content is all that a store keeps, by name.
func content(t *testing.T, s *store) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	first, last := bounds(t, s)
	for i := first; i <= last; i++ {
		var l raft.Log
		if err := s.GetLog(i, &l); err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprint(i)] = encodeEntry(&l)
	}
	for _, key := range []string{keyTerm, keyVoteTerm, keyVoteCandidate} {
		all[key], _ = s.Get([]byte(key))
	}
	return all
}

func TestDamageFoundWhileRunningHalts(t *testing.T) {
	var reason error
	s, err := openStore(filepath.Join(t.TempDir(), "log"), time.Minute, func(r error) { reason = r })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.StoreLogs(entries(1, 3, 1)); err != nil {
		t.Fatal(err)
	}
	damage(t, s, 2)
	var l raft.Log
	if err := s.GetLog(2, &l); !errors.Is(err, ErrCorrupt) || !errors.Is(reason, ErrCorrupt) {
		t.Errorf("returned %v, halted for %v", err, reason)
	}
}

// damage changes one byte of an entry.
func damage(t *testing.T, s *store, index uint64) {
	t.Helper()
	if err := s.db.Update(func(tx *bolt.Tx) error {
		log := tx.Bucket(bucketLog)
		raw := slices.Clone(log.Get(indexKey(index)))
		raw[len(raw)-1]++
		return log.Put(indexKey(index), raw)
	}); err != nil {
		t.Fatal(err)
	}
}
