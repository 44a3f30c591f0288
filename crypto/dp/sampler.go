package dp

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// Noise draws from the discrete Gaussian of the given variance with the
// randomness of crypto/rand.
//
// How long it takes depends on what it draws. Whoever can time a single draw
// learns something of the noise: do not answer in the same instant.
func Noise(v Variance) (int64, error) { return NoiseFrom(rand.Reader, v) }

// NoiseFrom is [Noise] with the given randomness, which only a test replaces.
func NoiseFrom(random io.Reader, v Variance) (int64, error) {
	if err := v.Check(); err != nil {
		return 0, err
	}
	x, err := gaussian(uniform(random), uint64(v))
	if err != nil {
		return 0, fmt.Errorf("drawing noise: %w", err)
	}
	return x, nil
}

// below draws a whole number from 0 to n-1, each with probability 1/n, n >= 1.
// It is the only randomness of the algorithms, so a test can enumerate it.
type below func(n uint64) (uint64, error)

// uniform draws with the fewest bits that hold n-1 and rejects what is beyond, as
// a remainder would favour small numbers.
func uniform(random io.Reader) below {
	return func(n uint64) (uint64, error) {
		width := bits.Len64(n - 1)
		for {
			var buf [8]byte
			if _, err := io.ReadFull(random, buf[:(width+7)/8]); err != nil {
				return 0, err
			}
			u := binary.LittleEndian.Uint64(buf[:]) & (1<<width - 1)
			if u < n {
				return u, nil
			}
		}
	}
}

// bernoulliExp is algorithm 1 for num <= den, den >= 1: true with probability
// exp(-num/den). The first k at which Bernoulli(num / (den k)) fails is odd with
// that probability. The trial is made as the two trials num/den and 1/k, so that
// den k need not fit in 64 bits.
func bernoulliExp(draw below, num, den uint64) (bool, error) {
	for k := uint64(1); ; k++ {
		u, err := draw(den)
		if err != nil {
			return false, err
		}
		if u < num {
			if u, err = draw(k); err != nil {
				return false, err
			}
			if u == 0 {
				continue
			}
		}
		return k%2 == 1, nil
	}
}

// bernoulliExpSquare is algorithm 1 for any d: true with probability
// exp(-d^2/den). The square has up to 128 bits; each whole den in it is a trial
// of exp(-1), all of which must succeed.
func bernoulliExpSquare(draw below, d, den uint64) (bool, error) {
	hi, lo := bits.Mul64(d, d)
	for hi > 0 || lo > den {
		if ok, err := bernoulliExp(draw, 1, 1); !ok || err != nil {
			return false, err
		}
		var borrow uint64
		lo, borrow = bits.Sub64(lo, den, 0)
		hi -= borrow
	}
	return bernoulliExp(draw, lo, den)
}

// gaussian is algorithm 3, for 1 <= v <= MaxVariance.
func gaussian(draw below, v uint64) (int64, error) {
	for {
		x, ok, err := tryGaussian(draw, v)
		if ok || err != nil {
			return x, err
		}
	}
}

// tryGaussian is one round of algorithm 3: a draw y of algorithm 2 with
// t = floor(sigma) + 1 is kept with probability exp(-(|y| - v/t)^2 / (2v)), here
// over the denominator 2 v t^2. If ok is false, nothing was drawn.
func tryGaussian(draw below, v uint64) (x int64, ok bool, err error) {
	t := floorSqrt(v) + 1
	negative, size, ok, err := tryLaplace(draw, t)
	if !ok || err != nil {
		return 0, false, err
	}
	den := 2 * v * t * t // at most 2.1e16, by MaxVariance
	if ok, err = bernoulliExpSquare(draw, distance(size*t, v), den); !ok || err != nil {
		return 0, false, err
	}
	if negative {
		return -int64(size), true, nil
	}
	return int64(size), true, nil
}

// tryLaplace is one round of algorithm 2 with s = 1: a whole number, given as sign
// and size, with probability proportional to exp(-size/t), t >= 1. If ok is false,
// nothing was drawn.
func tryLaplace(draw below, t uint64) (negative bool, size uint64, ok bool, err error) {
	if size, err = draw(t); err != nil {
		return false, 0, false, err
	}
	if ok, err = bernoulliExp(draw, size, t); !ok || err != nil {
		return false, 0, false, err
	}
	// Each step has probability exp(-1): no size comes near 2^64.
	for more := true; more; {
		if more, err = bernoulliExp(draw, 1, 1); err != nil {
			return false, 0, false, err
		}
		if more {
			size += t
		}
	}
	sign, err := draw(2)
	if err != nil {
		return false, 0, false, err
	}
	// Zero would else come up with both signs.
	return sign == 1, size, sign == 0 || size != 0, nil
}

func distance(a, b uint64) uint64 {
	if a > b {
		return a - b
	}
	return b - a
}
