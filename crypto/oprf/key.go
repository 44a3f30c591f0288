package oprf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"

	"coulisse/crypto/oprf/internal/ristretto"
)

// commitments are the coefficients of a polynomial, each times the generator,
// the constant first.
type commitments []Element

// at returns factor·f(i)·G.
func (c commitments) at(i Index, factor *scalar) *ristretto.Point {
	p := new(ristretto.Point)
	newBatch(c).terms.SumVarTime(p, powers(factor, i, len(c)))
	return p
}

// PublicKey is one sharing of one key: K·G, and what checks any steward's
// share of it. A refresh keeps K, and with it every token, but makes a new
// PublicKey.
type PublicKey struct {
	namespace   string
	epoch       uint32
	stewards    Set
	commitments commitments

	// unblinding is derived from commitments[0] when first needed.
	once       sync.Once
	unblinding *ristretto.Table
}

// Namespace returns the federation whose key this is.
func (k *PublicKey) Namespace() string { return k.namespace }

// Epoch returns the number of K.
func (k *PublicKey) Epoch() uint32 { return k.epoch }

// Threshold returns t, how many stewards answer together.
func (k *PublicKey) Threshold() int { return len(k.commitments) }

// Stewards returns who has a share.
func (k *PublicKey) Stewards() Set { return slices.Clone(k.stewards) }

// Group returns K·G. It stays the same through every resharing of K.
func (k *PublicKey) Group() Element { return k.commitments[0] }

// PublicShare returns a steward's share times the generator.
func (k *PublicKey) PublicShare(i Index) (Element, error) {
	if !k.stewards.has(i) {
		return Element{}, ErrSet
	}
	return k.share(i, scalarOf(1))
}

func (k *PublicKey) share(i Index, factor *scalar) (Element, error) {
	return newElement(k.commitments.at(i, factor))
}

// table has the multiples of half of K·G.
func (k *PublicKey) table() *ristretto.Table {
	k.once.Do(func() {
		var halved ristretto.Point
		k.unblinding = ristretto.NewTable(halved.ScalarMult(half, &k.commitments[0].point))
	})
	return k.unblinding
}

// checkSet returns [ErrSet] unless the set is t stewards of the key.
func (k *PublicKey) checkSet(set Set) error {
	if err := set.Check(); err != nil {
		return err
	}
	if len(set) != k.Threshold() || !set.within(k.stewards) {
		return fmt.Errorf("%w: %d of the key's stewards must answer", ErrSet, k.Threshold())
	}
	return nil
}

func (k *PublicKey) checkEvaluator(set Set, i Index) error {
	if err := k.checkSet(set); err != nil {
		return err
	}
	if !set.has(i) {
		return fmt.Errorf("%w: steward %d is not in it", ErrSet, i)
	}
	return nil
}

// KeyID identifies one sharing of one key, for pinning.
type KeyID [sha256.Size]byte

func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ID returns the hash of the encoding.
func (k *PublicKey) ID() KeyID {
	h := sha256.New()
	io.WriteString(h, labelKey)
	h.Write(k.encode())
	return KeyID(h.Sum(nil))
}

// MarshalBinary returns the one encoding of the key.
func (k *PublicKey) MarshalBinary() ([]byte, error) { return k.encode(), nil }

func (k *PublicKey) encode() []byte {
	w := writer{encodingVersion}
	w.text(k.namespace)
	w.u32(k.epoch)
	w.set(k.stewards)
	w.commitments(k.commitments)
	return w
}

// ParsePublicKey decodes a key strictly: what it accepts, MarshalBinary gives
// back byte for byte.
func ParsePublicKey(b []byte) (*PublicKey, error) {
	r := newReader(b)
	k := &PublicKey{
		namespace:   r.text(),
		epoch:       r.u32(),
		stewards:    r.set(),
		commitments: r.commitments(),
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if len(k.commitments) > len(k.stewards) {
		return nil, fmt.Errorf("public key: %w: threshold over the number of stewards", ErrFormat)
	}
	return k, nil
}
