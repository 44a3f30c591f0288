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
// The blind is additive, H(input) + r·G, for two multiplications of a fixed
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
	err := eachElement(len(inputs), func(i int) (err error) {
		if len(inputs[i]) > MaxInput {
			return fmt.Errorf("input: %w", ErrLength)
		}
		b.inputs[i] = bytes.Clone(inputs[i])
		randomScalar(&b.blinds[i])
		b.blinded[i], err = blind(b.inputs[i], &b.blinds[i])
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return b, slices.Clone(b.blinded), nil
}

func blind(input []byte, r *scalar) (Element, error) {
	var h, mask ristretto.Point
	hashToGroup(&h, input)
	if h.IsIdentity() {
		return Element{}, ErrIdentity
	}
	return newElement(h.Add(&h, mask.ScalarBaseMult(r)))
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
		err = eachElement(n, func(i int) (err error) {
			b.blinded[i], err = blind(b.inputs[i], &b.blinds[i])
			return err
		})
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
		for i := lo; i < hi; i++ {
			tokens[i] = finalizeHash(b.inputs[i], b.unblind(i, table, partials))
		}
	})
	return tokens, nil
}

// unblind returns the encoding of K·H(input): the sum of the answers is
// K·(H + r·G), from which r·(K·G) is taken away.
func (b *Blinding) unblind(i int, table *ristretto.Table, partials []Partial) [ElementSize]byte {
	var sum, mask ristretto.Point
	sum = partials[0].Evaluated[i].point
	for _, p := range partials[1:] {
		sum.Add(&sum, &p.Evaluated[i].point)
	}
	table.Mult(&mask, &b.blinds[i])
	return sum.Subtract(&sum, &mask).Encode()
}

func answering(partials []Partial) Set {
	set := make(Set, len(partials))
	for i, p := range partials {
		set[i] = p.Steward
	}
	slices.Sort(set)
	return set
}
