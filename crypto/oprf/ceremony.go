package oprf

import (
	"crypto/sha512"
	"fmt"
	"io"
	"slices"

	"coulisse/crypto/oprf/internal/ristretto"
)

// Ceremony is the terms of one attempt to make a key or to share it anew.
// They are public and enter every proof of possession, so all parties must
// have the same, and nothing posted for one attempt counts in another.
//
// In a new key's ceremony each dealer deals a random constant, and K is their
// sum. In a resharing, Previous is the key's last sharing and the dealers are
// t of its stewards; each deals its share times its Lagrange coefficient, so
// the sum is K again. Dealers are numbered by the previous sharing, receivers
// by the coming one.
type Ceremony struct {
	Namespace string
	Epoch     uint32
	Attempt   uint32
	Threshold int // of the sharing to be made
	Dealers   Set
	Receivers Set
	Previous  *PublicKey // nil for a new key
}

// Check returns [ErrSet] or [ErrCeremony] for terms that cannot make a key
// that fewer than Threshold receivers do not hold.
func (c Ceremony) Check() error {
	if len(c.Namespace) == 0 || len(c.Namespace) > MaxNamespace {
		return fmt.Errorf("%w: a namespace has 1 to %d bytes", ErrCeremony, MaxNamespace)
	}
	if err := c.Dealers.Check(); err != nil {
		return fmt.Errorf("dealers: %w", err)
	}
	if err := c.Receivers.Check(); err != nil {
		return fmt.Errorf("receivers: %w", err)
	}
	if c.Threshold < minThreshold || c.Threshold > len(c.Receivers) {
		return fmt.Errorf("%w: the threshold is from %d to the number of receivers", ErrCeremony, minThreshold)
	}
	if c.Previous == nil {
		// Fewer dealers could collude below the threshold and know K.
		if len(c.Dealers) < c.Threshold {
			return fmt.Errorf("%w: a new key needs as many dealers as the threshold", ErrCeremony)
		}
		return nil
	}
	if c.Namespace != c.Previous.namespace || c.Epoch != c.Previous.epoch {
		return fmt.Errorf("%w: a resharing keeps namespace and epoch", ErrCeremony)
	}
	if err := c.Previous.checkSet(c.Dealers); err != nil {
		return fmt.Errorf("dealers: %w", err)
	}
	return nil
}

// digest binds proofs to the terms.
func (c Ceremony) digest() []byte {
	var w writer
	w.text(c.Namespace)
	w.u32(c.Epoch)
	w.u32(c.Attempt)
	w.u16(uint16(c.Threshold))
	w.set(c.Dealers)
	w.set(c.Receivers)
	if c.Previous != nil {
		id := c.Previous.ID()
		w.bytes(id[:])
	}
	h := sha512.New()
	io.WriteString(h, labelCeremony)
	h.Write(w)
	return h.Sum(nil)
}

// Deal makes a dealer's contribution to a new key: the dealing to be posted,
// and a subshare for each receiver, in their order.
func (c Ceremony) Deal(dealer Index) (*Dealing, []Subshare, error) {
	if c.Previous != nil {
		return nil, nil, fmt.Errorf("%w: there is a key to reshare", ErrCeremony)
	}
	var constant scalar
	randomScalar(&constant)
	return c.deal(dealer, &constant)
}

// Reshare makes an old steward's contribution to a resharing, in the same
// form as [Ceremony.Deal].
func (c Ceremony) Reshare(share Share) (*Dealing, []Subshare, error) {
	if c.Previous == nil {
		return nil, nil, fmt.Errorf("%w: there is no key to reshare", ErrCeremony)
	}
	if share.key != c.Previous.ID() {
		return nil, nil, fmt.Errorf("%w: it belongs to another key or an earlier sharing", ErrShare)
	}
	if !c.Dealers.has(share.index) {
		return nil, nil, fmt.Errorf("%w: steward %d is no dealer", ErrSet, share.index)
	}
	var constant scalar
	constant.Multiply(c.Dealers.lagrange(share.index), &share.value)
	return c.deal(share.index, &constant)
}

func (c Ceremony) deal(dealer Index, constant *scalar) (*Dealing, []Subshare, error) {
	if err := c.Check(); err != nil {
		return nil, nil, err
	}
	if !c.Dealers.has(dealer) {
		return nil, nil, fmt.Errorf("%w: steward %d is no dealer", ErrSet, dealer)
	}
	coefficients := make([]scalar, c.Threshold)
	coefficients[0].Set(constant)
	for k := range coefficients[1:] {
		randomScalar(&coefficients[k+1])
	}
	d := &Dealing{dealer: dealer, commitments: make(commitments, c.Threshold)}
	for k := range coefficients {
		var p ristretto.Point
		var err error
		if d.commitments[k], err = newElement(p.ScalarBaseMult(&coefficients[k])); err != nil {
			return nil, nil, fmt.Errorf("commitment %d: %w", k, err)
		}
	}
	d.possession = c.provePossession(d, constant)

	subshares := make([]Subshare, len(c.Receivers))
	for i, receiver := range c.Receivers {
		subshares[i].dealer, subshares[i].receiver = dealer, receiver
		evaluatePolynomial(&subshares[i].value, coefficients, receiver)
	}
	return d, subshares, nil
}

