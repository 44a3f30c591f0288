package node

import (
	"os"
	"path/filepath"
	"testing"

	"coulisse/protocol"
)

// TestKeysInTheMakingAreMadeAgain interrupts the making of new keys before
// their card is there, and the clearing up after they were taken up.
func TestKeysInTheMakingAreMadeAgain(t *testing.T) {
	f, err := Init(filepath.Join(t.TempDir(), "n"), protocol.Card{
		ID: "moulin", Name: protocol.Text{FR: "Le Moulin", EN: "The Mill"}, Kind: protocol.KindHouse, Group: "moulin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.PrepareKeys(); err != nil {
		t.Fatal(err)
	}
	half, _ := f.nextCard()
	if err := os.Remove(f.nextKeys().path(fileCard)); err != nil {
		t.Fatal(err)
	}
	same, err := Open(f.Dir)
	if err != nil || same.Card != f.Card {
		t.Fatal("half-made keys hinder the node:", err)
	}
	if _, waiting := same.nextCard(); waiting {
		t.Fatal("half-made keys wait")
	}
	if _, err := same.PrepareKeys(); err != nil {
		t.Fatal(err)
	}
	next, waiting := same.nextCard()
	if !waiting || next.Vote == half.Vote || next.Node == half.Node || next.Envelope == half.Envelope {
		t.Fatal("a key that was half made is used")
	}

	// Clearing up stops after the mark: the keys in use are left there too.
	card, err := os.ReadFile(same.nextKeys().path(fileCard))
	if err != nil {
		t.Fatal(err)
	}
	if err := same.adoptKeys(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(same.nextKeys().Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := same.nextKeys().replace(fileCard, card); err != nil {
		t.Fatal(err)
	}
	opened, err := Open(f.Dir)
	if err != nil || opened.Card != next {
		t.Fatal("after an interrupted clearing up:", err)
	}
	vote, err := opened.VotingKey()
	if err != nil || vote.Public() != next.Vote {
		t.Error("the voting key is not the new one:", err)
	}
}
