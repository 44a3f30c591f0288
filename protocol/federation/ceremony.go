package federation

import (
	"fmt"
	"slices"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// Ceremony is a key ceremony under way, or how the last one ended.
type Ceremony struct {
	Attempt protocol.Attempt `json:"attempt"`
	// Receivers get a share each, and Threshold of them must work together.
	Receivers []Holder `json:"receivers"`
	Threshold int      `json:"threshold"`
	// Dealers deal. When a key is generated they are the receivers; when it is
	// handed on, they are the first Threshold of the old holders.
	Dealers []Holder `json:"dealers"`
	// Old is the key that is handed on; nil when one is generated.
	Old *Key `json:"old,omitempty"`
	// Accused are those whom complaints have excluded, and Accusers, in the
	// same order, who complained of a bad deal; empty for one who was silent.
	Accused  []protocol.MemberID `json:"accused"`
	Accusers []protocol.MemberID `json:"accusers"`
	// Since is when the attempt last moved.
	Since protocol.Millis `json:"since"`
	// PublicKey is what the first receiver stated.
	PublicKey []byte `json:"public_key,omitempty"`
	Hellos    int    `json:"hellos"`
	Deals     int    `json:"deals"`
	Readies   int    `json:"readies"`
	Done      bool   `json:"done"`
	// Failed says that too few are left; elect other stewards.
	Failed bool `json:"failed"`
}

// Holder is a steward with the index of its share, from 1.
type Holder struct {
	Member protocol.MemberID `json:"member"`
	Index  uint16            `json:"index"`
}

// Key is an epoch's public key and who holds its shares.
type Key struct {
	Epoch     protocol.Epoch   `json:"epoch"`
	Attempt   protocol.Attempt `json:"attempt"` // of the ceremony that shared it
	PublicKey []byte           `json:"public_key"`
	Holders   []Holder         `json:"holders"` // ascending by index
	Threshold int              `json:"threshold"`
}

// Holder finds a member among the holders.
func (k Key) Holder(id protocol.MemberID) (Holder, bool) { return findHolder(k.Holders, id) }

func findHolder(holders []Holder, id protocol.MemberID) (Holder, bool) {
	i := slices.IndexFunc(holders, func(h Holder) bool { return h.Member == id })
	if i < 0 {
		return Holder{}, false
	}
	return holders[i], true
}

// ActiveKey is the key under which tokens are made now.
func ActiveKey(tx Tx) (Key, bool) { return load[Key](tx, "key") }

// CurrentCeremony is the last ceremony to have begun.
func CurrentCeremony(tx Tx) (Ceremony, bool) { return load[Ceremony](tx, "ceremony") }

// FindHello finds the envelope key that a receiver posted.
func FindHello(tx Tx, a protocol.Attempt, id protocol.MemberID) (protocol.Hello, bool) {
	return load[protocol.Hello](tx, ceremonyKey("hello", a, id))
}

// FindDeal finds what a dealer posted.
func FindDeal(tx Tx, a protocol.Attempt, id protocol.MemberID) (protocol.Deal, bool) {
	return load[protocol.Deal](tx, ceremonyKey("deal", a, id))
}

// HasReady reports whether a receiver has stated the public key.
func HasReady(tx Tx, a protocol.Attempt, id protocol.MemberID) bool {
	_, ok := tx.Get(ceremonyKey("ready", a, id))
	return ok
}

func ceremonyKey(step string, a protocol.Attempt, id protocol.MemberID) string {
	return fmt.Sprintf("%s/%08d/%04d/%04d/%s", step, a.Epoch, a.Roll, a.Number, id)
}

// beginCeremony follows every election of stewards: the first roll generates
// K, later ones are handed the same K.
func beginCeremony(tx Tx, view governance.View, at protocol.Millis) {
	c := Ceremony{
		Attempt:   protocol.Attempt{Epoch: 1, Roll: view.Rolls, Number: 1},
		Threshold: view.Stewards.Threshold,
		Since:     at,
	}
	for i, id := range view.Stewards.Members {
		c.Receivers = append(c.Receivers, Holder{Member: id, Index: uint16(i + 1)})
	}
	if old, ok := ActiveKey(tx); ok {
		c.Old, c.Attempt.Epoch = &old, old.Epoch
		for _, h := range old.Holders { // nobody waits for one that has left
			if _, ok := view.Active(h.Member); !ok {
				c.Accused, c.Accusers = append(c.Accused, h.Member), append(c.Accusers, "")
			}
		}
	}
	c.arrange()
	save(tx, "ceremony", c)
}

// arrange seats who is left after the accused. The same t old holders deal to
// everybody, since their Lagrange coefficients depend on each other.
func (c *Ceremony) arrange() {
	innocent := func(holders []Holder) []Holder {
		return slices.DeleteFunc(slices.Clone(holders), func(h Holder) bool { return slices.Contains(c.Accused, h.Member) })
	}
	c.Receivers = innocent(c.Receivers)
	if c.Failed = len(c.Receivers) < c.Threshold; c.Failed {
		return
	}
	c.Dealers = c.Receivers
	if c.Old != nil {
		c.Dealers = innocent(c.Old.Holders)
		if c.Failed = len(c.Dealers) < c.Old.Threshold; c.Failed {
			return
		}
		c.Dealers = c.Dealers[:c.Old.Threshold]
	}
}
