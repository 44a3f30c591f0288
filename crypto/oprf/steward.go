package oprf

import (
	"fmt"

	"coulisse/crypto/oprf/internal/chunk"
	"coulisse/crypto/oprf/internal/ristretto"
)

// Partial is one steward's answer to a batch: each element times its share
// and a quarter of the set's Lagrange coefficient, so that the t answers only have
// to be added.
type Partial struct {
	Steward   Index
	Evaluated []Element
	Proof     Proof
}

// Evaluate answers a batch as one of the set of t stewards that the request
// names. Committing the ticket that names the batch and the set, and doing so
// once, is the caller's part.
func Evaluate(key *PublicKey, share Share, set Set, blinded []Element) (Partial, error) {
	var nonce scalar
	randomScalar(&nonce)
	return evaluate(key, share, set, blinded, &nonce)
}

func evaluate(key *PublicKey, share Share, set Set, blinded []Element, nonce *scalar) (Partial, error) {
	if err := key.checkEvaluator(set, share.index); err != nil {
		return Partial{}, err
	}
	if share.key != key.ID() {
		return Partial{}, fmt.Errorf("%w: it belongs to another key or an earlier sharing", ErrShare)
	}
	if err := checkElements(blinded); err != nil {
		return Partial{}, err
	}
	var folded scalar
	folded.Multiply(set.folded(share.index), &share.value)
	evaluated := multiplyAll(&folded, blinded)

	var p ristretto.Point
	public, err := newElement(p.ScalarBaseMult(&folded))
	if err != nil {
		return Partial{}, fmt.Errorf("public share: %w", err)
	}
	return Partial{share.index, evaluated, prove(&folded, &public, blinded, evaluated, nonce)}, nil
}

// multiplyAll returns k·e for each element. It multiplies by k/2, because
// doubles are the cheap thing to encode.
func multiplyAll(k *scalar, elements []Element) []Element {
	var halved scalar
	halved.Multiply(k, half)
	products := make([]Element, len(elements))
	chunk.Do(len(elements), block, func(lo, hi int) {
		halves := make([]ristretto.Point, hi-lo)
		for i := range halves {
			halves[i].ScalarMult(&halved, &elements[lo+i].point)
		}
		doubles(products[lo:hi], halves)
	})
	return products
}

// VerifyPartial checks an answer to a batch against the public key: nil, or
// [ErrProof] if the steward did not use its share, or the error of a request
// that it should have refused. Everything it reads may be published, so a
// member that was answered wrongly can show it to all.
func VerifyPartial(key *PublicKey, set Set, blinded []Element, partial Partial) error {
	if err := checkElements(blinded); err != nil {
		return err
	}
	return verifyPartial(key, set, newBatch(blinded), partial)
}

func verifyPartial(key *PublicKey, set Set, blinded batch, partial Partial) error {
	if err := key.checkEvaluator(set, partial.Steward); err != nil {
		return err
	}
	if len(partial.Evaluated) != len(blinded.elements) {
		return fmt.Errorf("evaluated elements: %w", ErrLength)
	}
	if err := checkElements(partial.Evaluated); err != nil {
		return err
	}
	public, err := key.share(partial.Steward, set.folded(partial.Steward))
	if err != nil {
		return fmt.Errorf("public share: %w", err)
	}
	if !verify(&public, blinded, newBatch(partial.Evaluated), partial.Proof) {
		return ErrProof
	}
	return nil
}
