package dp

import "fmt"

// Floor is the number k of people below which a cell must not be published.
type Floor int64

// MaxFloor bounds a floor, far above any.
const MaxFloor Floor = 1_000_000_000

// PublishThreshold is the least noised value that may be published for a floor of
// k people: k + 2.33 sigma, rounded up. A cell of fewer than k people passes it
// with a probability below one in a hundred.
func PublishThreshold(k Floor, v Variance) (int64, error) {
	if k < 0 || k > MaxFloor {
		return 0, fmt.Errorf("%w: a floor is from 0 to %d", ErrParameter, MaxFloor)
	}
	if err := v.Check(); err != nil {
		return 0, err
	}
	// 2.33 sigma = sqrt(2.33^2 v), and the least n with n^2 >= 5.4289 v is also the
	// least with n^2 >= the next whole number.
	margin := ceilSqrt((54289*uint64(v) + 9999) / 10000)
	return int64(k) + int64(margin), nil
}

// Publishable reports whether a cell with this noised value may be shown. With
// parameters out of range nothing may.
func Publishable(noised int64, k Floor, v Variance) bool {
	threshold, err := PublishThreshold(k, v)
	return err == nil && noised >= threshold
}

// floorSqrt is the largest r with r^2 <= x, by Newton's method from above.
func floorSqrt(x uint64) uint64 {
	if x < 2 {
		return x
	}
	r := x/2 + 1
	for {
		next := (r + x/r) / 2
		if next >= r {
			return r
		}
		r = next
	}
}

// ceilSqrt is the least r with r^2 >= x.
func ceilSqrt(x uint64) uint64 {
	r := floorSqrt(x)
	if r*r < x {
		r++
	}
	return r
}
