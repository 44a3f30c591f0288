package dp

import (
	"crypto/rand"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"sort"
	"testing"
)

// Goodness of fit by Pearson's chi-square. All tests that draw afresh together
// raise a false alarm in about one run in 10^9 (as far as the law of chi-square
// holds so far out, for bins that expect 400 and more): each of at most 20
// comparisons may use a twentieth of that.
const (
	falseAlarm = 1e-9 / 20
	drawsEach  = 300_000
)

// stream is a fast source for many draws, seeded afresh in each run: runs add up
// to evidence, and the seed in the log repeats one.
func stream(t *testing.T) io.Reader {
	t.Helper()
	var seed [32]byte
	if _, err := io.ReadFull(rand.Reader, seed[:]); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %x", seed)
	return mathrand.NewChaCha8(seed)
}

func TestFit(t *testing.T) {
	for _, v := range []Variance{1, 2, 4, 100, 2500, 40_000} {
		t.Run(fmt.Sprintf("variance %d", v), func(t *testing.T) {
			random, d := stream(t), gaussianLaw(int64(v), 1)
			p := d.fit(math.Sqrt(float64(v)), func() int64 {
				x, err := NoiseFrom(random, v)
				if err != nil {
					t.Fatal(err)
				}
				return x
			})
			if p < falseAlarm {
				t.Errorf("the noise does not have its law: p = %.3g", p)
			}
		})
	}
}

// TestFitAtTheBound is for the products of more than 64 bits.
func TestFitAtTheBound(t *testing.T) {
	const sigma = 10_000
	var d distribution
	for x := 0.0; x < 10*sigma; x++ {
		// By the theta function the sum of the weights is sigma sqrt(2 pi) here.
		d.p = append(d.p, math.Exp(-x*x/2/sigma/sigma)/sigma/math.Sqrt(2*math.Pi))
	}
	random := stream(t)
	p := d.fit(sigma, func() int64 {
		x, err := NoiseFrom(random, MaxVariance)
		if err != nil {
			t.Fatal(err)
		}
		return x
	})
	if p < falseAlarm {
		t.Errorf("the noise does not have its law: p = %.3g", p)
	}
}

// TestFitOfPairs: a draw must not depend on the one before.
func TestFitOfPairs(t *testing.T) {
	random, d := stream(t), gaussianLaw(1, 1)
	cut := func() int {
		x, err := NoiseFrom(random, 1)
		if err != nil {
			t.Fatal(err)
		}
		return int(max(-2, min(2, x))) + 2
	}
	p := [5]float64{d.from(2), d.p[1], d.p[0], d.p[1], d.from(2)}
	var seen [5][5]float64
	for range drawsEach {
		first := cut()
		seen[first][cut()]++
	}
	chi2 := 0.0
	for i := range seen {
		for j := range seen[i] {
			want := drawsEach * p[i] * p[j]
			chi2 += (seen[i][j] - want) * (seen[i][j] - want) / want
		}
	}
	if got := survival(chi2, 24); got < falseAlarm {
		t.Errorf("pairs of draws are not independent: p = %.3g", got)
	}
}

// TestExpSquareBeyond64Bits takes the path that no variance reaches in practice:
// (3/2 2^32)^2 / 2^64 = 9/4, of which the enumeration proves the short form.
func TestExpSquareBeyond64Bits(t *testing.T) {
	draw := uniform(stream(t))
	hits := 0.0
	for range drawsEach {
		ok, err := bernoulliExpSquare(draw, 3<<31, 1<<64-1)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			hits++
		}
	}
	p := math.Exp(-9.0 / 4)
	chi2 := (hits - drawsEach*p) * (hits - drawsEach*p) / (drawsEach * p * (1 - p))
	if got := survival(chi2, 1); got < falseAlarm {
		t.Errorf("%.0f of %d, expected %.0f: p = %.3g", hits, drawsEach, drawsEach*p, got)
	}
}

