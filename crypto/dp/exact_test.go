package dp

import (
	"math/big"
	"testing"
)

// The reference that the tests measure against: the distributions by their
// definition, in floating point of 256 bits. It shares no code with the package.

const referenceBits = 256

func bigf(x float64) *big.Float { return big.NewFloat(x).SetPrec(referenceBits) }

func ratio(num, den int64) *big.Float {
	return new(big.Float).SetPrec(referenceBits).SetRat(big.NewRat(num, den))
}

// expMinus is exp(-x), x >= 0: the series at x/2^64, squared 64 times.
func expMinus(x *big.Float) *big.Float {
	small := new(big.Float).SetPrec(referenceBits+128).SetMantExp(x, -64)
	small.Neg(small)
	sum, term := bigf(1).SetPrec(referenceBits+128), bigf(1).SetPrec(referenceBits+128)
	for k := 1; k < 12; k++ {
		term.Mul(term, small)
		term.Quo(term, bigf(float64(k)))
		sum.Add(sum, term)
	}
	for range 64 {
		sum.Mul(sum, sum)
	}
	return sum.SetPrec(referenceBits)
}

// distribution is a law on the whole numbers, symmetric, cut where nothing is left.
type distribution struct {
	p []float64    // p[x] is the probability of x, and of -x
	e []*big.Float // the same, in full
}

func (d distribution) at(x int64) float64 {
	if x < 0 {
		x = -x
	}
	if x >= int64(len(d.p)) {
		return 0
	}
	return d.p[x]
}

// within is the probability of |x| <= h.
func (d distribution) within(h int64) *big.Float {
	sum := bigf(0)
	for x := int64(0); x <= h && x < int64(len(d.e)); x++ {
		sum.Add(sum, d.e[x])
		if x > 0 {
			sum.Add(sum, d.e[x])
		}
	}
	return sum
}

// from is the probability of x >= a, a > 0.
func (d distribution) from(a int64) float64 {
	sum := 0.0
	for x := int64(len(d.p)) - 1; x >= a; x-- {
		sum += d.p[x]
	}
	return sum
}

// normalise divides weights by their sum over all whole numbers.
func normalise(weights []*big.Float) distribution {
	total := bigf(0)
	for x, w := range weights {
		total.Add(total, w)
		if x > 0 {
			total.Add(total, w)
		}
	}
	d := distribution{e: weights}
	for _, w := range weights {
		w.Quo(w, total)
		f, _ := w.Float64()
		d.p = append(d.p, f)
	}
	return d
}

// gaussianLaw is proportional to exp(-x^2 / (2 num/den)), up to 14 sigma.
func gaussianLaw(num, den int64) distribution {
	var weights []*big.Float
	for x := int64(0); x*x*den <= 14*14*num+den; x++ {
		weights = append(weights, expMinus(ratio(x*x*den, 2*num)))
	}
	return normalise(weights)
}

// laplaceLaw is proportional to exp(-|x|/t).
func laplaceLaw(t int64) distribution {
	var weights []*big.Float
	for x := int64(0); x <= 90*t; x++ {
		weights = append(weights, expMinus(ratio(x, t)))
	}
	return normalise(weights)
}

// TestReference holds the reference against constants from elsewhere: e (OEIS
// A001113) and the theta function theta_3(exp(-1/2)), by its transformation
// sqrt(2 pi v) (1 + 2 exp(-2 pi^2 v) + …).
func TestReference(t *testing.T) {
	if got := expMinus(bigf(1)).Text('g', 30); got != "0.36787944117144232159552377016" &&
		got != "0.367879441171442321595523770161" {
		t.Errorf("exp(-1) = %s", got)
	}
	d := gaussianLaw(1, 1)
	// 1 / (sqrt(2 pi) (1 + 2 exp(-2 pi^2)))
	if got := d.e[0].Text('g', 8); got != "0.39894228" {
		t.Errorf("p(0) at variance 1 = %s", got)
	}
	if w := d.within(1<<20).Text('g', 20); w != "1" {
		t.Errorf("sums to %s", w)
	}
}
