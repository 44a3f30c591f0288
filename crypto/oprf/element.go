package oprf

import (
	"fmt"

	"coulisse/crypto/oprf/internal/chunk"
	"coulisse/crypto/oprf/internal/ristretto"
)

// Lengths of encodings, in bytes.
const (
	ElementSize = ristretto.Size
	ProofSize   = 2 * ristretto.Size
	TokenSize   = 64
)

// block is how many elements one processor takes at a time.
const block = 128

// Element is a group element on the wire and in memory. It is never the
// identity; the zero value stands for it, and every function refuses it.
type Element struct {
	point    ristretto.Point
	encoding [ElementSize]byte
}

// Token is the pseudonym of one input under one key: RFC 9497's Output. It is
// personal data, and prints as a placeholder.
type Token [TokenSize]byte

// ParseElement decodes 32 bytes: [ErrLength], [ErrIdentity] or [ErrNonCanonical].
func ParseElement(b []byte) (Element, error) {
	var e Element
	if len(b) != ElementSize {
		return e, ErrLength
	}
	copy(e.encoding[:], b)
	if e.isZero() {
		return e, ErrIdentity
	}
	if err := e.point.Decode(b); err != nil {
		return Element{}, ErrNonCanonical
	}
	return e, nil
}

func newElement(p *ristretto.Point) (Element, error) {
	e := Element{point: *p, encoding: p.Encode()}
	if e.isZero() {
		return Element{}, ErrIdentity
	}
	return e, nil
}

// doubles writes twice each of some points.
func doubles(out []Element, halves []ristretto.Point) {
	encodings := make([][ElementSize]byte, len(halves))
	ristretto.EncodeDoubles(halves, encodings)
	for i := range halves {
		out[i].point.Double(&halves[i])
		out[i].encoding = encodings[i]
	}
}

// isZero holds for the identity, whose encoding is 32 zeros, and thereby for
// an Element that nobody set.
func (e *Element) isZero() bool { return e.encoding == [ElementSize]byte{} }

// Bytes returns the canonical encoding.
func (e Element) Bytes() [ElementSize]byte { return e.encoding }

// Equal reports whether both are the same element.
func (e Element) Equal(f Element) bool { return e.encoding == f.encoding }

// EncodeElements returns the encodings one after the other.
func EncodeElements(elements []Element) []byte {
	b := make([]byte, 0, len(elements)*ElementSize)
	for i := range elements {
		b = append(b, elements[i].encoding[:]...)
	}
	return b
}

// DecodeElements decodes a batch of 1 to [MaxBatch] elements. Errors say which
// element is at fault.
func DecodeElements(b []byte) ([]Element, error) {
	if len(b) > MaxBatch*ElementSize {
		return nil, ErrBatchTooLarge
	}
	if len(b)%ElementSize != 0 {
		return nil, ErrLength
	}
	n := len(b) / ElementSize
	if n == 0 {
		return nil, ErrBatchEmpty
	}
	elements := make([]Element, n)
	err := eachElement(n, func(i int) (err error) {
		elements[i], err = ParseElement(b[i*ElementSize:][:ElementSize])
		return err
	})
	if err != nil {
		return nil, err
	}
	return elements, nil
}

// eachElement calls f for each index on all processors, and returns the error
// of the lowest index that has one.
func eachElement(n int, f func(i int) error) error {
	failed := make([]error, (n+block-1)/block)
	chunk.Do(n, block, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if err := f(i); err != nil {
				failed[lo/block] = fmt.Errorf("element %d: %w", i, err)
				return
			}
		}
	})
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkBatch(n int) error {
	switch {
	case n == 0:
		return ErrBatchEmpty
	case n > MaxBatch:
		return ErrBatchTooLarge
	}
	return nil
}

func checkElements(elements []Element) error {
	if err := checkBatch(len(elements)); err != nil {
		return err
	}
	for i := range elements {
		if elements[i].isZero() {
			return fmt.Errorf("element %d: %w", i, ErrIdentity)
		}
	}
	return nil
}
