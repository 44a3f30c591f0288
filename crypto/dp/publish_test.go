package dp

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
)

// TestHalfWidthExactly compares with sums by definition: h covers, h-1 does not.
func TestHalfWidthExactly(t *testing.T) {
	for _, v := range []int64{1, 2, 3, 4, 7, 10, 99, 100, 101, 400, 2500, 9999, 40_000} {
		d := gaussianLaw(v, 1)
		for _, confidence := range []Percent{1, 50, 80, 90, 95, 99} {
			h, err := HalfWidth(Variance(v), confidence)
			if err != nil {
				t.Fatal(err)
			}
			want := ratio(int64(confidence), 100)
			if d.within(h).Cmp(want) < 0 {
				t.Errorf("variance %d, %d %%: %d covers only %.9f", v, confidence, h, d.within(h))
			}
			if h > 0 && d.within(h-1).Cmp(want) >= 0 {
				t.Errorf("variance %d, %d %%: %d is wider than needed", v, confidence, h)
			}
		}
	}
}

// TestHalfWidthOfLargeNoise compares with the continuous law, whose 95 % lie within
// 1.959964 sigma: whole numbers up to h stand for h + 1/2.
func TestHalfWidthOfLargeNoise(t *testing.T) {
	for _, sigma := range []int64{20, 50, 100, 200, 317, 1000, 3163, 10_000} {
		want := int64(math.Ceil(1.959963984540054*float64(sigma) - 0.5))
		if h, err := HalfWidth(Variance(sigma*sigma), 95); err != nil || h != want {
			t.Errorf("sigma %d: %d, want %d, %v", sigma, h, want, err)
		}
	}
}

// TestIntervalCoverage: of many figures with noise, no fewer intervals contain the
// truth than promised. False alarm at most once in 10^9 (6.1 standard deviations).
func TestIntervalCoverage(t *testing.T) {
	const n, v = 200_000, 25
	h, err := HalfWidth(v, 95)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := gaussianLaw(v, 1).within(h).Float64()
	random := stream(t)
	type span struct{ lo, hi int64 }
	known := map[int64]span{}
	for _, truth := range []int64{0, 3, 1000} {
		covered, clamped := 0, 0
		for range n {
			x, err := NoiseFrom(random, v)
			if err != nil {
				t.Fatal(err)
			}
			s, ok := known[truth+x]
			if !ok {
				if s.lo, s.hi, err = Interval(truth+x, v, 95); err != nil || s.lo < 0 || s.hi < s.lo {
					t.Fatal(s, err)
				}
				known[truth+x] = s
			}
			if s.lo <= truth && truth <= s.hi {
				covered++
			}
			if s.lo == 0 {
				clamped++
			}
		}
		slack := 6.1 * math.Sqrt(p*(1-p)*n)
		if got := float64(covered); got < p*n-slack || (clamped == 0 && got > p*n+slack) {
			t.Errorf("truth %d: %d of %d covered, expected %.0f", truth, covered, n, p*n)
		}
	}
}

