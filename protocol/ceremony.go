package protocol

import (
	"fmt"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
)

// A key ceremony gives the elected stewards their shares of an epoch's key K.
// The log is its bulletin board: every receiver posts a fresh envelope key
// ([Hello]), every dealer deals to those keys ([Deal]), every receiver checks
// what it got and states the resulting public key ([Ready]) or complains
// ([Complaint]). The fresh envelope keys are forgotten afterwards, so the
// sealed shares in the log open to nobody, ever.

// Attempt names one run of a ceremony: a complaint begins the next.
type Attempt struct {
	Epoch Epoch `json:"epoch"`
	// Roll numbers the steward elections, from 1: the first makes a key, the
	// later ones hand the same key to a new roll.
	Roll   int `json:"roll"`
	Number int `json:"number"` // from 1
}

// maxRolls keeps the roll and the attempt apart in the terms of package oprf.
const maxRolls = 1 << 20

func (a Attempt) check() error {
	if a.Epoch < 1 || a.Roll < 1 || a.Roll > maxRolls || a.Number < 1 || a.Number > 2*MaxStewards {
		return fmt.Errorf("%w: a ceremony is named by epoch, roll and attempt", ErrMalformed)
	}
	return nil
}

// Hello posts the envelope key to which this receiver's shares are sealed.
type Hello struct {
	Attempt  Attempt             `json:"attempt"`
	Envelope seal.EnvelopePublic `json:"envelope_key"`
}

// Label implements [Document].
func (Hello) Label() Label { return LabelHello }

// Of is the attempt that the step belongs to.
func (h Hello) Of() Attempt { return h.Attempt }

// Role implements [Document].
func (Hello) Role() (r key.Node) { return }

// Check implements [Document].
func (h Hello) Check() error {
	if err := h.Attempt.check(); err != nil {
		return err
	}
	return h.Envelope.Check()
}

// Deal is one dealer's polynomial: public commitments with the proof that the
// dealer knows what it commits to, and one sealed share for each receiver.
type Deal struct {
	Attempt Attempt       `json:"attempt"`
	Dealing []byte        `json:"dealing"` // oprf.Dealing, as package oprf encodes it
	Shares  []SealedShare `json:"shares"`  // ascending by receiver
}

// SealedShare is a share under the receiver's [Hello] key.
type SealedShare struct {
	To     MemberID `json:"to"`
	Sealed []byte   `json:"sealed"`
}

const (
	maxDealing     = 4096
	maxSealedShare = 4096
)

// Label implements [Document].
func (Deal) Label() Label { return LabelDeal }

// Of is the attempt that the step belongs to.
func (d Deal) Of() Attempt { return d.Attempt }

// Role implements [Document].
func (Deal) Role() (r key.Node) { return }

// Check implements [Document].
func (d Deal) Check() error {
	if err := d.Attempt.check(); err != nil {
		return err
	}
	if len(d.Dealing) == 0 || len(d.Dealing) > maxDealing || len(d.Shares) == 0 || len(d.Shares) > MaxStewards {
		return fmt.Errorf("%w: a deal has commitments and 1 to %d shares", ErrMalformed, MaxStewards)
	}
	for i, s := range d.Shares {
		if err := s.To.Check(); err != nil {
			return err
		}
		if i > 0 && d.Shares[i-1].To >= s.To {
			return fmt.Errorf("%w: shares are in ascending order, one a receiver", ErrMalformed)
		}
		if len(s.Sealed) == 0 || len(s.Sealed) > maxSealedShare {
			return fmt.Errorf("%w: a sealed share has 1 to %d bytes", ErrMalformed, maxSealedShare)
		}
	}
	return nil
}

// Ready states that every share this receiver got fits its commitments, and
// the public key that follows from them.
type Ready struct {
	Attempt   Attempt `json:"attempt"`
	PublicKey []byte  `json:"public_key"` // oprf.PublicKey, as package oprf encodes it
}

// Label implements [Document].
func (Ready) Label() Label { return LabelReady }

// Of is the attempt that the step belongs to.
func (r Ready) Of() Attempt { return r.Attempt }

// Role implements [Document].
func (Ready) Role() (r key.Node) { return }

// Check implements [Document].
func (r Ready) Check() error {
	if len(r.PublicKey) == 0 || len(r.PublicKey) > maxDealing {
		return fmt.Errorf("%w: a public key has 1 to %d bytes", ErrMalformed, maxDealing)
	}
	return r.Attempt.check()
}

// Complaint says that a dealer's share does not fit its commitments or does
// not open. The ceremony starts again without the accused.
type Complaint struct {
	Attempt Attempt  `json:"attempt"`
	Against MemberID `json:"against"`
}

// Label implements [Document].
func (Complaint) Label() Label { return LabelComplaint }

// Of is the attempt that the step belongs to.
func (c Complaint) Of() Attempt { return c.Attempt }

// Role implements [Document].
func (Complaint) Role() (r key.Node) { return }

// Check implements [Document].
func (c Complaint) Check() error {
	if err := c.Attempt.check(); err != nil {
		return err
	}
	return c.Against.Check()
}

// Ticket asks for one batch of evaluations and debits the member's allowance.
// Stewards evaluate the batch with this root, for this member, and no other.
type Ticket struct {
	Epoch    Epoch `json:"epoch"`
	Root     Hash  `json:"root"`     // hash of the blinded batch
	Count    int   `json:"count"`    // blinded elements, 1 to MaxBatch
	Sequence int64 `json:"sequence"` // 1, 2, 3… a member and epoch
}

// MaxBatch bounds the elements of one ticket.
const MaxBatch = 4096

// maxSequence is beyond any allowance of one-element tickets.
const maxSequence = 1 << 41

// Label implements [Document].
func (Ticket) Label() Label { return LabelTicket }

// Role implements [Document].
func (Ticket) Role() (r key.Node) { return }

// Check implements [Document].
func (t Ticket) Check() error {
	if t.Epoch < 1 || t.Sequence < 1 || t.Sequence > maxSequence {
		return fmt.Errorf("%w: a ticket names its epoch and sequence", ErrMalformed)
	}
	if t.Count < 1 || t.Count > MaxBatch {
		return fmt.Errorf("%w: a ticket is for 1 to %d elements", ErrMalformed, MaxBatch)
	}
	return checkRef("batch", t.Root)
}
