package witness_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"coulisse/crypto/key"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

func open(t *testing.T, dir string, id protocol.Hash) *witness.Witness {
	t.Helper()
	w, err := witness.Open(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func encode(t *testing.T, e protocol.Entry) []byte {
	t.Helper()
	raw, err := protocol.Canonical(e)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func feed(t *testing.T, w *witness.Witness, entries []protocol.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := w.Take(encode(t, e)); err != nil {
			t.Fatal(err)
		}
	}
}

func evidence(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "evidence-*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// next is the entry that would follow a town's log.
func next[R key.Role, T protocol.Document[R]](t *testing.T, town *federationtest.Town, s protocol.Signed[T]) protocol.Entry {
	t.Helper()
	document, err := protocol.Canonical(s)
	if err != nil {
		t.Fatal(err)
	}
	var doc T
	return protocol.Entry{Seq: federation.Size(&town.Log), At: town.Now, Label: doc.Label(), Doc: document}
}

// lies are entries that a coordinator may hand out and no witness takes, each
// next in a log with an open vote.
func lies(t *testing.T, town *federationtest.Town, vote protocol.Hash) map[string][]byte {
	t.Helper()
	honest := encode(t, next[key.Vote](t, town, federationtest.SignVote(town, town.Members[2], protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For}))))
	forged := federationtest.SignVote(town, town.Members[0], protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For}))
	forged.By = protocol.PartyID(town.Members[2].ID)
	foreign := federationtest.Found(t, 3)
	foreign.Elect(2, foreign.Members...)
	early := next[key.Replica](t, town, federationtest.SignReplica(town, protocol.Close{Proposal: vote}))
	skipped := next[key.Vote](t, town, federationtest.SignVote(town, town.Members[2], protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For})))
	skipped.Seq++
	past := skipped
	past.Seq, past.At = past.Seq-1, federationtest.Morning
	return map[string][]byte{
		"a ballot with another choice":         bytes.Replace(honest, []byte(`"for"`), []byte(`"against"`), 1),
		"a ballot signed by somebody else":     encode(t, next[key.Vote](t, town, forged)),
		"a vote closed before everybody voted": encode(t, early),
		"an entry that leaves one out":         encode(t, skipped),
		"an entry from before the last one":    encode(t, past),
		"an earlier entry again":               encode(t, town.Entries[1]),
		"another federation's entry":           encode(t, foreign.Entries[1]),
		"another spelling":                     append([]byte(" "), honest...),
		"a line too many":                      append(bytes.Clone(honest), '\n'),
		"nothing":                              nil,
		"far too much":                         bytes.Repeat([]byte{'x'}, 1<<20),
	}
}

// movedAway restarts a witness that keeps evidence: it remembers, and goes on
// only once the file is elsewhere. The copy itself is sound.
func movedAway(t *testing.T, w *witness.Witness, dir string, id protocol.Hash, honest []byte) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, id)
	files := evidence(t, dir)
	var worded protocol.Refusal
	if err := w.Take(honest); !errors.Is(err, witness.ErrEvidence) || !errors.As(err, &worded) || !strings.Contains(worded.Words().FR, files[0]) {
		t.Errorf("a restart made it forget: %v", err)
	}
	if _, err := w.SigningHead(); !errors.Is(err, witness.ErrEvidence) {
		t.Errorf("signs on after a restart: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(files[0], filepath.Join(t.TempDir(), "evidence")); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, id)
	if err := w.Take(honest); err != nil {
		t.Errorf("it does not go on: %v", err)
	}
}

func TestALieIsRefusedAndKept(t *testing.T) {
	town := federationtest.Found(t, 3)
	vote := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	honest := encode(t, next[key.Vote](t, town, federationtest.SignVote(town, town.Members[2], protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For}))))
	for name, lie := range lies(t, town, vote) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := open(t, dir, town.Federation)
			feed(t, w, town.Entries)
			before, err := w.Head()
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Take(lie); !errors.Is(err, witness.ErrEvidence) {
				t.Fatalf("taken: %v", err)
			}
			files := evidence(t, dir)
			if len(files) != 1 {
				t.Fatalf("kept as evidence: %d files", len(files))
			}
			if kept, err := os.ReadFile(files[0]); err != nil || !bytes.HasPrefix(lie, kept) || len(kept) == 0 && len(lie) > 0 {
				t.Errorf("the evidence is not what was handed out: %v", err)
			}
			// The truth comes too late: whoever lied once is followed no more.
			if err := w.Take(honest); !errors.Is(err, witness.ErrEvidence) {
				t.Errorf("followed again: %v", err)
			}
			if _, err := w.SigningHead(); !errors.Is(err, witness.ErrEvidence) {
				t.Errorf("signs on: %v", err)
			}
			if after, err := w.Head(); err != nil || after != before {
				t.Errorf("something of the lie was kept: %v", err)
			}
			movedAway(t, w, dir, town.Federation, honest)
		})
	}
}

