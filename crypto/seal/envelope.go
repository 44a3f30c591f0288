package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"encoding/base64"
	"fmt"
	"strings"
)

const (
	// MaxEnvelope bounds the plaintext of an envelope.
	MaxEnvelope = 1 << 20
	// EnvelopeOverhead is by how much an envelope is longer than its plaintext:
	// the encapsulated key and the tag.
	EnvelopeOverhead = mlkem.CiphertextSize768 + x25519Size + 16

	x25519Size      = 32
	envelopePubSize = mlkem.EncapsulationKeySize768 + x25519Size
	envelopeKeySize = 32
	envelopePrefix  = "coulisse-envelope:"
)

// The suite is fixed: a choice on the wire would be a choice for an attacker.
var (
	envelopeKEM  = hpke.MLKEM768X25519()
	envelopeKDF  = hpke.HKDFSHA256()
	envelopeAEAD = hpke.ChaCha20Poly1305()
	publicText   = base64.RawURLEncoding.Strict()
)

// EnvelopePublic is whom an envelope is sealed for, in text form. One key has
// one form, so values compare with ==.
type EnvelopePublic string

// ParseEnvelopePublic reads the text form, and nothing but the form that
// [EnvelopeKey.Public] gives.
func ParseEnvelopePublic(text string) (EnvelopePublic, error) {
	p := EnvelopePublic(text)
	return p, p.Check()
}

// Check reports whether envelopes can be sealed for the key.
func (p EnvelopePublic) Check() error {
	_, err := p.hpke()
	return err
}

// UnmarshalText accepts only a key that passes [EnvelopePublic.Check].
func (p *EnvelopePublic) UnmarshalText(text []byte) error {
	parsed, err := ParseEnvelopePublic(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

func (p EnvelopePublic) hpke() (hpke.PublicKey, error) {
	malformed := fmt.Errorf("%w: an envelope key is %s followed by %d bytes in base64url",
		ErrKey, envelopePrefix, envelopePubSize)
	text, ok := strings.CutPrefix(string(p), envelopePrefix)
	if !ok || len(text) != publicText.EncodedLen(envelopePubSize) {
		return nil, malformed
	}
	raw, err := publicText.DecodeString(text)
	// The decoder skips line ends, which leaves fewer bytes.
	if err != nil || len(raw) != envelopePubSize || !soundX25519(raw[mlkem.EncapsulationKeySize768:]) {
		return nil, malformed
	}
	pub, err := envelopeKEM.NewPublicKey(raw) // refuses coefficients out of range
	if err != nil {
		return nil, malformed
	}
	return pub, nil
}

// soundX25519 refuses what ecdh takes: a second encoding of a point, and the
// points of small order, with which the classical half would protect nothing.
func soundX25519(point []byte) bool {
	top := point[x25519Size-1]
	if top&0x80 != 0 {
		return false
	}
	beyondP := top == 0x7f && point[0] >= 0xed // p = 2^255 - 19, little-endian
	for _, b := range point[1 : x25519Size-1] {
		beyondP = beyondP && b == 0xff
	}
	if beyondP {
		return false
	}
	pub, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		return false
	}
	scalar, err := ecdh.X25519().NewPrivateKey(make([]byte, x25519Size)) // clamped to a multiple of 8
	if err != nil {
		return false
	}
	_, err = scalar.ECDH(pub) // refuses a zero result
	return err == nil
}

// EnvelopeKey opens the envelopes that are sealed for its public key.
type EnvelopeKey struct {
	hidden
	hpke hpke.PrivateKey
	// A pointer, since fmt prints the fields of a value under a wrong verb (%p)
	// without asking its methods, and stops at pointers.
	seed *[envelopeKeySize]byte
}

// NewEnvelopeKey draws a key.
func NewEnvelopeKey() (*EnvelopeKey, error) {
	k, err := envelopeKEM.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("drawing an envelope key: %w", err)
	}
	seed, err := k.Bytes()
	if err != nil {
		return nil, fmt.Errorf("drawing an envelope key: %w", err)
	}
	return ParseEnvelopeKey(seed)
}

// ParseEnvelopeKey reads what [EnvelopeKey.Marshal] gave.
func ParseEnvelopeKey(seed []byte) (*EnvelopeKey, error) {
	if len(seed) != envelopeKeySize {
		return nil, fmt.Errorf("%w: a private envelope key has %d bytes", ErrKey, envelopeKeySize)
	}
	k, err := envelopeKEM.NewPrivateKey(seed)
	if err != nil {
		return nil, fmt.Errorf("%w: private envelope key", ErrKey)
	}
	kept := [envelopeKeySize]byte(seed)
	return &EnvelopeKey{hpke: k, seed: &kept}, nil
}

// Marshal returns the key in clear, to be stored with [WriteFile] only.
func (k *EnvelopeKey) Marshal() []byte { return bytes.Clone(k.seed[:]) }

// Public returns whom to seal for, so that this key can open.
func (k *EnvelopeKey) Public() EnvelopePublic {
	return EnvelopePublic(envelopePrefix + publicText.EncodeToString(k.hpke.PublicKey().Bytes()))
}

// Seal puts at most [MaxEnvelope] bytes into an envelope that only the holder of
// the key behind to can open, and only in the same context.
func Seal(to EnvelopePublic, c Context, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxEnvelope {
		return nil, fmt.Errorf("sealing an envelope: %w", ErrTooLarge)
	}
	info, err := c.info()
	if err != nil {
		return nil, err
	}
	pub, err := to.hpke()
	if err != nil {
		return nil, err
	}
	sealed, err := hpke.Seal(pub, envelopeKDF, envelopeAEAD, info, plaintext)
	if err != nil {
		return nil, fmt.Errorf("sealing an envelope: %w", err)
	}
	return sealed, nil
}

// Open returns what [Seal] put in, or [ErrEnvelope]. It says nothing of who
// sealed: that the sender is c.Sender must be known from a signature.
func Open(key *EnvelopeKey, c Context, sealed []byte) ([]byte, error) {
	info, err := c.info()
	if err != nil {
		return nil, err
	}
	if len(sealed) < EnvelopeOverhead || len(sealed) > EnvelopeOverhead+MaxEnvelope {
		return nil, ErrEnvelope
	}
	plaintext, err := hpke.Open(key.hpke, envelopeKDF, envelopeAEAD, info, sealed)
	if err != nil {
		return nil, ErrEnvelope
	}
	return plaintext, nil
}
