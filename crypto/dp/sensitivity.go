package dp

import "fmt"

// Sensitivity2 is the square of a sensitivity: the most that one identifier, with
// everything that all members know of it, can change the figures of one answer,
// in squared Euclidean norm.
type Sensitivity2 int64

// The table of sensitivities, section 5 of the protocol. A figure that is not in
// it has no price and cannot be published.
const (
	// Size is one count of people: a reach, or the size of a pooled audience.
	Size Sensitivity2 = 1
	// Histogram is a frequency histogram of people: a person leaves one bar and
	// enters another, however many members there are.
	Histogram Sensitivity2 = 2

	maxSensitivity2 Sensitivity2 = 1_000_000_000
)

// MaxMembers bounds the members of one answer.
const MaxMembers = 10_000

// MemberSizes is one count for each of m members: a person may be in all.
func MemberSizes(m int) (Sensitivity2, error) {
	if err := checkMembers(m); err != nil {
		return 0, err
	}
	return Sensitivity2(m), nil
}

// Overlap is a count for each pair of m members, and for each member with itself.
func Overlap(m int) (Sensitivity2, error) {
	if err := checkMembers(m); err != nil {
		return 0, err
	}
	return Sensitivity2(m) * Sensitivity2(m+1) / 2, nil
}

func checkMembers(m int) error {
	if m < 1 || m > MaxMembers {
		return fmt.Errorf("%w: an answer is over 1 to %d members", ErrParameter, MaxMembers)
	}
	return nil
}

func (s Sensitivity2) check() error {
	if s < 1 || s > maxSensitivity2 {
		return fmt.Errorf("%w: a squared sensitivity is from 1 to %d", ErrParameter, maxSensitivity2)
	}
	return nil
}
