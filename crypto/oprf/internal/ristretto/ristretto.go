// Package ristretto is the prime-order group ristretto255 of RFC 9496, for
// protocol.md section 3: the quotient (encoding, decoding, one-way map) over
// the curve arithmetic of filippo.io/edwards25519, and the batch operations that
// make an OPRF cheap (a table for a fixed base, sums of many weighted points,
// encodings of doubled points).
//
// It is not an API for anyone but package oprf, which owns the rules: which
// values are secret, which points are refused. Operations take constant time
// unless their name ends in VarTime.
package ristretto

import (
	"errors"
	"slices"

	"coulisse/crypto/internal/curve"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Size is the length of an encoded point or scalar.
const Size = 32

// ErrEncoding: the bytes are not the one canonical encoding of a point.
var ErrEncoding = errors.New("not a canonical ristretto255 encoding")

// Scalar is an integer modulo the order of the group.
type Scalar = edwards25519.Scalar

// Point is an element of the group. It hides the curve point that represents
// it, because the curve's own comparison and encoding would tell apart points
// that are the same element. The zero value is not a point: set it first.
type Point struct {
	e edwards25519.Point
}

// Constants of RFC 9496, section 4.1.
var (
	minusOne       = new(field.Element).Negate(curve.One)
	sqrtM1         = curve.FromDecimal("19681161376707505956807079304988542015446066515923890162744021073123829784752")
	sqrtADMinusOne = curve.FromDecimal("25063068953384623474111414158702152701244531502492656460079210482610430750235")
	invSqrtAMinusD = curve.FromDecimal("54469307008909316920995813868745141605393597292927456921205312896311721017578")
	oneMinusDSq    = curve.FromDecimal("1159843021668779879193775521855586647937357759715417654439879720876111806838")
	dMinusOneSq    = curve.FromDecimal("40440834346308536858101042469323190826248399146238708352240133220865137265952")
)

// Decode sets p to the element that b encodes canonically, the identity
// included, or returns [ErrEncoding] and leaves p alone (RFC 9496, 4.3.1).
func (p *Point) Decode(b []byte) error {
	var s, ss, u1, u2, u2Sq, v, inv, denX, denY, tmp field.Element
	if len(b) != Size {
		return ErrEncoding
	}
	if _, err := s.SetBytes(b); err != nil || !slices.Equal(s.Bytes(), b) || s.IsNegative() == 1 {
		return ErrEncoding
	}
	ss.Square(&s)
	u1.Subtract(curve.One, &ss)
	u2.Add(curve.One, &ss)
	u2Sq.Square(&u2)
	v.Multiply(curve.D, tmp.Square(&u1)) // v = -(d u1²) - u2²
	v.Negate(&v)
	v.Subtract(&v, &u2Sq)
	_, wasSquare := inv.SqrtRatio(curve.One, tmp.Multiply(&v, &u2Sq))
	denX.Multiply(&inv, &u2)
	denY.Multiply(&inv, &denX)
	denY.Multiply(&denY, &v)

	var c curve.Coordinates
	c.X.Absolute(tmp.Multiply(tmp.Add(&s, &s), &denX))
	c.Y.Multiply(&u1, &denY)
	c.Z.One()
	c.T.Multiply(&c.X, &c.Y)
	if wasSquare == 0 || c.T.IsNegative() == 1 || c.Y.Equal(new(field.Element)) == 1 {
		return ErrEncoding
	}
	c.Point(&p.e)
	return nil
}

// Encode returns the canonical encoding of p (RFC 9496, 4.3.2).
func (p *Point) Encode() (out [Size]byte) {
	x, y, z, t := p.e.ExtendedCoordinates()
	var u1, u2, inv, den1, den2, zInv, ix, iy, enchanted, tmp field.Element
	u1.Multiply(u1.Add(z, y), tmp.Subtract(z, y))
	u2.Multiply(x, y)
	inv.SqrtRatio(curve.One, tmp.Multiply(&u1, tmp.Square(&u2))) // always a square
	den1.Multiply(&inv, &u1)
	den2.Multiply(&inv, &u2)
	zInv.Multiply(&den1, &den2)
	zInv.Multiply(&zInv, t)
	ix.Multiply(x, sqrtM1)
	iy.Multiply(y, sqrtM1)
	enchanted.Multiply(&den1, invSqrtAMinusD)

	rotate := tmp.Multiply(t, &zInv).IsNegative()
	x.Select(&iy, x, rotate)
	y.Select(&ix, y, rotate)
	den2.Select(&enchanted, &den2, rotate)
	y.Select(tmp.Negate(y), y, u2.Multiply(x, &zInv).IsNegative())

	tmp.Multiply(&den2, tmp.Subtract(z, y))
	copy(out[:], tmp.Absolute(&tmp).Bytes())
	return out
}

// SetUniform sets p to the image of 64 uniform bytes under the one-way map
// (RFC 9496, 4.3.4).
func (p *Point) SetUniform(b *[64]byte) *Point {
	a, c := fromUniform(b[:Size]), fromUniform(b[Size:])
	a.Add(&a, &c)
	a.Point(&p.e)
	return p
}

func fromUniform(half []byte) (c curve.Coordinates) {
	var t, r, u, v, s, sPrime, k, n, w0, w1, w2, w3, tmp field.Element
	if _, err := t.SetBytes(half); err != nil {
		panic("ristretto: half of a uniform string is not 32 bytes")
	}
	r.Multiply(sqrtM1, r.Square(&t))
	u.Multiply(u.Add(&r, curve.One), oneMinusDSq)
	v.Multiply(v.Subtract(minusOne, v.Multiply(&r, curve.D)), tmp.Add(&r, curve.D))
	_, wasSquare := s.SqrtRatio(&u, &v)
	sPrime.Negate(sPrime.Absolute(sPrime.Multiply(&s, &t)))
	s.Select(&s, &sPrime, wasSquare)
	k.Select(minusOne, &r, wasSquare)
	n.Multiply(&k, n.Subtract(&r, curve.One))
	n.Subtract(n.Multiply(&n, dMinusOneSq), &v)

	w0.Multiply(w0.Add(&s, &s), &v)
	w1.Multiply(&n, sqrtADMinusOne)
	tmp.Square(&s)
	w2.Subtract(curve.One, &tmp)
	w3.Add(curve.One, &tmp)
	c.X.Multiply(&w0, &w3)
	c.Y.Multiply(&w2, &w1)
	c.Z.Multiply(&w1, &w3)
	c.T.Multiply(&w0, &w2)
	return c
}

// Zero sets p to the identity.
func (p *Point) Zero() *Point {
	p.e.Set(edwards25519.NewIdentityPoint())
	return p
}

// Add sets p = a + b.
func (p *Point) Add(a, b *Point) *Point {
	p.e.Add(&a.e, &b.e)
	return p
}

// Subtract sets p = a - b.
func (p *Point) Subtract(a, b *Point) *Point {
	p.e.Subtract(&a.e, &b.e)
	return p
}

// Double sets p = a + a.
func (p *Point) Double(a *Point) *Point {
	p.e.Double(&a.e)
	return p
}

// ScalarMult sets p = s·a.
func (p *Point) ScalarMult(s *Scalar, a *Point) *Point {
	p.e.ScalarMult(s, &a.e)
	return p
}

// ScalarBaseMult sets p = s·G.
func (p *Point) ScalarBaseMult(s *Scalar) *Point {
	p.e.ScalarBaseMult(s)
	return p
}

// DoubleScalarBaseMultVarTime sets p = s·a + u·G.
func (p *Point) DoubleScalarBaseMultVarTime(s *Scalar, a *Point, u *Scalar) *Point {
	p.e.VarTimeDoubleScalarBaseMult(s, &a.e, u)
	return p
}

// IsIdentity reports whether p is the identity: on the curve, a point of the
// 4-torsion that the quotient collapses, and these have x = 0 or y = 0.
func (p *Point) IsIdentity() bool {
	x, y, _, _ := p.e.ExtendedCoordinates()
	zero := new(field.Element)
	return x.Equal(zero)|y.Equal(zero) == 1
}

// Equal reports whether p and q are the same element (RFC 9496, 4.3.3).
func (p *Point) Equal(q *Point) bool {
	x1, y1, _, _ := p.e.ExtendedCoordinates()
	x2, y2, _, _ := q.e.ExtendedCoordinates()
	var a, b, c, e field.Element
	a.Multiply(x1, y2)
	b.Multiply(y1, x2)
	c.Multiply(y1, y2)
	e.Multiply(x1, x2)
	return a.Equal(&b)|c.Equal(&e) == 1
}
