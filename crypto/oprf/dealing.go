package oprf

import (
	"crypto/sha512"
	"fmt"
	"io"

	"coulisse/crypto/oprf/internal/ristretto"
)

// Dealing is the public part of a dealer's contribution: commitments to its
// polynomial (Feldman), and a proof that it knows the constant. Without the
// proof, the last dealer could choose its constant so as to cancel the
// others'.
type Dealing struct {
	dealer      Index
	commitments commitments
	possession  Proof
}

// Dealer returns who dealt.
func (d *Dealing) Dealer() Index { return d.dealer }

// MarshalBinary returns the one encoding of the dealing.
func (d *Dealing) MarshalBinary() ([]byte, error) {
	w := writer{encodingVersion}
	w.u16(uint16(d.dealer))
	w.commitments(d.commitments)
	proof := d.possession.Bytes()
	w.bytes(proof[:])
	return w, nil
}

// ParseDealing decodes a dealing strictly: what it accepts, MarshalBinary
// gives back byte for byte. [Ceremony.VerifyDealing] says if it holds.
func ParseDealing(b []byte) (*Dealing, error) {
	r := newReader(b)
	d := &Dealing{dealer: r.index(), commitments: r.commitments(), possession: r.proof()}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("dealing: %w", err)
	}
	return d, nil
}

// provePossession is a Schnorr proof of the constant's logarithm, over the
// terms, the dealer and all commitments.
func (c Ceremony) provePossession(d *Dealing, constant *scalar) Proof {
	var nonce scalar
	var r ristretto.Point
	var p Proof
	randomScalar(&nonce)
	c.possessionChallenge(&p.c, d, r.ScalarBaseMult(&nonce))
	p.s.Subtract(&nonce, p.s.Multiply(&p.c, constant))
	return p
}

func (c Ceremony) checkPossession(d *Dealing) bool {
	var r ristretto.Point
	var challenge scalar
	r.DoubleScalarBaseMultVarTime(&d.possession.c, &d.commitments[0].point, &d.possession.s)
	c.possessionChallenge(&challenge, d, &r)
	return challenge.Equal(&d.possession.c) == 1
}

func (c Ceremony) possessionChallenge(challenge *scalar, d *Dealing, r *ristretto.Point) {
	var w writer
	w.bytes(c.digest())
	w.u16(uint16(d.dealer))
	w.commitments(d.commitments)
	nonce := r.Encode()
	w.bytes(nonce[:])

	h := sha512.New()
	io.WriteString(h, labelPossession)
	h.Write(w)
	setUniform(challenge, h.Sum(nil))
}
