package match

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"log/slog"

	"coulisse/protocol"
)

// The HKDF labels of the round's keys. One is never given a second meaning.
const (
	labelToken   = "coulisse/1/match/token"
	labelConfirm = "coulisse/1/match/confirm"
)

const keySize = 32

// RoundKey is rk: drawn by a round's initiator, dealt sealed to each participant,
// forgotten when the round closes. The coordinator never holds it; with it, the
// uploads of the round could be compared with anyone's tokens.
type RoundKey struct{ secret }

// NewRoundKey draws a key.
func NewRoundKey() RoundKey {
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails: it ends the process instead
	return RoundKey{hide(raw)}
}

// ParseRoundKey reads what [RoundKey.Bytes] gave.
func ParseRoundKey(raw []byte) (RoundKey, error) {
	if len(raw) != keySize {
		return RoundKey{}, fmt.Errorf("%w: a round key has %d bytes", protocol.ErrMalformed, keySize)
	}
	return RoundKey{hide(raw)}, nil
}

// Bytes is the key itself, for the sealed envelope and nothing else.
func (k RoundKey) Bytes() []byte { return bytes.Clone(k.reveal()) }

// Keys are what the participants of one round share.
type Keys struct {
	Token    TokenKey
	confirm  secret
	manifest protocol.Hash
}

// TokenKey is rk_token, which turns tokens into the round's pseudonyms.
type TokenKey struct{ secret }

// Derive makes the round's keys from its key and the hash of its signed
// manifest: whoever read another manifest holds other keys, even with the same rk.
func Derive(rk RoundKey, manifest protocol.Hash) Keys {
	return Keys{
		Token:    TokenKey{expand(rk, manifest, labelToken)},
		confirm:  expand(rk, manifest, labelConfirm),
		manifest: manifest,
	}
}

func expand(rk RoundKey, manifest protocol.Hash, label string) secret {
	out, err := hkdf.Key(sha256.New, rk.reveal(), manifest[:], label, keySize)
	if err != nil {
		panic("match: HKDF refused constant lengths: " + err.Error())
	}
	return hide(out)
}

// Confirm is HMAC(rk_kc, manifest hash), which a participant posts to show that
// it holds the key and read the manifest.
func (k Keys) Confirm() (mac protocol.Hash) {
	h := hmac.New(sha256.New, k.confirm.reveal())
	h.Write(k.manifest[:])
	h.Sum(mac[:0])
	return mac
}

// Confirms reports whether another participant's posted value is the same.
func (k Keys) Confirms(mac protocol.Hash) bool {
	own := k.Confirm()
	return subtle.ConstantTimeCompare(own[:], mac[:]) == 1
}

// Pseudonym is the person with the token, in this round.
func (k TokenKey) Pseudonym(token *[64]byte) Pseudonym {
	return newDeriver(k).pseudonym(token)
}

// deriver computes one pseudonym after another without allocating. The HMAC keeps
// the state after its key block, so that a pseudonym costs three compressions.
type deriver struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

func newDeriver(k TokenKey) *deriver {
	return &deriver{mac: hmac.New(sha256.New, k.reveal())}
}

func (d *deriver) pseudonym(token *[64]byte) Pseudonym {
	d.mac.Reset()
	d.mac.Write(token[:])
	d.mac.Sum(d.sum[:0])
	return Pseudonym(d.sum[:len(Pseudonym{})])
}

// secret is a key that prints as a placeholder. It is behind a function because
// fmt walks the unexported fields of whatever holds it without asking for its
// methods, and prints what a pointer points to when the verb does not fit it. A
// function shows nothing, and cannot be compared with ==, which would not take
// constant time.
type secret struct{ reveal func() []byte }

func hide(key []byte) secret {
	key = bytes.Clone(key)
	return secret{func() []byte { return key }}
}

const placeholder = "[secret]"

// String returns a placeholder.
func (secret) String() string { return placeholder }

// Format writes a placeholder under every verb.
func (secret) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(placeholder)) }

// LogValue returns a placeholder.
func (secret) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText refuses: a round key travels sealed and is stored nowhere.
func (secret) MarshalText() ([]byte, error) {
	return nil, errors.New("a key of a round is not written as text: seal its bytes")
}
