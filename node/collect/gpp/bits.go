package gpp

import (
	"fmt"
	"strings"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// bits reads a segment: characters of base64url are six bits each, and fields do not
// keep to their borders. The first thing that is wrong stays the error; what is read
// after it is zero.
type bits struct {
	text string
	at   int // in bits
	err  error
}

func (b *bits) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

func (b *bits) flag() bool {
	if b.err != nil {
		return false
	}
	if b.at/6 >= len(b.text) {
		b.fail("a field is cut off")
		return false
	}
	value := strings.IndexByte(alphabet, b.text[b.at/6])
	if value < 0 {
		b.fail("a character is not of base64url")
		return false
	}
	bit := value >> (5 - b.at%6) & 1
	b.at++
	return bit == 1
}

// number reads Int(n).
func (b *bits) number(n int) (v uint64) {
	for range n {
		v <<= 1
		if b.flag() {
			v |= 1
		}
	}
	return v
}

// fibonacci reads Integer (Fibonacci), up to what 16 bits hold.
func (b *bits) fibonacci() int {
	sum, f, next, before := 0, 1, 2, false
	for f <= most {
		bit := b.flag()
		if bit && before {
			return sum
		}
		if b.err != nil {
			return 0
		}
		if bit {
			sum += f
		}
		before, f, next = bit, next, f+next
	}
	// One more may close a number whose last digit is the largest that is allowed.
	if before && b.flag() && sum <= most {
		return sum
	}
	b.fail("a number is too large")
	return 0
}

// fibonacciRange reads Range (Fibonacci), which is ascending by construction.
func (b *bits) fibonacciRange() (set IDs) {
	last := 0
	for range b.number(12) {
		group := b.flag()
		first := last + b.fibonacci()
		last = first
		if group {
			last += b.fibonacci()
		}
		if last > most {
			b.fail("an identifier is too large")
		}
		if b.err != nil {
			return nil
		}
		set = append(set, Range{first, last})
	}
	return set
}

// integerRange reads Range (Int).
func (b *bits) integerRange() (set IDs) {
	for range b.number(12) {
		group := b.flag()
		first := int(b.number(16))
		last := first
		if group {
			last = int(b.number(16))
		}
		if last < first {
			b.fail("a range ends before it begins")
		}
		if b.err != nil {
			return nil
		}
		set = append(set, Range{first, last})
	}
	return set
}

// field reads a bit an identifier, from 1 to n.
func (b *bits) field(n int) (set IDs) {
	for id := 1; id <= n; id++ {
		if !b.flag() {
			continue
		}
		if end := len(set) - 1; end >= 0 && set[end].Last == id-1 {
			set[end].Last = id
		} else {
			set = append(set, Range{id, id})
		}
	}
	if b.err != nil {
		return nil
	}
	return set
}

// Vendors are written in one of three ways, and nothing in a string says in which.

// specified reads OptimizedRange as the specification has it.
func (b *bits) specified() IDs {
	if b.flag() {
		return b.fibonacciRange()
	}
	return b.field(int(b.number(16)))
}

// usual reads what the IAB's own library writes for OptimizedRange: the largest
// identifier comes first, whatever follows.
func (b *bits) usual() IDs {
	n := int(b.number(16))
	if b.flag() {
		return b.fibonacciRange()
	}
	return b.field(n)
}

// former reads OptimizedIntRange, which came before OptimizedRange.
func (b *bits) former() IDs {
	n := int(b.number(16))
	if b.flag() {
		return b.integerRange()
	}
	return b.field(n)
}

// end says that nothing but padding is left: of a writer that fills up bytes or
// groups of four characters, at most.
func (b *bits) end() {
	if b.err == nil && len(b.text)*6-b.at >= 24 {
		b.fail("there is more than the fields that are known")
	}
	for b.err == nil && b.at < len(b.text)*6 {
		if b.flag() {
			b.fail("the padding is not empty")
		}
	}
}
