package curve

import "filippo.io/edwards25519"

// scalarBits bounds a reduced scalar: the order is a little over 2^252.
const scalarBits = 253

// Windows holds multiples of a base that will be multiplied by many public
// scalars: row i has 1, 2, … 2^(bits-1) times 2^(bits·i)·base.
type Windows struct {
	bits int
	rows []Affine // each half of 2^bits
}

// NewWindows prepares base for digits of so many bits, at most 8. It takes as
// long as some tens of multiplications, and 120 bytes an entry: 98 KB for 5
// bits, 508 KB for 8.
func NewWindows(base *edwards25519.Point, bits int) *Windows {
	half, count := 1<<(bits-1), scalarBits/bits+1 // the last has room for the carry
	points := make([]edwards25519.Point, count*half)
	pointers := make([]*edwards25519.Point, len(points))
	var row edwards25519.Point
	row.Set(base)
	for i := range count {
		multiples := points[i*half:][:half]
		multiples[0].Set(&row)
		for j := 1; j < half; j++ {
			multiples[j].Add(&multiples[j-1], &row)
		}
		row.Double(&multiples[half-1])
	}
	for i := range points {
		pointers[i] = &points[i]
	}
	w := &Windows{bits: bits, rows: make([]Affine, len(points))}
	ToAffine(pointers, w.rows)
	return w
}

// AddMultVarTime sets c = c + s·base. The time tells about s, which must be
// public.
func (w *Windows) AddMultVarTime(c *Coordinates, s *edwards25519.Scalar) {
	var padded [34]byte
	copy(padded[:], s.Bytes())
	half, mask := 1<<(w.bits-1), 1<<w.bits-1
	carry := 0
	for at, row := 0, 0; row < len(w.rows); at, row = at+w.bits, row+half {
		word := int(padded[at/8]) | int(padded[at/8+1])<<8
		digit := word>>(at%8)&mask + carry
		carry = 0
		if digit > half {
			digit -= 1 << w.bits
			carry = 1
		}
		switch {
		case digit > 0:
			c.AddAffine(&w.rows[row+digit-1])
		case digit < 0:
			c.SubAffine(&w.rows[row-digit-1])
		}
	}
}
