package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"coulisse/node/author"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// followEpochs wakes up who makes the tokens, and deletes them, when the keys in
// use have changed.
func (n *Node) followEpochs(ctx context.Context) error {
	var epochs []protocol.Epoch
	err := n.witness.View(func(tx federation.Tx) error {
		for _, key := range federation.Keys(tx) {
			epochs = append(epochs, key.Epoch)
		}
		return nil
	})
	if err != nil || slices.Equal(epochs, n.epochs) {
		return err
	}
	n.epochs = epochs
	n.Imported()
	n.logger.InfoContext(ctx, "the keys in use have changed", "epochs", epochs)
	return nil
}

// keepTokenising makes missing tokens in the background, and deletes those under
// retired keys: when the keys in use have changed, after an import, and now and
// then.
func (n *Node) keepTokenising(ctx context.Context) {
	for ctx.Err() == nil {
		pause := lookAt
		if err := errors.Join(n.tokeniser.Forget(ctx), n.makeTokens(ctx)); err != nil && ctx.Err() == nil {
			n.logger.InfoContext(ctx, "tokenising will be tried again", "reason", err)
			pause = tryAgain
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-n.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// makeTokens makes what is missing under the newest key first, since all wait
// for that.
func (n *Node) makeTokens(ctx context.Context) error {
	if err := n.tokeniser.Complete(ctx); err != nil {
		return err
	}
	if err := n.announceMigration(ctx); err != nil {
		return err
	}
	return n.tokeniser.CompleteFormer(ctx)
}

// announceMigration tells the others that this member has its tokens under the
// newest key, while a former one is in use.
func (n *Node) announceMigration(ctx context.Context) error {
	var owed bool
	done := n.tokeniser.Finished()
	err := n.witness.View(func(tx federation.Tx) error {
		keys := federation.Keys(tx)
		if len(keys) < 2 || keys[1].Epoch != done || federation.HasMigrated(tx, n.folder.Card.ID, done) {
			return nil
		}
		view, err := federation.View(tx)
		_, owed = view.Active(n.folder.Card.ID)
		return err
	})
	if err != nil || !owed {
		return err
	}
	return author.Post(ctx, n.author, protocol.Migrated{Epoch: done})
}

// Migration is a change from one key to the next.
type Migration struct {
	Epoch protocol.Epoch  `json:"epoch"`    // the new one
	Until protocol.Millis `json:"until_ms"` // when the former key is retired at the latest
	// Made says that the stewards have made the new key. Then Moved members
	// have all their tokens under it, and Missing have not.
	Made    bool                `json:"made"`
	Moved   int                 `json:"moved"`
	Missing []protocol.MemberID `json:"missing"`
}

func migrationOf(tx federation.Tx, view governance.View) *Migration {
	m := &Migration{Epoch: view.Epoch, Until: view.Until, Missing: []protocol.MemberID{}}
	keys := federation.Keys(tx)
	if len(keys) == 0 || keys[0].Epoch == view.Epoch {
		return nil
	}
	if m.Made = len(keys) > 1; !m.Made {
		return m
	}
	for _, member := range view.Roster() {
		if federation.HasMigrated(tx, member.Card.ID, m.Epoch) {
			m.Moved++
		} else {
			m.Missing = append(m.Missing, member.Card.ID)
		}
	}
	return m
}

// A key is shared anew every 90 days, and made anew every year (protocol.md
// section 3). Both take a vote; this node only reminds of them.
const (
	sharesAge = 90 * 24 * time.Hour
	keyAge    = 366 * 24 * time.Hour
	// lateFrom is how long before the former key is retired a member that has
	// not moved is told.
	lateFrom = 3 * 24 * time.Hour
)

// keyTrouble is what the members should vote about the key.
func keyTrouble(s Status, now time.Time) (Trouble, bool) {
	switch {
	case s.Stewards.Failed:
		return tooFewStewards, true
	case s.Migration != nil:
		late := slices.Contains(s.Migration.Missing, s.Member) && s.Migration.Until.Time().Sub(now) < lateFrom
		return lateMigration, late
	case s.Stewards.Epoch == 0:
		return Trouble{}, false
	case now.Sub(s.Stewards.Made.Time()) > keyAge:
		return oldKey, true
	case now.Sub(s.Stewards.Shared.Time()) > sharesAge:
		return oldShares, true
	}
	return Trouble{}, false
}

var (
	tooFewStewards = Trouble{
		protocol.Text{FR: "La cérémonie de clé a échoué\u00a0: trop peu de gardiens de clé y prennent part.", EN: "The key ceremony has failed: too few key stewards take part in it."},
		protocol.Text{FR: "Proposez d'en élire d'autres\u00a0: «\u00a0coulisse proposal new --elect-stewards a,b,c\u00a0».", EN: "Propose to elect others: “coulisse proposal new --elect-stewards a,b,c”."},
	}
	lateMigration = Trouble{
		protocol.Text{FR: "Ce nœud n'a pas encore tous ses jetons sous la nouvelle clé, et l'ancienne sera bientôt retirée.", EN: "This node does not have all its tokens under the new key yet, and the former is retired soon."},
		protocol.Text{FR: "Laissez-le tourner. Rien ne se perd\u00a0: après le retrait, les audiences où vous êtes attendent qu'il ait fini.",
			EN: "Leave it running. Nothing is lost: after the retirement, audiences with you in them wait until it has finished."},
	}
	oldKey = Trouble{
		protocol.Text{FR: "La clé des jetons a plus d'un an.", EN: "The key of the tokens is more than a year old."},
		protocol.Text{FR: "Proposez d'en faire une nouvelle\u00a0: «\u00a0coulisse proposal new --start-epoch 60d\u00a0».",
			EN: "Propose to make a new one: “coulisse proposal new --start-epoch 60d”."},
	}
	oldShares = Trouble{
		protocol.Text{FR: "Les parts de la clé des jetons ont plus de 90 jours.", EN: "The shares of the key of the tokens are more than 90 days old."},
		protocol.Text{FR: "Proposez d'élire les mêmes gardiens, ou d'autres\u00a0: ils en reçoivent de nouvelles, et les anciennes ne servent plus à rien.",
			EN: "Propose to elect the same stewards, or others: they get new ones, and the old ones are of no use any more."},
	}
)

// Imported tells the node that there may be people without a token.
func (h *House) Imported() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
}
