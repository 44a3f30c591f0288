package oprf

import (
	"encoding/binary"
	"fmt"
)

// encodingVersion opens every encoding of this package, but not the bare
// batches, proofs and tokens, whose form RFC 9497 fixes.
const encodingVersion = 1

// minThreshold keeps one steward from holding the key whole.
const minThreshold = 2

type writer []byte

func (w *writer) u16(v uint16)     { *w = binary.BigEndian.AppendUint16(*w, v) }
func (w *writer) u32(v uint32)     { *w = binary.BigEndian.AppendUint32(*w, v) }
func (w *writer) bytes(b []byte)   { *w = append(*w, b...) }
func (w *writer) scalar(s *scalar) { w.bytes(s.Bytes()) }

func (w *writer) text(s string) {
	*w = append(append(*w, byte(len(s))), s...)
}

func (w *writer) set(s Set) {
	*w = append(*w, byte(len(s)))
	for _, i := range s {
		w.u16(uint16(i))
	}
}

func (w *writer) commitments(c commitments) {
	*w = append(*w, byte(len(c)))
	for i := range c {
		w.bytes(c[i].encoding[:])
	}
}

// reader decodes strictly, and keeps the first error; after one, it returns
// zero values.
type reader struct {
	rest []byte
	err  error
}

func newReader(b []byte) *reader {
	r := &reader{rest: b}
	if r.u8() != encodingVersion {
		r.fail(ErrFormat)
	}
	return r
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// take returns the next n bytes, or n zeros after an error. n is bounded by
// the callers.
func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.rest) < n {
		r.fail(ErrLength)
	}
	if r.err != nil {
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

// count reads a number from least to most.
func (r *reader) count(least, most int) int {
	n := int(r.u8())
	if r.err == nil && (n < least || n > most) {
		r.fail(ErrFormat)
	}
	if r.err != nil {
		return 0
	}
	return n
}

func (r *reader) text() string { return string(r.take(r.count(1, MaxNamespace))) }

func (r *reader) index() Index {
	i := Index(r.u16())
	if i == 0 {
		r.fail(ErrSet)
	}
	return i
}

func (r *reader) set() Set {
	s := make(Set, r.count(minThreshold, MaxStewards))
	for i := range s {
		s[i] = Index(r.u16())
	}
	if r.err == nil {
		if err := s.Check(); err != nil {
			r.fail(err)
		}
	}
	return s
}

func (r *reader) commitments() commitments {
	c := make(commitments, r.count(minThreshold, MaxStewards))
	for i := range c {
		e, err := ParseElement(r.take(ElementSize))
		if err != nil {
			r.fail(fmt.Errorf("commitment %d: %w", i, err))
			return nil
		}
		c[i] = e
	}
	return c
}

func (r *reader) scalar(s *scalar) {
	if _, err := s.SetCanonicalBytes(r.take(ElementSize)); err != nil {
		r.fail(ErrNonCanonical)
	}
}

func (r *reader) proof() Proof {
	p, err := ParseProof(r.take(ProofSize))
	if err != nil {
		r.fail(err)
	}
	return p
}

// end returns the first error, or [ErrLength] if bytes are left over.
func (r *reader) end() error {
	if len(r.rest) != 0 {
		r.fail(ErrLength)
	}
	return r.err
}
