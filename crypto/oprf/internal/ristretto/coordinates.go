package ristretto

import "filippo.io/edwards25519/field"

// coordinates is a curve point in extended coordinates: x = X/Z, y = Y/Z,
// xy = T/Z (Hisil, Wong, Carter, Dawson, 2008). Package edwards25519 offers no
// addition of a point whose Z is 1, which is a fifth cheaper and what sums
// and tables spend their time on, so these two formulas are here. They are
// complete on this curve: there are no exceptional inputs.
type coordinates struct {
	x, y, z, t field.Element
}

// affine is a point with Z = 1, as the addition formula wants it.
type affine struct {
	sum, diff, xy2d field.Element // y+x, y-x, 2dxy
}

// set makes p of coordinates, which [edwards25519.Point] checks against the
// curve equation: a wrong formula in this package stops here.
func (p *Point) set(c *coordinates) {
	if _, err := p.e.SetExtendedCoordinates(&c.x, &c.y, &c.z, &c.t); err != nil {
		panic("ristretto: arithmetic left the curve")
	}
}

func (c *coordinates) zero() {
	*c = coordinates{y: *one, z: *one}
}

// add sets c = p + q.
func (c *coordinates) add(p, q *coordinates) {
	var a, b, t, z, tmp field.Element
	a.Multiply(a.Subtract(&p.y, &p.x), tmp.Subtract(&q.y, &q.x))
	b.Multiply(b.Add(&p.y, &p.x), tmp.Add(&q.y, &q.x))
	t.Multiply(t.Multiply(&p.t, &q.t), d2)
	z.Multiply(&p.z, &q.z)
	z.Add(&z, &z)
	c.finish(&a, &b, tmp.Subtract(&z, &t), z.Add(&z, &t))
}

// addAffine sets c = c + q.
func (c *coordinates) addAffine(q *affine) {
	var a, b, t, z, tmp field.Element
	a.Multiply(a.Subtract(&c.y, &c.x), &q.diff)
	b.Multiply(b.Add(&c.y, &c.x), &q.sum)
	t.Multiply(&c.t, &q.xy2d)
	z.Add(&c.z, &c.z)
	c.finish(&a, &b, tmp.Subtract(&z, &t), z.Add(&z, &t))
}

// subAffine sets c = c - q.
func (c *coordinates) subAffine(q *affine) {
	var a, b, t, z, tmp field.Element
	a.Multiply(a.Subtract(&c.y, &c.x), &q.sum)
	b.Multiply(b.Add(&c.y, &c.x), &q.diff)
	t.Multiply(&c.t, &q.xy2d)
	z.Add(&c.z, &c.z)
	c.finish(&a, &b, tmp.Add(&z, &t), z.Subtract(&z, &t))
}

func (c *coordinates) finish(a, b, f, g *field.Element) {
	var e, h field.Element
	e.Subtract(b, a)
	h.Add(b, a)
	c.x.Multiply(&e, f)
	c.y.Multiply(g, &h)
	c.t.Multiply(&e, &h)
	c.z.Multiply(f, g)
}

// toAffine writes the affine form of each point to out, with one inversion for
// all of them.
func toAffine(points []*Point, out []affine) {
	inverses := make([]field.Element, len(points))
	for i, p := range points {
		_, _, z, _ := p.e.ExtendedCoordinates()
		inverses[i] = *z
	}
	invertAll(inverses)
	var x, y field.Element
	for i, p := range points {
		px, py, _, _ := p.e.ExtendedCoordinates()
		x.Multiply(px, &inverses[i])
		y.Multiply(py, &inverses[i])
		out[i].sum.Add(&y, &x)
		out[i].diff.Subtract(&y, &x)
		out[i].xy2d.Multiply(x.Multiply(&x, &y), d2)
	}
}

// invertAll inverts every element with one inversion (Montgomery's trick), and
// leaves zeros zero.
func invertAll(v []field.Element) {
	var zero field.Element
	before := make([]field.Element, len(v)) // product of all that precede
	product := *one
	for i := range v {
		before[i] = product
		// A zero stands aside as a one: it must not spoil the others.
		isZero := v[i].Equal(&zero)
		var factor field.Element
		factor.Select(one, &v[i], isZero)
		product.Multiply(&product, &factor)
	}
	product.Invert(&product)
	for i := len(v) - 1; i >= 0; i-- {
		isZero := v[i].Equal(&zero)
		var factor, inverse field.Element
		factor.Select(one, &v[i], isZero)
		inverse.Multiply(&product, &before[i])
		product.Multiply(&product, &factor)
		v[i].Select(&zero, &inverse, isZero)
	}
}
