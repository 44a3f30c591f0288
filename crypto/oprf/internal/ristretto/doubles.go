package ristretto

import (
	"coulisse/crypto/internal/curve"

	"filippo.io/edwards25519/field"
)

// EncodeDoubles writes the encoding of 2·points[i] to out[i]. An encoding
// needs an inverse square root, which cannot be shared. But a double is the
// image of an isogeny, and there the root is known: of the doubled point's
// coordinates X = eh, Y = gf, Z = fh, T = eg it holds that
//
//	Z² - Y² = f²(h² - g²) = f²·e²·(a - d)
//
// so only inverses remain, and these are shared by the whole batch. Whoever
// can choose half of the wanted scalar encodes six times faster.
func EncodeDoubles(points []Point, out [][Size]byte) {
	doubles := make([]double, len(points))
	inverses := make([]field.Element, len(points))
	for i := range points {
		doubles[i].of(&points[i])
		inverses[i].Multiply(&doubles[i].eg, &doubles[i].fh)
	}
	curve.InvertAll(inverses)
	for i := range doubles {
		out[i] = doubles[i].encode(&inverses[i])
	}
}

type double struct {
	e, f, g, h, eg, fh field.Element
}

func (v *double) of(p *Point) {
	x, y, z, t := p.e.ExtendedCoordinates()
	var xx, yy, zz, dtt field.Element
	xx.Square(x)
	yy.Square(y)
	zz.Square(z)
	dtt.Multiply(curve.D, dtt.Square(t))
	v.e.Multiply(x, y)
	v.e.Add(&v.e, &v.e)
	v.f.Add(&zz, &dtt)
	v.g.Add(&yy, &xx)
	v.h.Subtract(&zz, &dtt)
	v.eg.Multiply(&v.e, &v.g)
	v.fh.Multiply(&v.f, &v.h)
}

// encode follows RFC 9496, 4.3.2, with the root taken from the identity above;
// inverse is 1/(eg·fh), or 0 for the identity, which thus encodes as zeros.
func (v *double) encode(inverse *field.Element) (out [Size]byte) {
	var zInv, tInv, e, g, h, magic, tmp field.Element
	zInv.Multiply(&v.eg, inverse)
	tInv.Multiply(&v.fh, inverse)

	rotate := tmp.Multiply(&v.eg, &zInv).IsNegative()
	e.Select(&v.g, &v.e, rotate)
	g.Select(tmp.Negate(&v.e), &v.g, rotate)
	h.Select(tmp.Multiply(&v.f, sqrtM1), &v.h, rotate)
	magic.Select(sqrtM1, invSqrtAMinusD, rotate)

	tmp.Multiply(&h, &e)
	negative := tmp.Multiply(&tmp, &zInv).IsNegative()
	g.Select(tmp.Negate(&g), &g, negative)

	tmp.Multiply(&g, &tInv)
	tmp.Multiply(&tmp, &magic)
	tmp.Multiply(&tmp, h.Subtract(&h, &g))
	copy(out[:], tmp.Absolute(&tmp).Bytes())
	return out
}
