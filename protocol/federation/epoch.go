package federation

import (
	"fmt"
	"slices"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// Two keys are in use at most: while members make their tokens again under a
// new one, rounds go on under the former. Only the newest takes tickets, so
// nobody's allowance is worth more for there being two.

const keysKey = "keys"

// Keys are those in use, the oldest first: one, or two while members move to
// the newer.
func Keys(tx Tx) []Key { return loadOr(tx, keysKey, []Key{}) }

// ActiveKey is the newest key: tokens are made under it.
func ActiveKey(tx Tx) (Key, bool) {
	keys := Keys(tx)
	if len(keys) == 0 {
		return Key{}, false
	}
	return keys[len(keys)-1], true
}

// FindKey finds the key of an epoch, if it is in use.
func FindKey(tx Tx, epoch protocol.Epoch) (Key, bool) {
	for _, k := range Keys(tx) {
		if k.Epoch == epoch {
			return k, true
		}
	}
	return Key{}, false
}

// keepKey stores what a ceremony gave: another sharing of a key in use, or a
// new key.
func keepKey(tx Tx, k Key) {
	keys := Keys(tx)
	if i := slices.IndexFunc(keys, func(old Key) bool { return old.Epoch == k.Epoch }); i >= 0 {
		k.Made = keys[i].Made
		keys[i] = k
	} else {
		keys = append(keys, k)
	}
	save(tx, keysKey, keys)
}

// RoundEpoch is the key epoch of a round between these members: the newest, if
// all of them have their tokens under it. There is no choice, so that nobody
// can take the others back to a key that they have left.
func RoundEpoch(tx Tx, participants []protocol.MemberID) (protocol.Epoch, error) {
	keys := Keys(tx)
	if len(keys) == 0 {
		return 0, refuse("la fédération n'a pas encore de clé; proposez d'élire des gardiens de clé",
			"the federation has no key yet; propose to elect key stewards")
	}
	newest := keys[len(keys)-1].Epoch
	for _, id := range participants {
		if len(keys) > 1 && !HasMigrated(tx, id, newest) {
			return keys[0].Epoch, nil
		}
	}
	return newest, nil
}

// HasMigrated reports whether a member has said that its tokens under an epoch
// are made.
func HasMigrated(tx Tx, id protocol.MemberID, epoch protocol.Epoch) bool {
	_, ok := tx.Get(migratedKey(id, epoch))
	return ok
}

func migratedKey(id protocol.MemberID, epoch protocol.Epoch) string {
	return fmt.Sprintf("migrated/%08d/%s", epoch, id)
}

func applyMigrated(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.Migrated](tx, e)
	if err != nil {
		return err
	}
	if HasMigrated(tx, by, doc.Epoch) {
		return ErrAlready
	}
	if keys := Keys(tx); len(keys) < 2 || keys[1].Epoch != doc.Epoch {
		return refuse("les membres ne passent pas à cette époque de clé en ce moment",
			"the members are not moving to this key epoch now")
	}
	save(tx, migratedKey(by, doc.Epoch), true)
	return nil
}

// DueRetirement is the epoch that may be retired then: the former one, once its
// time is up, or once every member in good standing has moved and no round that
// waits to be opened needs it.
func DueRetirement(tx Tx, at protocol.Millis) (protocol.Epoch, bool, error) {
	keys := Keys(tx)
	if len(keys) < 2 {
		return 0, false, nil
	}
	view, err := View(tx)
	if err != nil {
		return 0, false, err
	}
	former, newest := keys[0].Epoch, keys[1].Epoch
	if at >= view.Until {
		return former, true, nil
	}
	for _, m := range view.Roster() {
		if !HasMigrated(tx, m.Card.ID, newest) {
			return former, false, nil
		}
	}
	for _, r := range RunningRounds(tx) {
		if r.Content().Epoch == former && r.unopened() {
			return former, false, nil
		}
	}
	return former, true, nil
}

// applyRetirement ends an epoch. Rounds that are opened have their uploads and
// run to their end; the others are proposed again under the newest key.
func applyRetirement(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Retirement](tx, e)
	if err != nil {
		return err
	}
	if newest, ok := ActiveKey(tx); ok && doc.Epoch < newest.Epoch {
		if _, inUse := FindKey(tx, doc.Epoch); !inUse {
			return ErrAlready
		}
	}
	epoch, due, err := DueRetirement(tx, e.At)
	if err != nil {
		return err
	}
	if !due || epoch != doc.Epoch {
		return refuse("la clé de l'époque %d n'est pas à retirer maintenant", "the key of epoch %d is not to be retired now", doc.Epoch)
	}
	save(tx, keysKey, Keys(tx)[1:])
	endUnopened(tx, protocol.Text{
		FR: fmt.Sprintf("La clé de l'époque %d a été retirée avant l'ouverture de cette ronde. Proposez-la de nouveau.", epoch),
		EN: fmt.Sprintf("The key of epoch %d was retired before this round was opened. Propose it again.", epoch),
	}, func(r Round) bool { return r.Content().Epoch == epoch })
	return nil
}

// checkStart refuses to begin an epoch before the last one has taken over: the
// vote closes once it has. So members move to one key at a time.
func checkStart(tx Tx, view governance.View, e protocol.Effect) error {
	if e.StartEpoch == nil {
		return nil
	}
	keys := Keys(tx)
	switch {
	case len(keys) == 0:
		return refuse("il n'y a pas encore de clé à remplacer; attendez que les gardiens aient fait la première",
			"there is no key yet to replace; wait until the stewards have made the first")
	case keys[0].Epoch < view.Epoch:
		return refuse("les membres passent déjà à l'époque de clé %d; attendez que l'ancienne clé soit retirée, ou élisez d'autres gardiens s'ils ne font pas la nouvelle",
			"the members are moving to key epoch %d already; wait until the former key is retired, or elect other stewards if these do not make the new one", view.Epoch)
	}
	return nil
}
