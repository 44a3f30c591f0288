package witness_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/key"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
)

// long is a town with some hundred entries.
func long(t testing.TB, entries int) *federationtest.Town {
	town := federationtest.Found(t, 4, func(c *protocol.Charter) { c.Allowance = 1 << 20 })
	town.Keyed()
	sequence := [4]int64{}
	for i := len(town.Entries); i < entries; i++ {
		m := i % 4
		sequence[m]++
		root := protocol.HashOf([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		town.Must(federationtest.Node(town, town.Members[m], protocol.Ticket{Epoch: 1, Root: root, Count: 1, Sequence: sequence[m]}))
	}
	return town
}

func writeLog(t testing.TB, dir string, entries []protocol.Entry) {
	t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		b.Write(append(e.Encode(), '\n'))
	}
	if err := os.WriteFile(filepath.Join(dir, "log.jsonl"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func resume(t *testing.T, dir string, id protocol.Hash, own key.Private[key.Node]) *witness.Witness {
	t.Helper()
	w, err := witness.Resume(dir, id, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// snapped is a folder with a log of some entries, the snapshot of them, and
// some entries after them in the log.
func snapped(t *testing.T, town *federationtest.Town, own key.Private[key.Node], covered int) string {
	t.Helper()
	dir := t.TempDir()
	w := resume(t, dir, town.Federation, own)
	feed(t, w, town.Entries[:covered])
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, town.Federation)
	feed(t, w, town.Entries[covered:])
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func nodeKey(t *testing.T) key.Private[key.Node] {
	t.Helper()
	own, err := key.Generate[key.Node]()
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// From a snapshot, a witness is what it is from the genesis on, and goes on.
func TestResumingIsReplaying(t *testing.T) {
	t.Parallel()
	town, own := long(t, 400), nodeKey(t)
	dir := snapped(t, town, own, 300)
	plain := t.TempDir()
	writeLog(t, plain, town.Entries)
	w, replayed := resume(t, dir, town.Federation, own), open(t, plain, town.Federation)
	if w.Covered() != 300 {
		t.Fatalf("the snapshot covers %d", w.Covered())
	}
	for range 2 {
		if key := w.Differs(replayed); key != "" {
			t.Fatalf("they differ at %s", key)
		}
		head, err := w.SigningHead()
		if err != nil || head != town.Head() {
			t.Fatal(head, err)
		}
		town.Open(protocol.Effect{ElectStewards: &protocol.StewardRoll{Threshold: 3, Members: ids(town)}})
		feed(t, w, town.Entries[w.Size():])
		feed(t, replayed, town.Entries[replayed.Size():])
	}
}

func ids(town *federationtest.Town) (list []protocol.MemberID) {
	for _, m := range town.Members {
		list = append(list, m.ID)
	}
	return list
}

// Whatever is wrong with a snapshot, the log is verified from its genesis on.
func TestASnapshotThatDoesNotServe(t *testing.T) {
	t.Parallel()
	town, own := long(t, 280), nodeKey(t)
	dir := snapped(t, town, own, 270)
	path := filepath.Join(dir, "snapshot")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ignored := func(what string, by key.Private[key.Node]) {
		t.Helper()
		w, err := witness.Resume(dir, town.Federation, by)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abandon()
		if head, err := w.Head(); w.Covered() != 0 || err != nil || head != town.Head() {
			t.Fatalf("%s: %d entries were taken from it; %v", what, w.Covered(), err)
		}
	}
	for i := range 25 {
		at := i * (len(good) - 1) / 24
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (i % 8)
		write(t, path, bad)
		ignored("a flipped bit", own)
		write(t, path, good[:at])
		ignored("a cut one", own)
	}
	for at := 1; at <= 8; at++ {
		bad := bytes.Clone(good)
		bad[len(bad)-at] ^= 0xff
		write(t, path, bad)
		ignored("another end", own)
	}
	write(t, path, good)
	ignored("another node's", nodeKey(t))
	write(t, path, append(bytes.Clone(good), good...))
	ignored("twice itself", own)
	write(t, path, good)
	if w := resume(t, dir, town.Federation, own); w.Covered() != 270 {
		t.Error("a good one does not serve")
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The log on disk is the truth: a snapshot of another one says nothing about it.
func TestASnapshotBesideAnotherLog(t *testing.T) {
	t.Parallel()
	town, own := long(t, 300), nodeKey(t)
	dir := snapped(t, town, own, 280)
	log := filepath.Join(dir, "log.jsonl")
	good, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	write(t, log, bytes.Join(lines[:200], nil))
	w := resume(t, dir, town.Federation, own)
	if w.Size() != 200 || w.Covered() != 0 {
		t.Errorf("%d entries are verified of 200 on disk", w.Size())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, log, bytes.Replace(good, []byte(`"count":1,`), []byte(`"count":2,`), 1))
	if _, err := witness.Resume(dir, town.Federation, own); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("an altered entry that the snapshot covers: %v", err)
	}
	other := long(t, 290)
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	writeLog(t, dir, other.Entries)
	if _, err := witness.Resume(dir, town.Federation, own); !errors.Is(err, witness.ErrForeign) {
		t.Errorf("another federation's log: %v", err)
	}
	w = resume(t, dir, other.Federation, own)
	if w.Size() != 290 || w.Covered() != 0 {
		t.Error("another federation's snapshot serves")
	}
}

// What was signed before is held against the log from a snapshot too.
func TestASnapshotOfAnotherHistoryThanTheSignedOne(t *testing.T) {
	t.Parallel()
	town, own := long(t, 300), nodeKey(t)
	dir := snapped(t, town, own, 280)
	signed, err := protocol.Indented(protocol.Head{Size: 100, Root: protocol.HashOf(nil)})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "signed.json"), signed)
	w := resume(t, dir, town.Federation, own)
	if w.Covered() != 280 || !errors.Is(w.Err(), witness.ErrEvidence) {
		t.Errorf("it goes on: %v", w.Err())
	}
	before, err := os.Stat(filepath.Join(dir, "snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(filepath.Join(dir, "snapshot")); err != nil || !os.SameFile(before, after) {
		t.Error("a witness that has stopped makes snapshots")
	}
}

func TestAnotherBuildVerifiesAgain(t *testing.T) {
	town, own := long(t, 300), nodeKey(t)
	dir := snapped(t, town, own, 300)
	witness.AnotherBuild(t)
	w := resume(t, dir, town.Federation, own)
	if w.Covered() != 0 || w.Size() != 300 {
		t.Error("it takes another build's word")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w := resume(t, dir, town.Federation, own); w.Covered() != 300 {
		t.Error("it has not made its own")
	}
}

// A process that ends while it makes a snapshot leaves nothing behind.
func TestASnapshotThatWasBeingMade(t *testing.T) {
	t.Parallel()
	town, own := long(t, 290), nodeKey(t)
	dir := snapped(t, town, own, 280)
	part := filepath.Join(dir, ".snapshot.123.tmp")
	write(t, part, []byte("the beginning"))
	if w := resume(t, dir, town.Federation, own); w.Covered() != 280 {
		t.Errorf("%d entries are covered", w.Covered())
	}
	if _, err := os.Stat(part); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// Snapshots are made now and then while the log grows.
func TestNowAndThen(t *testing.T) {
	t.Parallel()
	town, own, dir := long(t, 700), nodeKey(t), t.TempDir()
	w := resume(t, dir, town.Federation, own)
	now := time.Now()
	covered := func(want int64) {
		t.Helper()
		if w.Covered() != want {
			t.Fatalf("%d of %d entries are covered, want %d", w.Covered(), w.Size(), want)
		}
	}
	feed(t, w, town.Entries[:300])
	covered(0) // it has just started
	w.SetClock(now.Add(time.Hour))
	feed(t, w, town.Entries[300:400])
	covered(301)
	w.SetClock(now.Add(2 * time.Hour))
	feed(t, w, town.Entries[400:500])
	covered(301) // too few
	feed(t, w, town.Entries[500:600])
	covered(557)
	feed(t, w, town.Entries[600:])
	covered(557)
}
