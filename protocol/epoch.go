package protocol

import (
	"fmt"

	"coulisse/crypto/key"
)

// A key epoch is the life of one key K. A vote starts the next ([EpochStart]):
// the stewards make a new key, every member makes its tokens again under it and
// says so ([Migrated]), and the former key is retired ([Retirement]). Until
// then rounds go on under the former one.

// EpochStart begins the next key epoch.
type EpochStart struct {
	// Until is when the former key is retired, even if members are still making
	// tokens. It is retired sooner when all have them.
	Until Millis `json:"until"`
}

// MaxMove is the longest that a former key serves after the vote on the next: one
// member that never moves keeps it until then, and its holders with it.
const MaxMove = Span(366 * 24 * 3600 * 1000)

func (s EpochStart) check() error {
	return s.Until.check("the retirement of the former key")
}

// Migrated says that this member has its tokens under the new key: rounds
// between members that all have said so are under it.
type Migrated struct {
	Epoch Epoch `json:"epoch"`
}

// Label implements [Document].
func (Migrated) Label() Label { return LabelMigrated }

// Role implements [Document].
func (Migrated) Role() (r key.Node) { return }

// Check implements [Document].
func (m Migrated) Check() error { return checkLater(m.Epoch) }

// Retirement ends an epoch: its key serves no more, and every honest steward
// forgets its share.
type Retirement struct {
	Epoch Epoch `json:"epoch"` // the one that ends
}

// Label implements [Document].
func (Retirement) Label() Label { return LabelRetirement }

// Role implements [Document].
func (Retirement) Role() (r key.Replica) { return }

// Check implements [Document].
func (r Retirement) Check() error { return checkLater(r.Epoch + 1) }

// checkLater refuses an epoch that none came before.
func checkLater(e Epoch) error {
	if e < 2 {
		return fmt.Errorf("%w: the first key epoch follows no other", ErrMalformed)
	}
	return nil
}
