//go:build unix

package rehearsal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/federation"
)

// nodeFolder names the folder of the node that a process of this test is to be.
const nodeFolder = "COULISSE_REHEARSAL_NODE"

// TestNodeApart is no test: it is a node in a process of its own, to be killed.
func TestNodeApart(t *testing.T) {
	dir := os.Getenv(nodeFolder)
	if dir == "" {
		t.Skip("another test starts it")
	}
	folder, err := node.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.New(t.Context(), node.Config{Folder: folder, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	if err := errors.Join(n.Run(ctx), n.Close()); err != nil {
		t.Fatal(err)
	}
}

// apart starts a member's node in a process of its own. What it returns ends it
// with a signal.
func apart(t *testing.T, m *rehearsal.Member) (end func(syscall.Signal)) {
	t.Helper()
	return process(t, "TestNodeApart", nodeFolder, m.Folder.Dir)
}

// process starts this program again to be what one of its tests is, in a folder.
func process(t *testing.T, test, variable, folder string) (end func(syscall.Signal)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), variable+"="+folder)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func(s syscall.Signal) {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Signal(s) // it may have ended by itself
		if err := cmd.Wait(); (err != nil) != (s == syscall.SIGKILL) {
			t.Errorf("%s: %v: %s", test, err, said.String())
		}
	}
	t.Cleanup(func() { end(syscall.SIGKILL) })
	return end
}

// TestKeyEpoch votes a new key: rounds go on while the members move to it, a
// node that is killed again and again debits nobody twice, and the former key
// is gone everywhere in the end.
func TestKeyEpoch(t *testing.T) {
	people := invent(600, houses...)
	for person := range 17_000 { // so that one of them needs five batches
		people.bought["theatre"] = append(people.bought["theatre"], 600+person)
	}
	f := stage(t, people)
	theatre, journal := f.Members[3], f.Members[4]
	settled(t, f, 1)
	same(t, f, people, 1)

	id := f.Propose(protocol.Effect{StartEpoch: &protocol.EpochStart{Until: protocol.At(time.Now().Add(24 * time.Hour))}})
	f.Vote(theatre, id, protocol.For)
	f.StopNode(theatre)
	end := apart(t, theatre)
	for _, m := range f.Members {
		if m != theatre {
			f.Vote(m, id, protocol.For)
		}
	}
	f.Decided(id)
	pending := filepath.Join(theatre.Folder.Dir, "tokens", "epoch-2", "pending-*.age")
	random, last := rand.New(rand.NewPCG(3, 4)), ""
	for kill := range 3 {
		f.Eventually("another batch under way", func() bool {
			files, err := filepath.Glob(pending) // the last has the newest ticket
			if err != nil || len(files) == 0 || files[len(files)-1] == last {
				return false
			}
			last = files[len(files)-1]
			return true
		})
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond) // to be killed at any point of it
		end(syscall.SIGKILL)
		if kill < 2 {
			end = apart(t, theatre)
		}
	}
	f.Eventually("the others to have moved", func() bool {
		s, err := journal.Node.Status(t.Context())
		return err == nil && s.Migration != nil && s.Migration.Made && slices.Equal(s.Migration.Missing, []protocol.MemberID{theatre.ID})
	})
	meanwhile := propose(t, f, audience()) // while one is still on its way
	f.StartNode(theatre)
	checkRound(t, f, meanwhile, people, 1)

	settled(t, f, 2)
	same(t, f, people, 2)
	forgotten(t, f)
	debited(t, f, people)
}

// settled waits until one key serves everybody, and everybody has all tokens.
func settled(t *testing.T, f *rehearsal.Federation, epoch protocol.Epoch) {
	t.Helper()
	for _, m := range f.Members {
		f.Eventually(fmt.Sprintf("epoch %d at %s", epoch, m.ID), func() bool {
			s, err := m.Node.Status(t.Context())
			return err == nil && s.Migration == nil && s.Stewards.Epoch == epoch && s.Tokens.Epoch == epoch &&
				s.Tokens.Total > 0 && s.Tokens.Done == s.Tokens.Total
		})
	}
}

// same has a round run under an epoch, and holds it against the truth.
func same(t *testing.T, f *rehearsal.Federation, people public, epoch protocol.Epoch) {
	t.Helper()
	checkRound(t, f, propose(t, f, audience()), people, epoch)
}

func checkRound(t *testing.T, f *rehearsal.Federation, id protocol.RoundID, people public, epoch protocol.Epoch) {
	t.Helper()
	end := ended(t, f, id)
	page, err := f.Members[0].Node.Round(t.Context(), string(id))
	if err != nil || end.Stage != federation.Closed || page.Epoch != epoch {
		t.Fatalf("the round under epoch %d, not %d, ended %s: %s %v", page.Epoch, epoch, end.Stage, end.Reason.EN, err)
	}
	checkSize(t, end, people)
	checkLabels(t, f, id, people)
	checkExport(t, f, id)
}

// forgotten wants nothing of the former key in any folder.
func forgotten(t *testing.T, f *rehearsal.Federation) {
	t.Helper()
	for _, m := range f.Members {
		f.Eventually("the former key to be gone from "+string(m.ID), func() bool {
			left := 0
			for _, pattern := range []string{"steward/share-1-*", "steward/ceremony-*", "tokens/*epoch-1*"} {
				files, err := filepath.Glob(filepath.Join(m.Folder.Dir, pattern))
				if err != nil {
					t.Fatal(err)
				}
				left += len(files)
			}
			return left == 0
		})
	}
}

// debited wants each person debited once in each epoch, by the log itself.
func debited(t *testing.T, f *rehearsal.Federation, people public) {
	t.Helper()
	var log *federation.Memory
	f.Eventually("a checkpoint of all this", func() bool {
		write, err := f.Members[1].Node.CopyLog()
		if err != nil {
			return false
		}
		var copied bytes.Buffer
		if err := write(&copied); err != nil {
			t.Fatal(err)
		}
		if _, log, err = archive.Read(&copied, f.ID); err != nil {
			t.Fatal(err)
		}
		return len(federation.Keys(log)) == 1
	})
	for _, m := range f.Members {
		want := int64(len(people.bought[m.ID]))
		if m.ID == "journal" {
			want = int64(len(people.reads))
		}
		for epoch := range protocol.Epoch(2) {
			if got := federation.TicketsOf(log, m.ID, epoch+1).Total; got != want {
				t.Errorf("%s was debited %d in epoch %d for %d people", m.ID, got, epoch+1, want)
			}
		}
	}
}
