// Package dp is the differential privacy of published figures: exact noise, its
// price in the federation's budget, and what may be shown with which interval.
// It implements section 5 of the protocol.
//
//   - Noise: the discrete Gaussian of Canonne, Kamath and Steinke, "The Discrete
//     Gaussian for Differential Privacy" (NeurIPS 2020, arXiv:2004.00010),
//     algorithms 1 to 3, with cryptographic randomness.
//   - Price: zero-concentrated differential privacy. By theorems 4 and 14 there,
//     integers that one person changes by at most D in Euclidean norm, each with
//     noise of variance parameter s2, cost rho = D^2 / (2 s2); prices add up.
//   - Publication: the floor of a cell, and the interval around a figure.
//
// It holds no ledger: reservations are in the replicated state, which calls the
// pure functions here. Noise is never drawn there; the leader draws it and
// proposes the result as data.
//
// Nothing in this package but [Epsilon], which is for display, computes with
// floating point: replicas on different machines must agree to the last bit, and
// floating-point noise gives away its input by its low bits (Mironov 2012).
package dp

import (
	"errors"
	"fmt"
)

// Variance is the parameter sigma^2 of the discrete Gaussian: a whole number from
// 1 to [MaxVariance]. The true variance of the noise is below it by less than
// one part in 10^15.
type Variance int64

// MaxVariance is a sigma of 10,000 people. Noise beyond it leaves no figure of
// use, and products of it stay within 64 bits.
const MaxVariance Variance = 100_000_000

// ErrParameter: a variance, size or floor is outside its range. The document that
// states it must be corrected; nothing was charged.
var ErrParameter = errors.New("parameter outside its range")

// Check reports whether the variance is in its range.
func (v Variance) Check() error {
	if v < 1 || v > MaxVariance {
		return fmt.Errorf("%w: a variance is from 1 to %d", ErrParameter, MaxVariance)
	}
	return nil
}
