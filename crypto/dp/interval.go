package dp

import (
	"errors"
	"fmt"
	"math/big"
)

// maxFigure bounds a noised figure, far above any population.
const maxFigure = 1 << 53

// Percent is a confidence, from 1 to 99. Published figures carry 95.
type Percent int64

// Interval is what the true figure lies in with at least the given confidence,
// over the noise. It is cut at zero, which no count is below and which loses no
// confidence. It depends on nothing but its arguments, so anybody can check it.
func Interval(noised int64, v Variance, confidence Percent) (lo, hi int64, err error) {
	h, err := HalfWidth(v, confidence)
	if err != nil {
		return 0, 0, err
	}
	if noised > maxFigure || noised < -maxFigure {
		return 0, 0, fmt.Errorf("%w: no figure is so large", ErrParameter)
	}
	return max(0, noised-h), max(0, noised+h), nil
}

// HalfWidth is the least h for which noise of variance v is within -h and h with
// at least the given confidence. It is exact: the sums are enclosed from both
// sides in whole numbers, and so is the comparison. The time grows with sigma, to a
// tenth of a second at the largest: figures of one variance share one call.
func HalfWidth(v Variance, confidence Percent) (int64, error) {
	if err := v.Check(); err != nil {
		return 0, err
	}
	if confidence < 1 || confidence > 99 {
		return 0, fmt.Errorf("%w: a confidence is from 1 to 99 percent", ErrParameter)
	}
	total := sumWeights(v)
	// Covered once 100 within(h) >= confidence total.
	least, most := new(big.Int), new(big.Int)
	least.Mul(total.lo, big.NewInt(int64(confidence)))
	most.Mul(total.hi, big.NewInt(int64(confidence)))
	hundred := big.NewInt(100)
	within, w := newEnclosure(0), newWeights(v)
	var scaled big.Int
	for h := int64(0); ; h++ {
		within.add(w.next(), copies(h))
		if scaled.Mul(within.lo, hundred).Cmp(most) >= 0 {
			return h, nil
		}
		if scaled.Mul(within.hi, hundred).Cmp(least) >= 0 {
			// The two sides agree to some 25 digits; a tie is not possible, as
			// the weights are transcendental.
			return 0, errors.New("interval: the precision does not decide")
		}
	}
}

// copies is how many whole numbers have the size x.
func copies(x int64) int64 {
	if x == 0 {
		return 1
	}
	return 2
}

// precision is the number of binary places. Rounding costs a weight at most about
// x^2 units in the last place, below 2^35 where sums end: over 150 places remain.
const precision = 192

// enclosure is a number known to be from lo to hi, in units of 2^-precision.
type enclosure struct{ lo, hi *big.Int }

func newEnclosure(whole int64) enclosure {
	lo := new(big.Int).Lsh(big.NewInt(whole), precision)
	return enclosure{lo, new(big.Int).Set(lo)}
}

// add adds n times x, n >= 0.
func (e enclosure) add(x enclosure, n int64) {
	var t big.Int
	e.lo.Add(e.lo, t.Mul(x.lo, big.NewInt(n)))
	e.hi.Add(e.hi, t.Mul(x.hi, big.NewInt(n)))
}

// mul multiplies by x, rounding outwards. Neither is negative.
func (e enclosure) mul(x enclosure) {
	e.lo.Rsh(e.lo.Mul(e.lo, x.lo), precision)
	e.hi.Rsh(e.hi.Mul(e.hi, x.hi), precision)
	e.hi.Add(e.hi, big.NewInt(1))
}

func (e enclosure) clone() enclosure {
	return enclosure{new(big.Int).Set(e.lo), new(big.Int).Set(e.hi)}
}

// weights walks exp(-x^2/(2v)) for x = 0, 1, 2, …: from one to the next is a
// factor q^(2x+1), with q = exp(-1/(2v)), and from factor to factor is q^2.
type weights struct{ current, factor, q2 enclosure }

func newWeights(v Variance) *weights {
	q := expMinusInverse(2 * int64(v))
	q2 := q.clone()
	q2.mul(q)
	return &weights{current: newEnclosure(1), factor: q, q2: q2}
}

// next returns the weight at x and moves to x+1.
func (w *weights) next() enclosure {
	now := w.current.clone()
	w.current.mul(w.factor)
	w.factor.mul(w.q2)
	return now
}

// expMinusInverse is exp(-1/n), n >= 2: the terms of its series fall and change
// sign, so the sum lies between any partial sum and the next.
func expMinusInverse(n int64) enclosure {
	sum := newEnclosure(1)
	term := newEnclosure(1)
	for k := int64(1); term.hi.Cmp(big.NewInt(1)) > 0; k++ {
		d := new(big.Int).Mul(big.NewInt(n), big.NewInt(k))
		term.lo.Div(term.lo, d)
		term.hi.Add(term.hi.Div(term.hi, d), big.NewInt(1))
		if k%2 == 1 {
			sum.lo.Sub(sum.lo, term.hi)
			sum.hi.Sub(sum.hi, term.lo)
		} else {
			sum.lo.Add(sum.lo, term.lo)
			sum.hi.Add(sum.hi, term.hi)
		}
	}
	// What the series left out is below its last term, of one unit.
	sum.lo.Sub(sum.lo, big.NewInt(1))
	sum.hi.Add(sum.hi, big.NewInt(1))
	return sum
}

// sumWeights encloses the sum over all whole numbers. It adds up to weights below
// 2^-100 (about 12 sigma), then bounds the rest by a geometric series, since the
// factors fall.
func sumWeights(v Variance) enclosure {
	sum, w := newEnclosure(0), newWeights(v)
	small := new(big.Int).Lsh(big.NewInt(1), precision-100)
	for x := int64(0); w.current.hi.Cmp(small) > 0; x++ {
		sum.add(w.next(), copies(x))
	}
	one := newEnclosure(1)
	rest := new(big.Int).Lsh(w.current.hi, precision+1)
	rest.Div(rest, one.hi.Sub(one.hi, w.factor.hi))
	sum.hi.Add(sum.hi, rest.Add(rest, big.NewInt(1)))
	return sum
}
