// Package curve adds points of edwards25519 whose Z is 1, which the library
// filippo.io/edwards25519 does not offer: it is a fifth cheaper, and what sums
// and tables spend their time on. Packages oprf and key build on it.
//
// The formulas are those of Hisil, Wong, Carter and Dawson (2008). They are
// complete on this curve: there are no exceptional inputs.
package curve

import (
	"math/big"
	"slices"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Constants of the curve.
var (
	One = new(field.Element).One()
	// D is the curve's d (RFC 7748, section 4.1).
	D  = FromDecimal("37095705934669439343138083508754565189542113879843219016388785533085940283555")
	d2 = new(field.Element).Add(D, D)
)

// FromDecimal reads a constant.
func FromDecimal(s string) *field.Element {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic("curve: a constant is not a number")
	}
	var be [32]byte
	n.FillBytes(be[:])
	slices.Reverse(be[:])
	v, err := new(field.Element).SetBytes(be[:])
	if err != nil {
		panic("curve: a constant is not a field element")
	}
	return v
}

// Coordinates is a point in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z.
type Coordinates struct {
	X, Y, Z, T field.Element
}

// Affine is a point with Z = 1, as the addition formula wants it.
type Affine struct {
	Sum, Diff, XY2D field.Element // y+x, y-x, 2dxy
}

// Point is c as the library has it, which checks it against the curve
// equation: a wrong formula in this package stops here.
func (c *Coordinates) Point(p *edwards25519.Point) {
	if _, err := p.SetExtendedCoordinates(&c.X, &c.Y, &c.Z, &c.T); err != nil {
		panic("curve: arithmetic left the curve")
	}
}

// Encode is the encoding of c (RFC 8032, section 5.1.2).
func (c *Coordinates) Encode() [32]byte {
	var inverse field.Element
	return c.encode(inverse.Invert(&c.Z))
}

// EncodeAll is Encode of each, with one inversion for all of them.
func EncodeAll(points []Coordinates) [][32]byte {
	inverses, out := make([]field.Element, len(points)), make([][32]byte, len(points))
	for i := range points {
		inverses[i] = points[i].Z
	}
	InvertAll(inverses)
	for i := range points {
		out[i] = points[i].encode(&inverses[i])
	}
	return out
}

// encode wants 1/Z.
func (c *Coordinates) encode(inverse *field.Element) (out [32]byte) {
	var x, y field.Element
	x.Multiply(&c.X, inverse)
	copy(out[:], y.Multiply(&c.Y, inverse).Bytes())
	out[31] |= byte(x.IsNegative() << 7)
	return out
}

// Zero sets c to the identity.
func (c *Coordinates) Zero() {
	*c = Coordinates{Y: *One, Z: *One}
}

// Add sets c = p + q.
func (c *Coordinates) Add(p, q *Coordinates) {
	var a, b, t, z, tmp field.Element
	a.Multiply(a.Subtract(&p.Y, &p.X), tmp.Subtract(&q.Y, &q.X))
	b.Multiply(b.Add(&p.Y, &p.X), tmp.Add(&q.Y, &q.X))
	t.Multiply(t.Multiply(&p.T, &q.T), d2)
	z.Multiply(&p.Z, &q.Z)
	z.Add(&z, &z)
	c.finish(&a, &b, tmp.Subtract(&z, &t), z.Add(&z, &t))
}

// AddAffine sets c = c + q.
func (c *Coordinates) AddAffine(q *Affine) {
	var a, b, t, z, tmp field.Element
	a.Multiply(a.Subtract(&c.Y, &c.X), &q.Diff)
	b.Multiply(b.Add(&c.Y, &c.X), &q.Sum)
	t.Multiply(&c.T, &q.XY2D)
	z.Add(&c.Z, &c.Z)
	c.finish(&a, &b, tmp.Subtract(&z, &t), z.Add(&z, &t))
}

// SubAffine sets c = c - q.
func (c *Coordinates) SubAffine(q *Affine) {
	var a, b, t, z, tmp field.Element
	a.Multiply(a.Subtract(&c.Y, &c.X), &q.Sum)
	b.Multiply(b.Add(&c.Y, &c.X), &q.Diff)
	t.Multiply(&c.T, &q.XY2D)
	z.Add(&c.Z, &c.Z)
	c.finish(&a, &b, tmp.Add(&z, &t), z.Subtract(&z, &t))
}

func (c *Coordinates) finish(a, b, f, g *field.Element) {
	var e, h field.Element
	e.Subtract(b, a)
	h.Add(b, a)
	c.X.Multiply(&e, f)
	c.Y.Multiply(g, &h)
	c.T.Multiply(&e, &h)
	c.Z.Multiply(f, g)
}

// ToAffine writes the affine form of each point to out, with one inversion for
// all of them.
func ToAffine(points []*edwards25519.Point, out []Affine) {
	inverses := make([]field.Element, len(points))
	for i, p := range points {
		_, _, z, _ := p.ExtendedCoordinates()
		inverses[i] = *z
	}
	InvertAll(inverses)
	var x, y field.Element
	for i, p := range points {
		px, py, _, _ := p.ExtendedCoordinates()
		x.Multiply(px, &inverses[i])
		y.Multiply(py, &inverses[i])
		out[i].Sum.Add(&y, &x)
		out[i].Diff.Subtract(&y, &x)
		out[i].XY2D.Multiply(x.Multiply(&x, &y), d2)
	}
}

// InvertAll inverts every element with one inversion (Montgomery's trick), and
// leaves zeros zero.
func InvertAll(v []field.Element) {
	var zero field.Element
	before := make([]field.Element, len(v)) // product of all that precede
	product := *One
	for i := range v {
		before[i] = product
		// A zero stands aside as a one: it must not spoil the others.
		isZero := v[i].Equal(&zero)
		var factor field.Element
		factor.Select(One, &v[i], isZero)
		product.Multiply(&product, &factor)
	}
	product.Invert(&product)
	for i := len(v) - 1; i >= 0; i-- {
		isZero := v[i].Equal(&zero)
		var factor, inverse field.Element
		factor.Select(One, &v[i], isZero)
		inverse.Multiply(&product, &before[i])
		product.Multiply(&product, &factor)
		v[i].Select(&zero, &inverse, isZero)
	}
}
