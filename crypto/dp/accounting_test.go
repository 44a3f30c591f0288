package dp

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestCost(t *testing.T) {
	overlap3, err := Overlap(3)
	if err != nil || overlap3 != 6 {
		t.Fatal(overlap3, err)
	}
	sizes150, err := MemberSizes(150)
	if err != nil || sizes150 != 150 {
		t.Fatal(sizes150, err)
	}
	for _, c := range []struct {
		s    Sensitivity2
		v    Variance
		want NanoRho
	}{
		{Size, 400, 1_250_000}, // sigma 20: 80 such figures a year at rho 0.1
		{Histogram, 400, 2_500_000},
		{Size, 3, 166_666_667},
		{Size, 1, 500_000_000},
		{overlap3, 100, 30_000_000},
		{sizes150, 40_000, 1_875_000},
		{Size, MaxVariance, 5},
		{Size, MaxVariance - 1, 6}, // 5.00000005, up
		{maxSensitivity2, 1, 500_000_000_000_000_000},
	} {
		if got, err := Cost(c.s, c.v); err != nil || got != c.want {
			t.Errorf("Cost(%d, %d) = %d, %v, want %d", c.s, c.v, got, err, c.want)
		}
	}
	for _, c := range []struct {
		s Sensitivity2
		v Variance
	}{{0, 1}, {-1, 1}, {maxSensitivity2 + 1, 1}, {1, 0}, {1, -1}, {1, MaxVariance + 1}} {
		if _, err := Cost(c.s, c.v); !errors.Is(err, ErrParameter) {
			t.Errorf("Cost(%d, %d): %v", c.s, c.v, err)
		}
	}
	for _, m := range []int{-1, 0, MaxMembers + 1} {
		if _, err := MemberSizes(m); !errors.Is(err, ErrParameter) {
			t.Errorf("sizes of %d members: %v", m, err)
		}
		if _, err := Overlap(m); !errors.Is(err, ErrParameter) {
			t.Errorf("overlap of %d members: %v", m, err)
		}
	}
	if s, err := Overlap(MaxMembers); err != nil || s.check() != nil {
		t.Error("the largest overlap has no price")
	}
}

// TestSensitivities changes one person in every way over a few members and looks
// for the largest change of each answer, from the definition of the answer.
func TestSensitivities(t *testing.T) {
	for m := 1; m <= 6; m++ {
		var size, histogram, sizes, overlap int64
		for before := range 1 << m {
			for after := range 1 << m {
				size = max(size, changed(m, before, after, func(in func(int) bool, add func(any)) {
					for i := range m {
						if in(i) {
							add("reach")
							return
						}
					}
				}))
				histogram = max(histogram, changed(m, before, after, func(in func(int) bool, add func(any)) {
					n := 0
					for i := range m {
						if in(i) {
							n++
						}
					}
					if n > 0 {
						add(n)
					}
				}))
				sizes = max(sizes, changed(m, before, after, func(in func(int) bool, add func(any)) {
					for i := range m {
						if in(i) {
							add(i)
						}
					}
				}))
				overlap = max(overlap, changed(m, before, after, func(in func(int) bool, add func(any)) {
					for i := range m {
						for j := range i + 1 {
							if in(i) && in(j) {
								add([2]int{i, j})
							}
						}
					}
				}))
			}
		}
		wantHistogram := int64(Histogram)
		if m == 1 {
			wantHistogram = 1 // one bar only
		}
		wantSizes, _ := MemberSizes(m)
		wantOverlap, _ := Overlap(m)
		if size != int64(Size) || histogram != wantHistogram || sizes != int64(wantSizes) || overlap != int64(wantOverlap) {
			t.Errorf("%d members: %d %d %d %d", m, size, histogram, sizes, overlap)
		}
	}
}

// changed is the squared distance between the answers with a person known to the
// members in the set before, and in the set after.
func changed(m, before, after int, count func(in func(int) bool, add func(any))) int64 {
	cells := map[any]int64{}
	count(func(i int) bool { return before>>i&1 == 1 }, func(c any) { cells[c]++ })
	count(func(i int) bool { return after>>i&1 == 1 }, func(c any) { cells[c]-- })
	var sum int64
	for _, d := range cells {
		sum += d * d
	}
	return sum
}

