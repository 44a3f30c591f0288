// Package key holds the signing keys of Coulisse, one type a role, so that a
// ballot cannot be checked with a replica's key, nor a result with a member's:
// the compiler refuses it.
//
// Keys are Ed25519 (RFC 8032). A public key is comparable and has a text form
// with the role in its prefix; a private key is neither printable nor
// comparable, and reaches a disk only through package seal. What is signed,
// and under which label, is package protocol's business.
package key

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Role is what a key is for. The set is closed.
type Role interface {
	Vote | Node | Replica
	// Name is the word in the text form of a key.
	Name() string
}

// Vote signs proposals, cosignatures and ballots: the organisation's voice.
type Vote struct{}

// Node signs what a member's node does unattended: tickets, manifests,
// acknowledgements, uploads, steward posts.
type Node struct{}

// Replica signs what a coordinator replica states: enrolments, reservations,
// results, exports.
type Replica struct{}

// Name implements [Role].
func (Vote) Name() string { return "vote" }

// Name implements [Role].
func (Node) Name() string { return "node" }

// Name implements [Role].
func (Replica) Name() string { return "replica" }

// ErrKey: a text or a byte string is not a key of the wanted role.
var ErrKey = errors.New("not a key of this role")

// Public is a verification key. The zero value verifies nothing.
type Public[R Role] struct {
	point [ed25519.PublicKeySize]byte
}

// Private is a signing key.
type Private[R Role] struct {
	_ [0]func() // not comparable
	// Behind a function, because fmt prints the unexported fields of a struct
	// that holds a key without asking for its String method, and follows
	// pointers under a verb that does not fit.
	secret func() ed25519.PrivateKey
}

func hide[R Role](secret ed25519.PrivateKey) Private[R] {
	return Private[R]{secret: func() ed25519.PrivateKey { return secret }}
}

// Generate makes a key from the system's randomness.
func Generate[R Role]() (Private[R], error) {
	_, seed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Private[R]{}, fmt.Errorf("generate a %s key: %w", roleName[R](), err)
	}
	return hide[R](seed), nil
}

// Public is the verification key of k.
func (k Private[R]) Public() Public[R] {
	var p Public[R]
	copy(p.point[:], k.secret().Public().(ed25519.PublicKey))
	return p
}

// Sign returns the 64-byte signature of a message. The message carries its
// own domain separation.
func (k Private[R]) Sign(message []byte) []byte { return ed25519.Sign(k.secret(), message) }

// Verify reports whether sig is p's signature of the message. It remembers the
// signatures that it has found good, for a while: what was verified before it
// was replicated is verified again when it is applied, and when it is counted.
func (p Public[R]) Verify(message, sig []byte) bool {
	if p.IsZero() || len(sig) != ed25519.SignatureSize {
		return false
	}
	triple := tripleOf(p.point, message, sig)
	if _, ok := good.Get(triple); ok {
		return true
	}
	if !verify(p.point, message, sig) {
		return false
	}
	good.Put(triple, struct{}{})
	return true
}

func verify(point [ed25519.PublicKeySize]byte, message, sig []byte) bool {
	if minus := use(point).table(point); minus != nil {
		return verifyWith(minus, point, message, sig)
	}
	return ed25519.Verify(point[:], message, sig)
}

// Bytes is the key as RFC 8032 encodes it, for forms other than ours.
func (p Public[R]) Bytes() []byte { return p.point[:] }

// IsZero reports whether p is no key at all.
func (p Public[R]) IsZero() bool { return p == Public[R]{} }

func roleName[R Role]() string {
	var role R
	return role.Name()
}

func publicPrefix[R Role]() string { return "coulisse-" + roleName[R]() + ":" }
func privatePrefix[R Role]() string {
	return "COULISSE-" + strings.ToUpper(roleName[R]()) + "-PRIVATE:"
}

// String is the text form: "coulisse-vote:" and 43 characters of base64url.
func (p Public[R]) String() string {
	return publicPrefix[R]() + base64.RawURLEncoding.EncodeToString(p.point[:])
}

// MarshalText implements [encoding.TextMarshaler].
func (p Public[R]) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the text form and nothing else.
func (p *Public[R]) UnmarshalText(text []byte) error {
	raw, err := decode(publicPrefix[R](), text, ed25519.PublicKeySize)
	if err != nil {
		return err
	}
	copy(p.point[:], raw)
	return nil
}

// Reveal is the private key's text form, for package seal to encrypt.
func (k Private[R]) Reveal() []byte {
	return []byte(privatePrefix[R]() + base64.RawURLEncoding.EncodeToString(k.secret().Seed()))
}

// ParsePrivate reads what [Private.Reveal] wrote.
func ParsePrivate[R Role](text []byte) (Private[R], error) {
	seed, err := decode(privatePrefix[R](), text, ed25519.SeedSize)
	if err != nil {
		return Private[R]{}, err
	}
	return hide[R](ed25519.NewKeyFromSeed(seed)), nil
}

// String hides the key.
func (k Private[R]) String() string { return roleName[R]() + " private key (hidden)" }

// GoString hides the key from %#v.
func (k Private[R]) GoString() string { return k.String() }

// LogValue hides the key from logs.
func (k Private[R]) LogValue() slog.Value { return slog.StringValue(k.String()) }

// decode never puts the text in its error: it may be a secret.
func decode(prefix string, text []byte, size int) ([]byte, error) {
	encoded, ok := strings.CutPrefix(string(text), prefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(size) {
		return nil, fmt.Errorf("%w: the text form is %q and %d characters", ErrKey, prefix, base64.RawURLEncoding.EncodedLen(size))
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: bad base64url", ErrKey)
	}
	return raw, nil
}
