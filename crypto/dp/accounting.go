package dp

import (
	"errors"
	"fmt"
)

// NanoRho is privacy loss in billionths of rho of zero-concentrated differential
// privacy. It is never negative.
type NanoRho int64

// RhoUnit is a rho of 1.
const RhoUnit NanoRho = 1_000_000_000

// ErrBudget: the budget does not cover the price. The reservation must be refused
// and nothing opened; a less precise figure, or a new budget, can pass.
var ErrBudget = errors.New("privacy budget does not cover this")

// String writes rho as a decimal number.
func (r NanoRho) String() string {
	sign := ""
	if r < 0 {
		sign = "-"
	}
	return fmt.Sprintf("%s%d.%09d", sign, magnitude(r/RhoUnit), magnitude(r%RhoUnit))
}

func magnitude(r NanoRho) int64 {
	if r < 0 {
		return -int64(r)
	}
	return int64(r)
}

// Cost is the price of figures of the given sensitivity, each with noise of the
// given variance: rho = s / (2v), rounded up so that many small prices never add
// up to less than was lost.
func Cost(s Sensitivity2, v Variance) (NanoRho, error) {
	if err := s.check(); err != nil {
		return 0, err
	}
	if err := v.Check(); err != nil {
		return 0, err
	}
	num, den := int64(s)*int64(RhoUnit), 2*int64(v) // below 2^63, by the bounds
	return NanoRho((num-1)/den + 1), nil
}

// Reserve adds a price to what is spent and returns the new sum, or [ErrBudget] if
// that exceeds the limit. What was reserved stays spent, opened or not, unless the
// caller can show that nothing was opened.
func Reserve(limit, spent, price NanoRho) (NanoRho, error) {
	if limit < 0 || spent < 0 || price < 0 {
		return 0, fmt.Errorf("%w: a privacy loss is not negative", ErrParameter)
	}
	if price > Remaining(limit, spent) {
		return 0, ErrBudget
	}
	return spent + price, nil // at most limit, so no overflow
}

// Remaining is what can still be reserved: nothing, once more is spent than a
// limit that was lowered since.
func Remaining(limit, spent NanoRho) NanoRho {
	if limit < 0 || spent < 0 || spent >= limit {
		return 0
	}
	return limit - spent
}

// Sum adds prices, and refuses a sum that does not fit or a negative price.
func Sum(prices ...NanoRho) (NanoRho, error) {
	const most = NanoRho(1<<63 - 1)
	var sum NanoRho
	for _, p := range prices {
		if p < 0 || p > most-sum {
			return 0, fmt.Errorf("%w: a privacy loss is not negative and not infinite", ErrParameter)
		}
		sum += p
	}
	return sum, nil
}