func TestAnotherFederationsLog(t *testing.T) {
	town, other := federationtest.Found(t, 3), federationtest.Found(t, 3)
	dir := t.TempDir()
	w := open(t, dir, town.Federation)
	err := w.Take(encode(t, other.Entries[0]))
	if !errors.Is(err, witness.ErrEvidence) || !errors.Is(err, witness.ErrForeign) || w.Size() != 0 {
		t.Fatalf("%d entries taken: %v", w.Size(), err)
	}
	// A copy of the wrong log is not opened, nor thrown away.
	theirs := t.TempDir()
	feed(t, open(t, theirs, other.Federation), other.Entries)
	if _, err := witness.Open(theirs, town.Federation); !errors.Is(err, witness.ErrForeign) {
		t.Fatalf("opened: %v", err)
	}
	if w := open(t, theirs, other.Federation); w.Size() != 1 {
		t.Error("the copy was changed")
	}
}

// A genesis holds every founder's card and is larger than any other entry.
func TestALargeFederation(t *testing.T) {
	if testing.Short() {
		t.Skip("makes the keys of 200 members")
	}
	town := federationtest.Found(t, 200)
	feed(t, open(t, t.TempDir(), town.Federation), town.Entries)
}

func TestATornTail(t *testing.T) {
	town := federationtest.Found(t, 3).Keyed()
	dir := t.TempDir()
	w := open(t, dir, town.Federation)
	feed(t, w, town.Entries)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	last := len(lines[len(lines)-2])
	for name, c := range map[string]struct {
		content []byte
		left    int
	}{
		"cut in the last entry":           {whole[:len(whole)-last/2], len(town.Entries) - 1},
		"without the last end of line":    {whole[:len(whole)-1], len(town.Entries) - 1},
		"an entry that was being taken":   {append(bytes.Clone(whole), "{\"seq\":99}\n"...), len(town.Entries)},
		"nothing but the beginning of it": {whole[:10], 0},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			w := open(t, dir, town.Federation)
			if int(w.Size()) != c.left {
				t.Fatalf("%d entries are left, not %d", w.Size(), c.left)
			}
			feed(t, w, town.Entries[c.left:])
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, whole) {
				t.Errorf("the copy is not what it was: %v", err)
			}
		})
	}
	t.Run("changed in the middle", func(t *testing.T) {
		content := bytes.Replace(whole, []byte(`"for"`), []byte(`"against"`), 1)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := witness.Open(dir, town.Federation); err == nil {
			t.Fatal("opened")
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, content) {
			t.Error("a damaged copy was changed")
		}
	})
}

// Two histories part after the vote opened. The node signed under one.
func parted(t *testing.T) (town *federationtest.Town, one, other []protocol.Entry) {
	t.Helper()
	town = federationtest.Found(t, 3)
	vote := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	second := town.Again()
	ballot := func(town *federationtest.Town, choice protocol.Choice) {
		for _, m := range town.Members {
			town.Must(federationtest.Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: choice})))
		}
	}
	ballot(town, protocol.For)
	ballot(second, protocol.Against)
	return town, town.Entries, second.Entries
}

