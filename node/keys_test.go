package node

import (
	"os"
	"path/filepath"
	"testing"

	"coulisse/protocol"
)

// TestKeysAreTakenUpWholeOrNotAtAll interrupts the taking up of new keys after
// each file, and opens the folder as a restarted node does.
func TestKeysAreTakenUpWholeOrNotAtAll(t *testing.T) {
	for copied := range 5 {
		f, err := Init(filepath.Join(t.TempDir(), "n"), protocol.Card{
			ID: "moulin", Name: protocol.Text{FR: "Le Moulin", EN: "The Mill"}, Kind: protocol.KindHouse, Group: "moulin",
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.PrepareKeys(); err != nil {
			t.Fatal(err)
		}
		next, waiting := f.nextCard()
		if !waiting || next.Vote == f.Card.Vote {
			t.Fatal("no new keys wait")
		}
		// Without the mark nothing is taken up, whatever waits.
		same, err := Open(f.Dir)
		if err != nil || same.Card != f.Card {
			t.Fatal("keys that the log has not named are in use:", err)
		}
		if err := f.nextKeys().replace(fileAdopt, []byte("now")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{fileVote, fileNode, fileEnvelope, fileCard}[:copied] {
			content, err := os.ReadFile(f.path(filepath.Join(dirNextKeys, name)))
			if err == nil {
				err = f.replace(name, content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		opened, err := Open(f.Dir)
		if err != nil || opened.Card != next {
			t.Errorf("after %d files: %v", copied, err)
		}
		if vote, err := opened.VotingKey(); err != nil || vote.Public() != next.Vote {
			t.Errorf("after %d files, the voting key: %v", copied, err)
		}
		if _, err := os.Stat(f.path(dirNextKeys)); !os.IsNotExist(err) {
			t.Errorf("after %d files, the waiting keys are still there", copied)
		}
	}
}
