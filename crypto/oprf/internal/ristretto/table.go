package ristretto

import (
	"coulisse/crypto/internal/curve"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// Table holds multiples of a base that will be multiplied by many secret
// scalars: entry [i][j] is (j+1)·16^i·base.
type Table struct {
	rows [64][8]curve.Affine
}

// NewTable prepares base. It takes as long as a few multiplications.
func NewTable(base *Point) *Table {
	points := make([]Point, 64*8)
	pointers := make([]*edwards25519.Point, len(points))
	row := *base
	for i := range 64 {
		points[8*i] = row
		for j := 1; j < 8; j++ {
			points[8*i+j].Add(&points[8*i+j-1], &row)
		}
		row.Double(&points[8*i+7])
	}
	for i := range points {
		pointers[i] = &points[i].e
	}
	t := new(Table)
	entries := make([]curve.Affine, len(points))
	curve.ToAffine(pointers, entries)
	for i := range t.rows {
		copy(t.rows[i][:], entries[8*i:])
	}
	return t
}

// Mult sets p = s·base. Which entries are read does not depend on s: every
// row is read whole, and the entry wanted is kept.
func (t *Table) Mult(p *Point, s *Scalar) {
	var sum curve.Coordinates
	var entry curve.Affine
	sum.Zero()
	digits := radix16(s)
	for i := range t.rows {
		pick(&entry, &t.rows[i], digits[i])
		sum.AddAffine(&entry)
	}
	sum.Point(&p.e)
}

// pick sets v to digit·row[0], for a digit from -8 to 8.
func pick(v *curve.Affine, row *[8]curve.Affine, digit int8) {
	sign := digit >> 7 // -1 or 0
	abs := uint8((digit ^ sign) - sign)
	*v = curve.Affine{Sum: *curve.One, Diff: *curve.One}
	for j := range row {
		// 1 if abs == j+1: only then does the subtraction borrow.
		same := int((uint32(abs^uint8(j+1)) - 1) >> 31)
		v.Sum.Select(&row[j].Sum, &v.Sum, same)
		v.Diff.Select(&row[j].Diff, &v.Diff, same)
		v.XY2D.Select(&row[j].XY2D, &v.XY2D, same)
	}
	negative := int(-sign)
	var minus field.Element
	v.Sum.Swap(&v.Diff, negative)
	v.XY2D.Select(minus.Negate(&v.XY2D), &v.XY2D, negative)
}

// radix16 writes s as Σ digits[i]·16^i with digits from -8 to 8.
func radix16(s *Scalar) (digits [64]int8) {
	for i, b := range s.Bytes() {
		digits[2*i] = int8(b & 15)
		digits[2*i+1] = int8(b >> 4)
	}
	var carry int8
	for i := range 63 {
		digits[i] += carry
		carry = (digits[i] + 8) >> 4
		digits[i] -= carry << 4
	}
	digits[63] += carry // at most 2: a scalar has 253 bits
	return digits
}