func TestACoordinatorThatWasSetBack(t *testing.T) {
	town, one, other := parted(t)
	dir := t.TempDir()
	w := open(t, dir, town.Federation)
	feed(t, w, one)
	signed, err := w.SigningHead()
	if err != nil || signed.Size != int64(len(one)) {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// The copy is lost, and the coordinator shows another history.
	if err := os.Remove(filepath.Join(dir, "log.jsonl")); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, town.Federation)
	feed(t, w, other[:len(other)-1])
	if _, err := w.SigningHead(); !errors.Is(err, witness.ErrBehind) {
		t.Fatalf("signs under less than it has signed under: %v", err)
	}
	if err := w.Take(encode(t, other[len(other)-1])); !errors.Is(err, witness.ErrEvidence) {
		t.Fatalf("followed another history: %v", err)
	}
	// And that stays so when the node is started again.
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, town.Federation)
	if !errors.Is(w.Err(), witness.ErrEvidence) {
		t.Errorf("forgotten: %v", w.Err())
	}
	if _, err := w.SigningHead(); !errors.Is(err, witness.ErrEvidence) {
		t.Errorf("signs: %v", err)
	}
}

func TestALostCopyOfTheSameLog(t *testing.T) {
	town, one, _ := parted(t)
	dir := t.TempDir()
	w := open(t, dir, town.Federation)
	feed(t, w, one)
	signed, err := w.SigningHead()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), os.Remove(filepath.Join(dir, "log.jsonl"))); err != nil {
		t.Fatal(err)
	}
	w = open(t, dir, town.Federation)
	feed(t, w, one)
	if again, err := w.SigningHead(); err != nil || again != signed {
		t.Errorf("does not sign again: %v", err)
	}
}

// While the disk takes nothing, nothing is taken, and the next attempt begins
// where this one did.
func TestAFullDisk(t *testing.T) {
	town := federationtest.Found(t, 3)
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	dir := t.TempDir()
	w := open(t, dir, town.Federation)
	feed(t, w, town.Entries[:1])
	w.BreakFile()
	raw := encode(t, town.Entries[1])
	if err := w.Take(raw); err == nil || errors.Is(err, witness.ErrEvidence) {
		t.Fatalf("a disk that fails is not the coordinator's doing: %v", err)
	}
	if w.Size() != 1 || w.Err() != nil {
		t.Fatal("memory is ahead of the disk")
	}
	w.MendFile(t)
	feed(t, w, town.Entries[1:])
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w := open(t, dir, town.Federation); int(w.Size()) != len(town.Entries) {
		t.Errorf("%d of %d entries are on disk", w.Size(), len(town.Entries))
	}
}

func document[T any](t *testing.T, s protocol.Signed[T]) []byte {
	t.Helper()
	raw, err := protocol.Canonical(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestWaiting(t *testing.T) {
	town := federationtest.Found(t, 3)
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	w := open(t, t.TempDir(), town.Federation)
	ctx, cancel := context.WithCancel(context.Background())
	last := town.Entries[len(town.Entries)-1]
	s, err := protocol.Decode[protocol.Signed[protocol.Cosign]](last.Doc)
	if err != nil {
		t.Fatal(err)
	}
	cosign, err := protocol.Peek(s)
	if err != nil {
		t.Fatal(err)
	}
	again := document(t, federationtest.SignVote(town, town.Members[1], cosign)) // under a later head
	never := document(t, federationtest.SignVote(town, town.Members[2], protocol.NewBallot(protocol.Vote{Proposal: cosign.Proposal, Choice: protocol.For})))
	waits := []func() error{
		func() error { return w.Await(ctx, int64(len(town.Entries))) },
		func() error { return w.AwaitDocument(ctx, last.Doc) },
		func() error { return w.AwaitAlready(ctx, last.Label, again) },
	}
	var waiting sync.WaitGroup
	for i, wait := range waits {
		waiting.Go(func() {
			if err := wait(); err != nil {
				t.Errorf("wait %d: %v", i, err)
			}
		})
	}
	feed(t, w, town.Entries)
	waiting.Wait()
	// What the log does not say is not there, whoever sends it.
	cancel()
	if err := w.AwaitAlready(ctx, protocol.LabelBallot, never); !errors.Is(err, context.Canceled) {
		t.Errorf("seen: %v", err)
	}
	if err := w.AwaitDocument(ctx, []byte("{}")); !errors.Is(err, context.Canceled) {
		t.Errorf("seen: %v", err)
	}
	// Whoever waits learns that nothing more comes.
	stopped := make(chan error)
	go func() { stopped <- w.Await(context.Background(), 1000) }()
	if err := w.Take([]byte("{}")); !errors.Is(err, witness.ErrEvidence) {
		t.Fatal(err)
	}
	if err := <-stopped; !errors.Is(err, witness.ErrEvidence) {
		t.Errorf("told %v", err)
	}
}