func evaluatePolynomial(value *scalar, coefficients []scalar, i Index) {
	at := scalarOf(i)
	for k := len(coefficients) - 1; k >= 0; k-- {
		value.MultiplyAdd(value, at, &coefficients[k])
	}
}

// VerifyDealing checks what a dealer posted: [ErrDealing] is a blame that
// anyone can check.
func (c Ceremony) VerifyDealing(d *Dealing) error {
	if err := c.Check(); err != nil {
		return err
	}
	if !c.Dealers.has(d.dealer) {
		return fmt.Errorf("%w: steward %d is no dealer", ErrSet, d.dealer)
	}
	if len(d.commitments) != c.Threshold {
		return fmt.Errorf("%w: not as many commitments as the threshold", ErrDealing)
	}
	if !c.checkPossession(d) {
		return fmt.Errorf("%w: possession of its constant is not proved", ErrDealing)
	}
	if c.Previous != nil {
		old, err := c.Previous.share(d.dealer, c.Dealers.lagrange(d.dealer))
		if err != nil {
			return fmt.Errorf("public share: %w", err)
		}
		if !old.Equal(d.commitments[0]) {
			return fmt.Errorf("%w: its constant is not the share it holds", ErrDealing)
		}
	}
	return nil
}

// VerifySubshare checks a subshare against its dealing, which has passed
// [Ceremony.VerifyDealing]. [ErrShare] is the ground for a complaint; the
// subshare, shown with the seal and signature it came under, lets anyone run
// this check.
func (c Ceremony) VerifySubshare(d *Dealing, s Subshare) error {
	if !c.Receivers.has(s.receiver) {
		return fmt.Errorf("%w: steward %d is no receiver", ErrSet, s.receiver)
	}
	var p ristretto.Point
	p.ScalarBaseMult(&s.value)
	if s.dealer != d.dealer || !p.Equal(d.commitments.at(s.receiver, scalarOf(1))) {
		return ErrShare
	}
	return nil
}

// PublicKey checks one dealing of each dealer, in any order, and returns the
// key that they make. A [Blame] names the dealer of a wrong one.
func (c Ceremony) PublicKey(dealings []*Dealing) (*PublicKey, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if err := c.checkDealers(dealings); err != nil {
		return nil, err
	}
	sums := make([]ristretto.Point, c.Threshold)
	for k := range sums {
		sums[k].Zero()
	}
	for _, d := range dealings {
		if err := c.VerifyDealing(d); err != nil {
			return nil, &Blame{d.dealer, err}
		}
		for k := range sums {
			sums[k].Add(&sums[k], &d.commitments[k].point)
		}
	}
	key := &PublicKey{
		namespace:   c.Namespace,
		epoch:       c.Epoch,
		stewards:    slices.Clone(c.Receivers),
		commitments: make(commitments, c.Threshold),
	}
	for k := range sums {
		var err error
		if key.commitments[k], err = newElement(&sums[k]); err != nil {
			return nil, fmt.Errorf("commitment %d: %w", k, err)
		}
	}
	return key, nil
}

func (c Ceremony) checkDealers(dealings []*Dealing) error {
	seen := make(map[Index]bool, len(dealings))
	for _, d := range dealings {
		if !c.Dealers.has(d.dealer) || seen[d.dealer] {
			return fmt.Errorf("%w: steward %d is no dealer, or dealt twice", ErrSet, d.dealer)
		}
		seen[d.dealer] = true
	}
	if len(seen) != len(c.Dealers) {
		return fmt.Errorf("%w: a dealing of each dealer is needed", ErrSet)
	}
	return nil
}

// Aggregate checks all dealings and one receiver's subshares of them, and
// returns its share with the key. A [Blame] names the dealer of a wrong
// dealing or subshare.
func (c Ceremony) Aggregate(receiver Index, dealings []*Dealing, subshares []Subshare) (Share, *PublicKey, error) {
	key, err := c.PublicKey(dealings)
	if err != nil {
		return Share{}, nil, err
	}
	from := make(map[Index]Subshare, len(subshares))
	for _, s := range subshares {
		if s.receiver != receiver {
			return Share{}, nil, fmt.Errorf("%w: a subshare is for steward %d", ErrSet, s.receiver)
		}
		from[s.dealer] = s
	}
	if len(from) != len(dealings) || len(subshares) != len(dealings) {
		return Share{}, nil, fmt.Errorf("%w: a subshare of each dealer is needed", ErrSet)
	}
	share := Share{index: receiver, key: key.ID()}
	for _, d := range dealings {
		s := from[d.dealer]
		if err := c.VerifySubshare(d, s); err != nil {
			return Share{}, nil, &Blame{d.dealer, err}
		}
		share.value.Add(&share.value, &s.value)
	}
	return share, key, nil
}
