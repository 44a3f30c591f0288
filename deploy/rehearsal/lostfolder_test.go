package rehearsal

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/protocol"
)

// A member loses its whole folder. It makes keys in a fresh one under the same
// name; the others vote its card in, the office gives it a token, and it votes.
func TestLostFolderIsReplacedByAVote(t *testing.T) {
	f := Found(t, "agora", "brise", "cigale")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f.Decide(aGrant)
	lost := f.Members[2]
	f.StopNode(lost)
	card := lost.Folder.Card
	folder, err := node.Init(filepath.Join(f.Dir, "cigale-again"), protocol.Card{ID: card.ID, Name: card.Name, Kind: card.Kind, Group: card.Group})
	f.must(err)

	// The lost key casts no ballot, so the vote lasts its whole time.
	words := protocol.Text{FR: "Clé perdue", EN: "Lost key"}
	id, err := f.Members[0].Node.Propose(ctx, protocol.Proposal{
		Title: words, Reason: words, Effect: protocol.Effect{ReplaceCard: &folder.Signed}, Closes: protocol.At(time.Now().Add(10 * time.Second)),
	})
	f.must(err)
	f.Eventually("the proposal at the second member", func() bool {
		_, err := f.Members[1].Node.Proposal(id.String())
		return err == nil
	})
	f.must(f.Members[1].Node.Cosign(ctx, id.String()))
	for _, m := range f.Members[:2] {
		f.Vote(m, id, protocol.For)
	}
	f.Decided(id)

	lost.Folder = folder
	f.enroll(lost)
	f.StartNode(lost)
	f.Decide(aGrant) // with its ballot, or it would not close yet
}
