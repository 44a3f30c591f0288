package match

import (
	"math/big"
	"testing"
)

// rootOf2 is ceil(2^(k/4)), by asking for the least s with s^4 >= 2^k.
func rootOf2(k uint) uint32 {
	power := new(big.Int).Lsh(big.NewInt(1), k)
	s := new(big.Int).Sqrt(new(big.Int).Sqrt(power)) // at or just below
	for new(big.Int).Exp(s, big.NewInt(4), nil).Cmp(power) < 0 {
		s.Add(s, big.NewInt(1))
	}
	return uint32(s.Uint64())
}

func TestPaddedCountIsTheNextStep(t *testing.T) {
	if got := PaddedCount(0); got != MinRecords {
		t.Errorf("nobody: %d records", got)
	}
	below := uint32(0)
	steps := 0
	for k := uint(40); k <= 104; k++ {
		step := rootOf2(k)
		for _, n := range []uint32{below + 1, (below + step) / 2, step - 1, step} {
			if n > below && PaddedCount(n) != step {
				t.Errorf("%d people: %d records, want %d", n, PaddedCount(n), step)
			}
		}
		if !isStep(step) || step > MinRecords && isStep(step-1) {
			t.Errorf("isStep is wrong around %d", step)
		}
		below = step
		steps++
	}
	if below != MaxRecords || steps != 65 {
		t.Errorf("%d steps up to %d", steps, below)
	}
	if isStep(0) || isStep(1) || isStep(MaxRecords+1) || isStep(1<<31) {
		t.Error("counts out of bounds are steps")
	}
}
