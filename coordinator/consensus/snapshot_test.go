package consensus

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

var founders = raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a:1"}, {ID: "b", Address: "b:1"}}}

func testSnapshots(t testing.TB, dir string) *snapshots {
	t.Helper()
	files, err := raft.NewFileSnapshotStoreWithLogger(dir, retainedSnapshots, newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool)))
	if err != nil {
		t.Fatal(err)
	}
	return &snapshots{dir: dir, files: files, settle: func(uint64, uint64) error { return nil }}
}

func create(t testing.TB, s *snapshots, index uint64) *snapshotSink {
	t.Helper()
	_, trans := raft.NewInmemTransport("a:1")
	sink, err := s.Create(1, index, 3, founders, 1, trans)
	if err != nil {
		t.Fatal(err)
	}
	return sink.(*snapshotSink)
}

func keep(t testing.TB, s *snapshots, index uint64, state string) {
	t.Helper()
	sink := create(t, s, index)
	if err := errors.Join(sink.put(index-1, []byte(state)), sink.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	s := testSnapshots(t, t.TempDir())
	if newest, err := s.newest(); newest != nil || err != nil {
		t.Fatalf("newest of none: %v, %v", newest, err)
	}
	keep(t, s, 10, "old state")
	keep(t, s, 20, "new state")
	newest, err := s.newest()
	if err != nil || newest.Index != 20 {
		t.Fatalf("newest: %+v, %v", newest, err)
	}
	_, r, err := s.Open(newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	state := &text{}
	m := machine{state: state}
	if err := m.Restore(r); err != nil || state.value != "new state" || m.applied.now() != 19 {
		t.Fatalf("restored %q at %d, %v", state.value, m.applied.now(), err)
	}
}

// text is a state machine that is one string.
type text struct{ value string }

func (s *text) Apply(_ uint64, command []byte) any { s.value = string(command); return nil }
func (s *text) Snapshot() ([]byte, error)          { return []byte(s.value), nil }
func (s *text) Restore(r io.Reader) error {
	all, err := io.ReadAll(r)
	s.value = string(all)
	return err
}

// TestDamagedSnapshotIsNotTakenIn streams damaged snapshots as a leader would.
// The good one on disk stays the newest.
func TestDamagedSnapshotIsNotTakenIn(t *testing.T) {
	s := testSnapshots(t, t.TempDir())
	keep(t, s, 10, "good state")
	newest, _ := s.newest()
	_, r, err := s.Open(newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := io.ReadAll(r)
	streams := map[string][]byte{"nothing": nil, "cut short": whole[:len(whole)-1], "only a header": whole[:snapshotHeader],
		"too long": append(slices.Clone(whole), 0)}
	for at := range whole {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		streams["damaged at "+string(rune('0'+at))] = damaged
	}
	for what, stream := range streams {
		sink := create(t, s, 10)
		if _, err := io.Copy(sink, iotestOneByte(stream)); err != nil {
			t.Fatal(err)
		}
		if err := sink.Close(); err == nil {
			t.Errorf("a snapshot %s was taken in", what)
		}
	}
	sink := create(t, s, 11)
	sink.Write(whole)
	if err := sink.Close(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a snapshot of index 10 was taken in as one of index 11: %v", err)
	}
	if again, err := s.newest(); err != nil || again.ID != newest.ID {
		t.Errorf("newest is %+v, %v", again, err)
	}
}

// iotestOneByte gives a stream in the smallest pieces.
func iotestOneByte(p []byte) io.Reader {
	return &oneByte{bytes.NewReader(p)}
}

type oneByte struct{ r io.Reader }

func (o *oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// TestDamagedSnapshotOnDisk changes every file of a snapshot.
func TestDamagedSnapshotOnDisk(t *testing.T) {
	for _, tc := range []struct {
		file   string
		damage func([]byte) []byte
	}{
		{"state.bin", func(b []byte) []byte { b[len(b)-1]++; return b }},
		{"state.bin", func(b []byte) []byte { return b[:len(b)-1] }},
		{"meta.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"Index":10`), []byte(`"Index":11`), 1) }},
		{"meta.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"Term":3`), []byte(`"Term":2`), 1) }},
		{"meta.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"b:1"`), []byte(`"c:1"`), 1) }},
		{"meta.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"ConfigurationIndex":1`), []byte(`"ConfigurationIndex":2`), 1)
		}},
	} {
		dir := t.TempDir()
		s := testSnapshots(t, dir)
		keep(t, s, 10, "state")
		newest, _ := s.newest()
		path := filepath.Join(dir, "snapshots", newest.ID, tc.file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after := tc.damage(bytes.Clone(before))
		if bytes.Equal(before, after) {
			t.Fatalf("nothing to damage in %s", before)
		}
		if err := os.WriteFile(path, after, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.newest(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s damaged: %v", tc.file, err)
		}
	}
}

func FuzzSnapshotCheck(f *testing.F) {
	s := testSnapshots(f, f.TempDir())
	keep(f, s, 10, "state")
	newest, _ := s.newest()
	_, r, err := s.Open(newest.ID)
	if err != nil {
		f.Fatal(err)
	}
	whole, _ := io.ReadAll(r)
	f.Add(whole)
	f.Add(whole[:20])
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(t *testing.T, stream []byte) {
		check := newSnapshotCheck(newest)
		check.Write(stream)
		if check.whole() == nil && !bytes.Equal(stream, whole) {
			t.Fatalf("another snapshot passed: %x", stream)
		}
	})
}

// TestReplicaRefusesADamagedFolder goes through New.
func TestReplicaRefusesADamagedFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, smallSnapshots)
		leader := c.leader()
		for i := range 60 {
			c.apply(leader, strings.Repeat("x", i))
		}
		c.await("a compacted log", func() bool { return leader.Status().First > 1 })
		dir := leader.cfg.Dir
		c.stopAll()
		open := func() error {
			n, err := New(Config{ID: "replica-x", Dir: dir, Streams: c.net.listen("x:1"), State: &ledger{}, Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				n.Close()
			}
			return err
		}
		if err := open(); err != nil {
			t.Fatal(err)
		}
		snaps := filepath.Join(dir, "snapshots")
		if err := os.Rename(snaps, snaps+".away"); err != nil {
			t.Fatal(err)
		}
		if err := open(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("without its snapshots: %v", err)
		}
		if err := errors.Join(os.RemoveAll(snaps), os.Rename(snaps+".away", snaps)); err != nil {
			t.Fatal(err)
		}
		log := testStore(t, filepath.Join(dir, "log.db"))
		last, _ := log.LastIndex()
		damage(t, log, last-2)
		log.Close()
		if err := open(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("with a damaged entry: %v", err)
		}
	})
}

// TestCrashBetweenSnapshotAndLog starts a replica whose leader's snapshot is on
// disk while its log still holds what the snapshot replaces.
func TestCrashBetweenSnapshotAndLog(t *testing.T) {
	dir := t.TempDir()
	log := testStore(t, filepath.Join(dir, "log.db"))
	if err := errors.Join(log.SetUint64([]byte(keyTerm), 3), log.StoreLogs(entries(1, 8, 2))); err != nil {
		t.Fatal(err)
	}
	log.Close()
	state, _ := json.Marshal([]ledgerEntry{{9, "agreed"}})
	keep(t, testSnapshots(t, dir), 10, string(state))
	n, err := New(Config{ID: "replica-a", Dir: dir, Streams: newNetwork().listen("a:1"), State: &ledger{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if last, _ := n.store.LastIndex(); last != 0 {
		t.Errorf("entries up to %d outlived the snapshot", last)
	}
}
