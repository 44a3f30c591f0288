package match

import "math/bits"

// quarters are 2^(q/4) for q = 0..3, times 2^37, rounded down.
var quarters = [4]uint64{1 << 37, 163443381347, 194368031998, 231143846581}

// PaddedCount is the number of records in the upload of a source with n people:
// the next step of 1024 · 2^(q/4), rounded up. There are 65 steps, and a step is
// all that an upload tells of its source's size. A source with nobody, or with a
// few hundred, looks like one with a thousand: its 16 kB cost nothing and
// a small house's size is its own business.
//
// It panics above [MaxRecords], which the callers have refused.
func PaddedCount(n uint32) uint32 {
	if n > MaxRecords {
		panic("match: padding for more records than an upload may have")
	}
	if n <= MinRecords {
		return MinRecords
	}
	// The power of two at or below n, then the quarters above it.
	power := bits.Len32(n) - 1
	for _, q := range quarters {
		if step := ceiling(q, power); step >= n {
			return step
		}
	}
	return 1 << (power + 1)
}

// ceiling is 2^power · q, rounded up. It is exact: q has 37 binary places, more
// than enough to tell the ceiling of each of the 65 irrational or whole steps
// (the tests compare all of them).
func ceiling(q uint64, power int) uint32 {
	const places = 37
	product := q << power
	step := product >> places
	if product&(1<<places-1) != 0 {
		step++
	}
	return uint32(step)
}

// isStep reports whether an upload may have this count.
func isStep(count uint32) bool {
	return count >= MinRecords && count <= MaxRecords && PaddedCount(count) == count
}
