package ristretto

import (
	"coulisse/crypto/internal/curve"
	"coulisse/crypto/oprf/internal/chunk"

	"filippo.io/edwards25519"
)

// Terms are points made ready for sums with several sets of weights.
type Terms struct {
	points []*edwards25519.Point
	affine []curve.Affine
}

// fewTerms is the number of terms below which the library's interleaved
// doublings are faster than buckets.
const fewTerms = 24

// NewTerms prepares points, which must not change while the terms are in use.
func NewTerms(points []*Point) *Terms {
	t := &Terms{points: make([]*edwards25519.Point, len(points))}
	for i, p := range points {
		t.points[i] = &p.e
	}
	if len(points) >= fewTerms {
		t.affine = make([]curve.Affine, len(points))
		chunk.Do(len(points), 256, func(lo, hi int) { curve.ToAffine(t.points[lo:hi], t.affine[lo:hi]) })
	}
	return t
}

// SumVarTime sets p = Σ weights[i]·points[i]. The time tells about weights and
// points, so both must be public. Buckets (Pippenger): each window of the
// weights adds every point into the bucket of its digit; windows are
// independent, so they share the processors.
func (t *Terms) SumVarTime(p *Point, weights []Scalar) {
	if len(weights) != len(t.points) {
		panic("ristretto: a sum needs one weight for each point")
	}
	if len(weights) < fewTerms {
		scalars := make([]*Scalar, len(weights))
		for i := range weights {
			scalars[i] = &weights[i]
		}
		p.e.VarTimeMultiScalarMult(scalars, t.points)
		return
	}
	bits := windowBits(len(weights))
	digits := signedDigits(weights, bits)
	sums := make([]Point, len(digits))
	chunk.Do(len(digits), 1, func(lo, hi int) {
		for w := lo; w < hi; w++ {
			sum := windowSum(t.affine, digits[w], bits)
			sum.Point(&sums[w].e)
		}
	})
	p.Zero()
	for w := len(sums) - 1; w >= 0; w-- {
		for range bits {
			p.Double(p)
		}
		p.Add(p, &sums[w])
	}
}

// windowSum returns Σ digits[i]·points[i].
func windowSum(points []curve.Affine, digits []int16, bits int) (total curve.Coordinates) {
	buckets := make([]curve.Coordinates, 1<<(bits-1)) // buckets[b] belongs to digit b+1
	for i := range buckets {
		buckets[i].Zero()
	}
	for i, digit := range digits {
		switch {
		case digit > 0:
			buckets[digit-1].AddAffine(&points[i])
		case digit < 0:
			buckets[-digit-1].SubAffine(&points[i])
		}
	}
	var running curve.Coordinates
	running.Zero()
	total.Zero()
	for b := len(buckets) - 1; b >= 0; b-- {
		running.Add(&running, &buckets[b])
		total.Add(&total, &running)
	}
	return total
}

// scalarBits bounds a reduced scalar: the order is a little over 2^252.
const scalarBits = 253

// windowBits chooses the window that costs the fewest multiplications: seven
// to put a point into a bucket, nine for each of the two additions that
// empty one.
func windowBits(terms int) int {
	best, bestCost := 0, 0
	for bits := 2; bits <= 12; bits++ {
		cost := (scalarBits/bits + 1) * (7*terms + 18<<(bits-1))
		if best == 0 || cost < bestCost {
			best, bestCost = bits, cost
		}
	}
	return best
}

// signedDigits writes weights[i] as Σ digits[w][i]·2^(w·bits), with digits
// from -2^(bits-1) to 2^(bits-1).
func signedDigits(weights []Scalar, bits int) [][]int16 {
	windows := scalarBits/bits + 1 // the last has room for the carry
	digits := make([][]int16, windows)
	all := make([]int16, windows*len(weights))
	for w := range digits {
		digits[w] = all[w*len(weights):][:len(weights)]
	}
	chunk.Do(len(weights), 256, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			var padded [Size + 4]byte
			copy(padded[:], weights[i].Bytes())
			carry := int32(0)
			for w := range digits {
				at := w * bits
				word := uint32(padded[at/8]) | uint32(padded[at/8+1])<<8 | uint32(padded[at/8+2])<<16 | uint32(padded[at/8+3])<<24
				digit := int32(word>>(at%8)&(1<<bits-1)) + carry
				carry = 0
				if digit > 1<<(bits-1) {
					digit -= 1 << bits
					carry = 1
				}
				digits[w][i] = int16(digit)
			}
		}
	})
	return digits
}
