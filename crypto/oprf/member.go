package oprf

import (
	"bytes"
	"fmt"
	"slices"

	"coulisse/crypto/oprf/internal/chunk"
	"coulisse/crypto/oprf/internal/ristretto"
)

// Blinding is what a member keeps between asking and finalising: its inputs
// and the blinds that hide them. It is secret, and stays valid for a retry
// with another set of stewards.
type Blinding struct {
	inputs  [][]byte
	blinds  []scalar
	blinded []Element
}

// Blind hides 1 to [MaxBatch] inputs. The elements are for the stewards; each
// is uniform, whatever its input.
//
// The blind is additive, 2·(H(input) + r·G), for two multiplications of a fixed
// base where RFC 9497 has two of a variable one. Stewards see the same
// distribution and do the same work, and the token is the same. This form
// needs the certified public key when unblinding: [Blinding.Finalize] has it,
// and takes only answers proved against it.
func Blind(inputs [][]byte) (*Blinding, []Element, error) {
	if err := checkBatch(len(inputs)); err != nil {
		return nil, nil, err
	}
	b := &Blinding{
		inputs:  make([][]byte, len(inputs)),
		blinds:  make([]scalar, len(inputs)),
		blinded: make([]Element, len(inputs)),
	}
	err := eachElement(len(inputs), func(i int) error {
		if len(inputs[i]) > MaxInput {
			return fmt.Errorf("input: %w", ErrLength)
		}
		b.inputs[i] = bytes.Clone(inputs[i])
		randomScalar(&b.blinds[i])
		return nil
	})
	if err == nil {
		err = b.blind()
	}
	if err != nil {
		return nil, nil, err
	}
	return b, slices.Clone(b.blinded), nil
}

// blind makes the blinded elements out of the inputs and blinds.
func (b *Blinding) blind() error {
	halves := make([]ristretto.Point, len(b.inputs))
	err := eachElement(len(halves), func(i int) error {
		var h, mask ristretto.Point
		hashToGroup(&h, b.inputs[i])
		if h.IsIdentity() {
			return ErrIdentity
		}
		halves[i].Add(&h, mask.ScalarBaseMult(&b.blinds[i]))
		return nil
	})
	if err != nil {
		return err
	}
	chunk.Do(len(halves), block, func(lo, hi int) { doubles(b.blinded[lo:hi], halves[lo:hi]) })
	return checkElements(b.blinded)
}

// MarshalBinary returns the inputs and blinds in the clear, to be sealed: a
// member that stops between its ticket and the answers goes on with the same
// batch, and is not debited twice.
func (b *Blinding) MarshalBinary() ([]byte, error) {
	w := writer{encodingVersion}
	w.u16(uint16(len(b.inputs)))
	for i, input := range b.inputs {
		w.u16(uint16(len(input)))
		w.bytes(input)
		w.scalar(&b.blinds[i])
	}
	return w, nil
}

// ParseBlinding decodes an unsealed blinding, and blinds its inputs as
// [Blind] did: the elements are the same.
func ParseBlinding(encoded []byte) (*Blinding, []Element, error) {
	r := newReader(encoded)
	n := int(r.u16())
	if r.err == nil {
		r.err = checkBatch(n)
	}
	if r.err != nil {
		return nil, nil, fmt.Errorf("blinding: %w", r.err)
	}
	b := &Blinding{inputs: make([][]byte, n), blinds: make([]scalar, n), blinded: make([]Element, n)}
	for i := range n {
		b.inputs[i] = bytes.Clone(r.take(int(r.u16())))
		r.scalar(&b.blinds[i])
	}
	err := r.end()
	if err == nil {
		err = b.blind()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("blinding: %w", err)
	}
	return b, slices.Clone(b.blinded), nil
}

// Finalize checks the answers of the whole set, one for each steward in any
// order, and returns the token of each input, in order of the inputs. A
// [Blame] says whose answer is wrong: retry the same batch with a set without
// it.
func (b *Blinding) Finalize(key *PublicKey, set Set, partials []Partial) ([]Token, error) {
	if err := key.checkSet(set); err != nil {
		return nil, err
	}
	if !slices.Equal(answering(partials), set) {
		return nil, fmt.Errorf("%w: one answer from each steward of the set is needed", ErrSet)
	}
	blinded := newBatch(b.blinded)
	for _, p := range partials {
		if err := verifyPartial(key, set, blinded, p); err != nil {
			return nil, &Blame{p.Steward, err}
		}
	}
	table := key.table()
	tokens := make([]Token, len(b.inputs))
	chunk.Do(len(tokens), block, func(lo, hi int) {
		for i, encoding := range b.unblind(lo, hi, table, partials) {
			tokens[lo+i] = finalizeHash(b.inputs[lo+i], encoding)
		}
	})
	return tokens, nil
}

// unblind returns the encodings of K·H(input) from lo to hi: the sum of the
// answers is half of K·(H + r·G), from which half of r·(K·G) is taken away, and
// the rest is doubled.
func (b *Blinding) unblind(lo, hi int, table *ristretto.Table, partials []Partial) [][ElementSize]byte {
	halves := make([]ristretto.Point, hi-lo)
	encodings := make([][ElementSize]byte, hi-lo)
	var mask ristretto.Point
	for i := range halves {
		sum := &halves[i]
		*sum = partials[0].Evaluated[lo+i].point
		for _, p := range partials[1:] {
			sum.Add(sum, &p.Evaluated[lo+i].point)
		}
		table.Mult(&mask, &b.blinds[lo+i])
		sum.Subtract(sum, &mask)
	}
	ristretto.EncodeDoubles(halves, encodings)
	return encodings
}

func answering(partials []Partial) Set {
	set := make(Set, len(partials))
	for i, p := range partials {
		set[i] = p.Steward
	}
	slices.Sort(set)
	return set
}