func TestIntervalForms(t *testing.T) {
	for _, c := range []struct {
		noised int64
		v      Variance
		lo, hi int64
	}{
		{1000, 400, 961, 1039}, // 1.96 sigma = 39.2; 39 already covers
		{10, 400, 0, 49},
		{-10, 400, 0, 29},
		{-100, 400, 0, 0},
		{5, 1, 3, 7},
	} {
		if lo, hi, err := Interval(c.noised, c.v, 95); err != nil || lo != c.lo || hi != c.hi {
			t.Errorf("%d at variance %d: %d to %d, %v", c.noised, c.v, lo, hi, err)
		}
	}
	for _, c := range []struct {
		noised int64
		v      Variance
		p      Percent
	}{{0, 0, 95}, {0, MaxVariance + 1, 95}, {0, 1, 0}, {0, 1, 100}, {math.MaxInt64, 1, 95}, {math.MinInt64, 1, 95}} {
		if _, _, err := Interval(c.noised, c.v, c.p); !errors.Is(err, ErrParameter) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestPublishThreshold(t *testing.T) {
	for _, c := range []struct {
		k    Floor
		v    Variance
		want int64
	}{
		{50, 1, 53}, {50, 100, 74}, {50, 400, 97}, {100, 10_000, 333}, // 2.33 * 100 exactly
		{0, MaxVariance, 23_300}, {MaxFloor, MaxVariance, 1_000_023_300},
	} {
		if got, err := PublishThreshold(c.k, c.v); err != nil || got != c.want {
			t.Errorf("floor %d, variance %d: %d, %v, want %d", c.k, c.v, got, err, c.want)
		}
		if Publishable(c.want-1, c.k, c.v) || !Publishable(c.want, c.k, c.v) {
			t.Errorf("floor %d, variance %d: not decided at %d", c.k, c.v, c.want)
		}
	}
	for _, c := range []struct {
		k Floor
		v Variance
	}{{-1, 1}, {MaxFloor + 1, 1}, {1, 0}, {1, MaxVariance + 1}} {
		if _, err := PublishThreshold(c.k, c.v); !errors.Is(err, ErrParameter) {
			t.Errorf("floor %d, variance %d: %v", c.k, c.v, err)
		}
		if Publishable(math.MaxInt64, c.k, c.v) {
			t.Errorf("floor %d, variance %d: published", c.k, c.v)
		}
	}
}

// TestThresholdIsTheLeast margin m with m >= 2.33 sigma, that is (100 m)^2 >= 233^2 v.
func TestThresholdIsTheLeast(t *testing.T) {
	for v := int64(1); v <= int64(MaxVariance); v += 1 + v/50 {
		m, err := PublishThreshold(0, Variance(v))
		if err != nil {
			t.Fatal(err)
		}
		if 10_000*m*m < 54_289*v || 10_000*(m-1)*(m-1) >= 54_289*v {
			t.Errorf("variance %d: margin %d", v, m)
		}
	}
}

// TestThresholdHides: the largest cell below the floor is published with a
// probability under one in a hundred, by the exact law.
func TestThresholdHides(t *testing.T) {
	for _, v := range []int64{1, 2, 3, 4, 10, 100, 400, 2500, 40_000} {
		m, err := PublishThreshold(0, Variance(v))
		if err != nil {
			t.Fatal(err)
		}
		if p := gaussianLaw(v, 1).from(m + 1); p >= 0.01 {
			t.Errorf("variance %d: %.4f", v, p)
		}
	}
}

func TestRoots(t *testing.T) {
	check := func(x uint64) {
		b := new(big.Int).SetUint64(x)
		want := new(big.Int).Sqrt(b).Uint64()
		if got := floorSqrt(x); got != want {
			t.Errorf("root of %d: %d, want %d", x, got, want)
		}
		up := want
		if want*want < x {
			up++
		}
		if got := ceilSqrt(x); got != up {
			t.Errorf("root of %d, up: %d, want %d", x, got, up)
		}
	}
	for x := range uint64(2000) {
		check(x)
	}
	for r := uint64(3); r < 1<<32; r = r*5/3 + 1 {
		for _, x := range []uint64{r*r - 1, r * r, r*r + 1} {
			check(x)
		}
	}
	check(1<<64 - 1)
}

// TestNoFloatingPoint: replicas and nodes repeat these computations on other
// machines and must agree to the last bit.
func TestNoFloatingPoint(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "display.go" {
			continue
		}
		checked++
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if what := floating(n); what != "" {
				t.Errorf("%s: %s: this file is part of what must give the same bits everywhere; display.go is the only place for floats", name, what)
			}
			return true
		})
	}
	if checked < 6 {
		t.Errorf("only %d files checked", checked)
	}
}

func floating(n ast.Node) string {
	switch n := n.(type) {
	case *ast.ImportSpec:
		switch n.Path.Value {
		case `"math"`, `"math/cmplx"`, `"math/rand"`, `"math/rand/v2"`:
			return "imports " + n.Path.Value
		}
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			return fmt.Sprint("has the literal ", n.Value)
		}
	case *ast.Ident:
		switch n.Name {
		case "float32", "float64", "complex64", "complex128", "Float", "Float32", "Float64":
			return "uses " + n.Name
		}
	}
	return ""
}

func BenchmarkHalfWidth(b *testing.B) {
	for _, sigma := range []Variance{20, 200, 10_000} {
		b.Run(fmt.Sprintf("sigma=%d", sigma), func(b *testing.B) {
			for b.Loop() {
				if _, err := HalfWidth(sigma*sigma, 95); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
