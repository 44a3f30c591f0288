package rehearsal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

var aGrant = protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1000}}

// renewed waits until a node has taken up new keys, and starts it with them.
func (f *Federation) renewed(m *Member) {
	f.tb.Helper()
	if err := <-m.part.done; !errors.Is(err, node.ErrNewKeys) {
		f.tb.Fatalf("the node of %s ended with %v", m.ID, err)
	}
	f.must(m.Node.Close())
	before := m.Folder.Card
	folder, err := node.Open(m.Folder.Dir)
	f.must(err)
	if folder.Card.Vote == before.Vote || folder.Card.Node == before.Node || folder.Card.Envelope == before.Envelope {
		f.tb.Fatal("a key of the node is an old one")
	}
	m.Folder = folder
	f.StartNode(m)
}

// copied is a node on a copy of a member's folder, as a thief has it.
func (f *Federation) copied(m *Member) *node.Node {
	f.tb.Helper()
	f.StopNode(m)
	dir := filepath.Join(f.tb.TempDir(), "copied")
	f.must(os.CopyFS(dir, os.DirFS(m.Folder.Dir)))
	f.must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	}))
	f.StartNode(m)
	folder, err := node.Open(dir)
	f.must(err)
	n, err := node.New(context.Background(), node.Config{Folder: folder, Logger: f.logger})
	f.must(err)
	f.tb.Cleanup(func() { f.must(n.Close()) })
	return n
}

func TestMemberChangesItsKeys(t *testing.T) {
	f := Found(t, "agora", "brise", "cigale")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	open := f.Propose(aGrant)
	b := f.Members[1]
	f.Vote(b, open, protocol.For) // under the key that goes
	copied := f.copied(b)
	if s, err := copied.Status(ctx); err != nil || s.Unanswered {
		t.Fatal("a copy of the folder is not answered before the change:", err)
	}
	f.must(b.Node.ChangeKeys(ctx))
	f.renewed(b)
	f.Eventually("a copy of the folder to be turned away", func() bool {
		s, err := copied.Status(ctx)
		return err == nil && s.Unanswered
	})
	f.Vote(f.Members[0], open, protocol.For)
	f.Vote(f.Members[2], open, protocol.For)
	f.Decided(open)
	f.Decide(aGrant) // and under the new one

	// A lost key: the others vote the new card in.
	card, err := b.Node.NewCard()
	f.must(err)
	again, err := b.Node.NewCard()
	f.must(err)
	if string(card.Body) != string(again.Body) {
		t.Error("asking again makes other keys")
	}
	id := f.Propose(protocol.Effect{ReplaceCard: &card})
	for _, m := range f.Members {
		f.Vote(m, id, protocol.For)
	}
	f.renewed(b)
	f.Decide(aGrant)
}

func TestMemberIsSuspendedAndReinstatedAndLeaves(t *testing.T) {
	f := Found(t, "agora", "brise", "cigale", "delta")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d := f.Members[3]
	f.Decide(protocol.Effect{Suspend: d.ID})
	status, err := d.Node.Status(ctx)
	f.must(err)
	if status.Standing != node.StandingSuspended {
		t.Errorf("it stands %q", status.Standing)
	}
	refused := protocol.Proposal{
		Title: protocol.Text{FR: "Non", EN: "No"}, Reason: protocol.Text{FR: "Non", EN: "No"}, Effect: aGrant,
	}
	if _, err := d.Node.Propose(ctx, refused); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("a suspended member proposes: %v", err)
	}
	all := f.Members
	f.Members = all[:3]
	f.Decide(protocol.Effect{Reinstate: d.ID}) // which it reads
	f.Members = all
	f.Eventually("it to read that it is back", func() bool {
		status, err := d.Node.Status(ctx)
		return err == nil && status.Standing == node.StandingGood
	})
	f.Decide(aGrant)

	f.must(d.Node.Leave(ctx))
	f.Members = all[:3]
	f.Decide(aGrant)
	f.Members = all
}
