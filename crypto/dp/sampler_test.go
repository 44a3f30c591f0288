package dp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

// TestAlgorithmsExactly walks every way in which the draws can fall, each with
// its probability, until all but a small rest has led to an outcome. Then the true
// probability of an outcome lies between what was found and that plus the rest.
// This is a proof up to the rest, not a statistic. Of the algorithms that draw
// until they accept, it walks one round, and compares given acceptance.
func TestAlgorithmsExactly(t *testing.T) {
	exp := func(num, den int64) map[int64]float64 {
		p, _ := expMinus(ratio(num, den)).Float64()
		return map[int64]float64{1: p, 0: 1 - p}
	}
	law := func(d distribution) map[int64]float64 {
		m := map[int64]float64{}
		for x := int64(-4); x <= 4; x++ {
			m[x] = d.at(x)
		}
		return m
	}
	tests := []struct {
		name string
		rest float64 // the most that may stay open
		want map[int64]float64
		run  func(below) (int64, bool, error)
	}{
		{"exp(-0/5)", 1e-6, exp(0, 5), truth(bernoulliExp, 0, 5)},
		{"exp(-1/2)", 1e-6, exp(1, 2), truth(bernoulliExp, 1, 2)},
		{"exp(-3/7)", 1e-4, exp(3, 7), truth(bernoulliExp, 3, 7)},
		{"exp(-1)", 1e-6, exp(1, 1), truth(bernoulliExp, 1, 1)},
		{"exp(-9/4)", 1e-4, exp(9, 4), truth(bernoulliExpSquare, 3, 4)},
		{"exp(-4/4)", 1e-3, exp(1, 1), truth(bernoulliExpSquare, 2, 4)},
		{"laplace 1", 2e-3, law(laplaceLaw(1)), signed(1)},
		{"laplace 2", 3e-3, law(laplaceLaw(2)), signed(2)},
		{"laplace 3", 1e-2, law(laplaceLaw(3)), signed(3)},
		{"gaussian 1", 3e-2, law(gaussianLaw(1, 1)), try(1)},
		{"gaussian 3", 3e-2, law(gaussianLaw(3, 1)), try(3)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, accepted, rest := enumerate(t, test.run)
			if rest > test.rest*accepted {
				t.Errorf("%.2g of %.2g stays open, so the test says little", rest, accepted)
			}
			const rounding = 1e-9
			for x, p := range test.want {
				low, high := found[x]/(accepted+rest), (found[x]+rest)/(accepted+rest)
				if p < low-rounding || p > high+rounding {
					t.Errorf("%d: probability %.9f is not from %.9f to %.9f", x, p, low, high)
				}
			}
		})
	}
}

func truth(f func(draw below, a, b uint64) (bool, error), a, b uint64) func(below) (int64, bool, error) {
	return func(draw below) (int64, bool, error) {
		ok, err := f(draw, a, b)
		if ok {
			return 1, true, err
		}
		return 0, true, err
	}
}

func signed(t uint64) func(below) (int64, bool, error) {
	return func(draw below) (int64, bool, error) {
		negative, size, ok, err := tryLaplace(draw, t)
		if negative {
			return -int64(size), ok, err
		}
		return int64(size), ok, err
	}
}

func try(v uint64) func(below) (int64, bool, error) {
	return func(draw below) (int64, bool, error) { return tryGaussian(draw, v) }
}

var errUndecided = errors.New("more draws are needed")

// enumerate follows every branch whose probability is not below 4 in a hundred million.
func enumerate(t *testing.T, run func(below) (int64, bool, error)) (found map[int64]float64, accepted, rest float64) {
	t.Helper()
	type branch struct {
		draws []uint64
		p     float64
	}
	found = map[int64]float64{}
	for todo := []branch{{p: 1}}; len(todo) > 0; {
		b := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		used, wanted := 0, uint64(0)
		x, ok, err := run(func(n uint64) (uint64, error) {
			if n == 1 {
				return 0, nil
			}
			if used == len(b.draws) {
				wanted = n
				return 0, errUndecided
			}
			used++
			return b.draws[used-1], nil
		})
		switch {
		case err == nil && ok:
			found[x] += b.p
			accepted += b.p
		case err == nil: // this round draws nothing
		case err != errUndecided:
			t.Fatal(err)
		case b.p < 4e-8:
			rest += b.p
		default:
			for u := range wanted {
				draws := append(slices.Clone(b.draws), u)
				todo = append(todo, branch{draws, b.p / float64(wanted)})
			}
		}
	}
	return found, accepted, rest
}

// TestUniformExactly feeds every string of bytes to uniform: each number must come
// of equally many.
func TestUniformExactly(t *testing.T) {
	for n := uint64(1); n <= 256; n++ {
		counts := make([]int, n)
		for b := range 256 {
			u, err := uniform(bytes.NewReader([]byte{byte(b)}))(n)
			if err == nil {
				counts[u]++
			} else if err != io.EOF {
				t.Fatal(err)
			}
		}
		for u, c := range counts {
			if c != counts[0] || c == 0 {
				t.Fatalf("below %d: %d comes of %d bytes, 0 of %d", n, u, c, counts[0])
			}
		}
	}
	const n = 300
	counts := make([]int, n)
	for b := range 1 << 16 {
		if u, err := uniform(bytes.NewReader([]byte{byte(b), byte(b >> 8)}))(n); err == nil {
			counts[u]++
		}
	}
	for u, c := range counts {
		if c != 1<<16>>9 {
			t.Fatalf("below %d: %d comes of %d strings", n, u, c)
		}
	}
	for _, n := range []uint64{1<<63 + 1, 1<<64 - 1} {
		ones := bytes.Repeat([]byte{0xff}, 8)
		if _, err := uniform(bytes.NewReader(ones))(n); err != io.EOF {
			t.Errorf("below %d: all ones are not rejected: %v", n, err)
		}
		if u, err := uniform(bytes.NewReader([]byte{1, 2, 3, 4, 5, 6, 7, 8}))(n); err != nil || u != 0x0807060504030201 {
			t.Errorf("below %d: %x, %v", n, u, err)
		}
	}
}

// TestRandomnessFails at every byte: noise must never come of a source that ended.
func TestRandomnessFails(t *testing.T) {
	ended := 0
	for n := range 200 {
		x, err := NoiseFrom(io.LimitReader(rand.Reader, int64(n)), 400)
		if err != nil {
			ended++
			if x != 0 || !(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("%d bytes: %d, %v", n, x, err)
			}
		}
	}
	if ended == 0 {
		t.Error("no source ended")
	}
}

func TestVarianceRange(t *testing.T) {
	for _, v := range []Variance{-1, 0, MaxVariance + 1} {
		if _, err := Noise(v); !errors.Is(err, ErrParameter) {
			t.Errorf("variance %d: %v", v, err)
		}
	}
	for _, v := range []Variance{1, MaxVariance} {
		if _, err := Noise(v); err != nil {
			t.Errorf("variance %d: %v", v, err)
		}
	}
}

func BenchmarkNoise(b *testing.B) {
	for _, sigma := range []Variance{1, 20, 200, 10_000} {
		b.Run(fmt.Sprintf("sigma=%d", sigma), func(b *testing.B) {
			for b.Loop() {
				if _, err := Noise(sigma * sigma); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