// TestFitHasPower: the same test with as many draws must reject what a careless
// sampler would give.
func TestFitHasPower(t *testing.T) {
	g := mathrand.New(mathrand.NewChaCha8([32]byte{1}))
	t.Run("rounded continuous Gaussian at sigma 1", func(t *testing.T) {
		rounded := func() int64 { return int64(math.Round(g.NormFloat64())) }
		if p := gaussianLaw(1, 1).fit(1, rounded); p >= falseAlarm {
			t.Errorf("not rejected: p = %.3g", p)
		}
	})
	t.Run("truncated continuous Gaussian at sigma 2", func(t *testing.T) {
		truncated := func() int64 { return int64(2 * g.NormFloat64()) }
		if p := gaussianLaw(4, 1).fit(2, truncated); p >= falseAlarm {
			t.Errorf("not rejected: p = %.3g", p)
		}
	})
	for _, v := range []int64{1, 2, 4, 100, 2500, 40_000} {
		for _, percent := range []int64{95, 105} {
			t.Run(fmt.Sprintf("variance %d, sigma at %d percent", v, percent), func(t *testing.T) {
				off := gaussianLaw(v*percent*percent, 10_000).sampler(g)
				if p := gaussianLaw(v, 1).fit(math.Sqrt(float64(v)), off); p >= falseAlarm {
					t.Errorf("not rejected: p = %.3g", p)
				}
			})
		}
	}
	t.Run("the law itself", func(t *testing.T) {
		d := gaussianLaw(100, 1)
		if p := d.fit(10, d.sampler(g)); p < falseAlarm {
			t.Errorf("rejected: p = %.3g", p)
		}
	})
}

// sampler draws by inversion of the cumulated probabilities, in floating point.
func (d distribution) sampler(g *mathrand.Rand) func() int64 {
	most := int64(len(d.p)) - 1
	cumulated, sum := make([]float64, 0, 2*most+1), 0.0
	for x := -most; x <= most; x++ {
		sum += d.at(x)
		cumulated = append(cumulated, sum)
	}
	return func() int64 {
		i := sort.SearchFloat64s(cumulated, g.Float64())
		return min(int64(i), 2*most) - most
	}
}

// fit draws and returns the probability of a fit as bad or worse, if d is the law.
func (d distribution) fit(sigma float64, draw func() int64) float64 {
	seen, most := map[int64]float64{}, int64(len(d.p))-1
	for range drawsEach {
		seen[max(-most, min(most, draw()))]++
	}
	// Neighbours share a bin until it expects enough: a sixtieth of the draws
	// in the middle, 400 in the tails. Pearson's law holds for such numbers.
	chi2, bins := 0.0, 0
	count, p, left := 0.0, 0.0, 1.0
	for x := -most; x <= most; x++ {
		count, p, left = count+seen[x], p+d.at(x), left-d.at(x)
		enough := 400.0
		if math.Abs(float64(x)) <= 2*sigma {
			enough = drawsEach / 60
		}
		if x < most && (drawsEach*p < enough || drawsEach*left < 400) {
			continue
		}
		want := drawsEach * p
		chi2 += (count - want) * (count - want) / want
		bins++
		count, p = 0, 0
	}
	return survival(chi2, bins-1)
}

// survival is the probability that chi-square exceeds x. For an odd number of
// degrees of freedom it is that of the next even one, which is larger.
func survival(x float64, degrees int) float64 {
	sum, term := 0.0, 1.0
	for k := 1; k <= (degrees+1)/2; k++ {
		sum += term
		term *= x / 2 / float64(k)
	}
	return math.Exp(-x/2) * sum
}

// TestSurvival compares with the usual table of critical values.
func TestSurvival(t *testing.T) {
	for _, c := range []struct {
		degrees int
		x, p    float64
	}{{2, 5.991, 0.05}, {10, 18.307, 0.05}, {10, 29.588, 0.001}, {30, 50.892, 0.01}, {60, 99.607, 0.001}, {100, 124.342, 0.05}} {
		if got := survival(c.x, c.degrees); math.Abs(got/c.p-1) > 2e-3 {
			t.Errorf("%d degrees, %v: %v", c.degrees, c.x, got)
		}
	}
}