// TestCostRoundsUp against exact fractions: the least whole number not below.
func TestCostRoundsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Sensitivity2(rapid.Int64Range(1, int64(maxSensitivity2)).Draw(t, "s"))
		v := Variance(rapid.Int64Range(1, int64(MaxVariance)).Draw(t, "v"))
		got, err := Cost(s, v)
		if err != nil {
			t.Fatal(err)
		}
		exact := big.NewRat(int64(s), 2*int64(v))
		exact.Mul(exact, big.NewRat(1_000_000_000, 1))
		if big.NewRat(int64(got), 1).Cmp(exact) < 0 || big.NewRat(int64(got)-1, 1).Cmp(exact) >= 0 {
			t.Fatalf("%d for %s", got, exact)
		}
	})
}

// TestReserveNeverExceeds plays orders of reservations against big integers.
func TestReserveNeverExceeds(t *testing.T) {
	amount := rapid.OneOf(rapid.Int64Range(0, 1_000), rapid.Int64Range(math.MaxInt64-10, math.MaxInt64))
	rapid.Check(t, func(t *rapid.T) {
		limit, spent := NanoRho(amount.Draw(t, "limit")), NanoRho(0)
		for _, p := range rapid.SliceOf(amount).Draw(t, "prices") {
			next, err := Reserve(limit, spent, NanoRho(p))
			sum := new(big.Int).Add(big.NewInt(int64(spent)), big.NewInt(p))
			if fits := sum.Cmp(big.NewInt(int64(limit))) <= 0; fits != (err == nil) {
				t.Fatalf("limit %d, spent %d, price %d: %v", limit, spent, p, err)
			}
			if err != nil {
				if !errors.Is(err, ErrBudget) || next != 0 {
					t.Fatal(next, err)
				}
				continue
			}
			if spent = next; big.NewInt(int64(spent)).Cmp(sum) != 0 || Remaining(limit, spent) != limit-spent {
				t.Fatalf("spent %d, want %s", spent, sum)
			}
		}
	})
}

func TestLedgerEdges(t *testing.T) {
	for _, c := range [][3]NanoRho{{-1, 0, 0}, {1, -1, 1}, {1, 0, -1}, {-5, -9, 1}} {
		if _, err := Reserve(c[0], c[1], c[2]); !errors.Is(err, ErrParameter) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if got := Remaining(5, 9); got != 0 {
		t.Errorf("an overspent budget leaves %d", got)
	}
	if _, err := Reserve(5, 9, 0); err != nil {
		t.Errorf("what is free passes: %v", err)
	}
	if _, err := Reserve(5, 9, 1); !errors.Is(err, ErrBudget) {
		t.Errorf("overspent: %v", err)
	}
	if got, err := Sum(1, 2, 3); err != nil || got != 6 {
		t.Error(got, err)
	}
	for _, c := range [][]NanoRho{{math.MaxInt64, 1}, {-1}, {5, -5}} {
		if _, err := Sum(c...); !errors.Is(err, ErrParameter) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestNanoRhoReads(t *testing.T) {
	for r, want := range map[NanoRho]string{
		0: "0.000000000", 1_250_000: "0.001250000", 100_000_000: "0.100000000",
		12_000_000_007: "12.000000007", -1: "-0.000000001", math.MinInt64: "-9223372036.854775808",
	} {
		if got := r.String(); got != want {
			t.Errorf("%d reads %s", int64(r), got)
		}
	}
}

// TestEpsilon holds the figure that the protocol states for the default year.
func TestEpsilon(t *testing.T) {
	if got := fmt.Sprintf("%.2f", Epsilon(100_000_000, 1e-9)); got != "2.98" {
		t.Errorf("rho 0.1 and delta 1e-9 is epsilon %s", got)
	}
	if got := Epsilon(0, 1e-9); got != 0 {
		t.Errorf("no loss is epsilon %v", got)
	}
}
