package oprf

import (
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"io"

	"github.com/cloudflare/circl/expander"

	"coulisse/crypto/oprf/internal/ristretto"
)

// Domain separation. The first group is RFC 9497, section 3.1 and 4.1; the
// second is ours, for hashes the RFC does not know.
const (
	context = "OPRFV1-\x01-ristretto255-SHA512" // mode 0x01 is VOPRF

	labelGroup     = "HashToGroup-" + context
	labelScalar    = "HashToScalar-" + context
	labelSeed      = "Seed-" + context
	labelComposite = "Composite"
	labelChallenge = "Challenge"
	labelFinalize  = "Finalize"

	labelCeremony   = "coulisse/1/oprf-ceremony\x00"
	labelPossession = "coulisse/1/oprf-possession\x00"
	labelKey        = "coulisse/1/oprf-key\x00"
)

type scalar = ristretto.Scalar

var (
	toGroup  = expander.NewExpanderMD(crypto.SHA512, []byte(labelGroup))
	toScalar = expander.NewExpanderMD(crypto.SHA512, []byte(labelScalar))
)

// hashToGroup is HashToGroup of RFC 9497, section 4.1.
func hashToGroup(p *ristretto.Point, input []byte) {
	p.SetUniform((*[64]byte)(toGroup.Expand(input, 64)))
}

// hashToScalar is HashToScalar of RFC 9497, section 4.1.
func hashToScalar(s *scalar, input []byte) {
	setUniform(s, toScalar.Expand(input, 64))
}

func setUniform(s *scalar, uniform []byte) {
	if _, err := s.SetUniformBytes(uniform); err != nil {
		panic("oprf: a uniform string is not 64 bytes")
	}
}

// framed appends b behind its length in two bytes, as RFC 9497 does.
func framed(to, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(b))), b...)
}

// finalizeHash is the last step of Finalize in RFC 9497, section 3.3.1.
func finalizeHash(input []byte, unblinded [ristretto.Size]byte) Token {
	h := sha512.New()
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(input))))
	h.Write(input)
	h.Write(framed(nil, unblinded[:]))
	io.WriteString(h, labelFinalize)
	return Token(h.Sum(nil))
}

func randomScalar(s *scalar) {
	var uniform [64]byte
	rand.Read(uniform[:])
	setUniform(s, uniform[:])
}

func scalarOf(i Index) *scalar {
	var b [ristretto.Size]byte
	binary.LittleEndian.PutUint16(b[:], uint16(i))
	s := new(scalar)
	if _, err := s.SetCanonicalBytes(b[:]); err != nil {
		panic("oprf: an index is not a scalar")
	}
	return s
}
