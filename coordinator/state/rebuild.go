package state

import (
	"errors"

	"coulisse/protocol"
	"coulisse/protocol/federation"

	"github.com/tidwall/buntdb"
)

// Rebuild returns the state that a log leads to. All that is public is in the
// log; enrolment tokens are not, and those not yet used are void after it.
func Rebuild(log federation.Tx) (*State, error) {
	s, err := New()
	if err != nil {
		return nil, err
	}
	err = s.db.Update(func(tx *buntdb.Tx) error {
		t := transaction{tx: tx}
		log.Ascend("", func(key, value string) bool { t.Set(key, value); return true })
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// HashOf digests a log that was replayed elsewhere as [State.Hash] does a
// state: equal entries under equal rules give the same.
func HashOf(log federation.Tx) protocol.Hash { return hash(log) }
