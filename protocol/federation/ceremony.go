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
	Made      protocol.Millis  `json:"made"`   // when the key itself was
	Shared    protocol.Millis  `json:"shared"` // and when its shares were, last
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

// beginCeremony follows every election of stewards: the first roll makes a key,
// later ones are handed the newest. A former one stays with those who hold it
// until it is retired: it takes no tickets any more.
func beginCeremony(tx Tx, view governance.View, at protocol.Millis) error {
	if old, ok := ActiveKey(tx); ok {
		return convene(tx, view, &old, at)
	}
	return convene(tx, view, nil, at)
}

// convene seats the present stewards to be handed a key, or to make the one
// that is decided. Nobody waits for one that has left.
func convene(tx Tx, view governance.View, old *Key, at protocol.Millis) error {
	c := Ceremony{
		Attempt:   protocol.Attempt{Epoch: view.Epoch, Roll: view.Rolls, Number: 1},
		Threshold: view.Stewards.Threshold,
		Old:       old,
		Since:     at,
	}
	for i, id := range view.Stewards.Members {
		c.Receivers = append(c.Receivers, Holder{Member: id, Index: uint16(i + 1)})
	}
	seated := c.Receivers
	if old != nil {
		c.Attempt.Epoch = old.Epoch
		seated = slices.Concat(seated, old.Holders)
	}
	for _, h := range seated {
		if _, ok := view.Active(h.Member); !ok && !slices.Contains(c.Accused, h.Member) {
			c.Accused, c.Accusers = append(c.Accused, h.Member), append(c.Accusers, "")
		}
	}
	c.arrange()
	return stand(tx, c, at)
}

// stand stores how a ceremony stands. If it has ended and the members have
// decided on a newer key than the one it was about, that one is made next: by
// the present stewards, even if they could not be handed the former.
func stand(tx Tx, c Ceremony, at protocol.Millis) error {
	save(tx, "ceremony", c)
	if !c.Done && !c.Failed {
		return nil
	}
	view, err := View(tx)
	if err != nil || c.Attempt.Epoch == view.Epoch {
		return err
	}
	return convene(tx, view, nil, at)
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
