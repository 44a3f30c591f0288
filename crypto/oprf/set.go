package oprf

import (
	"fmt"
	"slices"
)

// Index is a steward's seat under one key: where its share lies on the
// polynomial. 0 is where the key itself lies, and belongs to nobody.
type Index uint16

// Set is a list of indexes, ascending and without repeats, so that everyone
// writes the same set in the same bytes.
type Set []Index

// Check returns [ErrSet] for a set that is empty, too large, out of order, or
// holds a 0.
func (s Set) Check() error {
	if len(s) == 0 || len(s) > MaxStewards {
		return fmt.Errorf("%w: %d indexes, not 1 to %d", ErrSet, len(s), MaxStewards)
	}
	last := Index(0)
	for _, i := range s {
		if i <= last {
			return fmt.Errorf("%w: indexes must ascend from 1", ErrSet)
		}
		last = i
	}
	return nil
}

func (s Set) has(i Index) bool {
	_, found := slices.BinarySearch(s, i)
	return found
}

func (s Set) within(other Set) bool {
	return !slices.ContainsFunc(s, func(i Index) bool { return !other.has(i) })
}

// lagrange returns the coefficient of i when the set interpolates at 0:
// the product of j/(j-i) over the others. It is public.
func (s Set) lagrange(i Index) *scalar {
	above, below := scalarOf(1), scalarOf(1)
	at := scalarOf(i)
	for _, j := range s {
		if j == i {
			continue
		}
		above.Multiply(above, scalarOf(j))
		below.Multiply(below, new(scalar).Subtract(scalarOf(j), at))
	}
	return above.Multiply(above, below.Invert(below))
}

var (
	half    = new(scalar).Invert(scalarOf(2))
	quarter = new(scalar).Multiply(half, half)
)

// folded is the factor of a steward's answer: a quarter of its coefficient. What
// is asked is a double, and what the answers add up to is doubled again; both
// because encodings of doubles need no square root.
func (s Set) folded(i Index) *scalar {
	factor := s.lagrange(i)
	return factor.Multiply(factor, quarter)
}

// powers returns factor·i^k for k below n.
func powers(factor *scalar, i Index, n int) []scalar {
	list := make([]scalar, n)
	at, power := scalarOf(i), new(scalar).Set(factor)
	for k := range list {
		list[k].Set(power)
		power.Multiply(power, at)
	}
	return list
}
