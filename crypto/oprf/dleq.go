package oprf

import (
	"crypto/sha512"
	"encoding/binary"

	"coulisse/crypto/oprf/internal/chunk"
	"coulisse/crypto/oprf/internal/ristretto"
)

// Proof is a proof of RFC 9497, section 2.2: that one scalar takes the
// generator to a key and each element of a batch to its evaluation. The same
// pair of scalars proves possession in a [Dealing].
type Proof struct {
	c, s scalar
}

// ParseProof decodes 64 bytes: [ErrLength] or [ErrNonCanonical].
func ParseProof(b []byte) (Proof, error) {
	var p Proof
	if len(b) != ProofSize {
		return p, ErrLength
	}
	for i, s := range []*scalar{&p.c, &p.s} {
		if _, err := s.SetCanonicalBytes(b[i*ristretto.Size:][:ristretto.Size]); err != nil {
			return Proof{}, ErrNonCanonical
		}
	}
	return p, nil
}

// Bytes returns the encoding.
func (p Proof) Bytes() [ProofSize]byte {
	return [ProofSize]byte(append(p.c.Bytes(), p.s.Bytes()...))
}

// batch is a list of elements ready to be summed with the weights of several
// proofs.
type batch struct {
	elements []Element
	terms    *ristretto.Terms
}

func newBatch(elements []Element) batch {
	points := make([]*ristretto.Point, len(elements))
	for i := range elements {
		points[i] = &elements[i].point
	}
	return batch{elements, ristretto.NewTerms(points)}
}

// weights are the d_i of ComputeComposites (RFC 9497, section 2.2.1). They
// depend on all that the proof is about.
func weights(key *Element, blinded, evaluated []Element) []scalar {
	h := sha512.New()
	h.Write(framed(framed(nil, key.encoding[:]), []byte(labelSeed)))
	prefix := framed(nil, h.Sum(nil))

	list := make([]scalar, len(blinded))
	chunk.Do(len(list), block, func(lo, hi int) {
		var input []byte
		for i := lo; i < hi; i++ {
			input = append(input[:0], prefix...)
			input = binary.BigEndian.AppendUint16(input, uint16(i))
			input = framed(input, blinded[i].encoding[:])
			input = framed(input, evaluated[i].encoding[:])
			hashToScalar(&list[i], append(input, labelComposite...))
		}
	})
	return list
}

// challenge hashes key, M, Z, t2 and t3.
func challenge(key *Element, points ...*ristretto.Point) *scalar {
	input := framed(nil, key.encoding[:])
	for _, p := range points {
		encoding := p.Encode()
		input = framed(input, encoding[:])
	}
	c := new(scalar)
	hashToScalar(c, append(input, labelChallenge...))
	return c
}

// prove is GenerateProof of RFC 9497, section 2.2.1, for key = k·G and
// evaluated[i] = k·blinded[i]. The nonce must be fresh, uniform and secret.
func prove(k *scalar, key *Element, blinded, evaluated []Element, nonce *scalar) Proof {
	var m, z, t2, t3 ristretto.Point
	newBatch(blinded).terms.SumVarTime(&m, weights(key, blinded, evaluated))
	z.ScalarMult(k, &m)
	t2.ScalarBaseMult(nonce)
	t3.ScalarMult(nonce, &m)

	var p Proof
	p.c.Set(challenge(key, &m, &z, &t2, &t3))
	p.s.Subtract(nonce, p.s.Multiply(&p.c, k))
	return p
}

// verify is VerifyProof of RFC 9497, section 2.2.2. All is public.
func verify(key *Element, blinded, evaluated batch, p Proof) bool {
	var m, z, t2, t3, cz ristretto.Point
	list := weights(key, blinded.elements, evaluated.elements)
	blinded.terms.SumVarTime(&m, list)
	evaluated.terms.SumVarTime(&z, list)

	t2.DoubleScalarBaseMultVarTime(&p.c, &key.point, &p.s)
	t3.ScalarMult(&p.s, &m)
	t3.Add(&t3, cz.ScalarMult(&p.c, &z))
	return challenge(key, &m, &z, &t2, &t3).Equal(&p.c) == 1
}
