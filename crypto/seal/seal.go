// Package seal is the gateway to the two ways in which Coulisse hides bytes:
// files at rest in the age format, and envelopes between nodes by HPKE.
//
//   - A sealed file is an age v1 file for one or more [Recipient]s with the
//     hybrid recipient type of ML-KEM-768 and X25519. The public age tool reads
//     it with the identity file that [LoadOrCreateIdentity] made. Secrets,
//     tokens (section 3.5 of the protocol) and backups are stored so.
//   - An envelope is one HPKE message (RFC 9180, base mode, single use) with
//     MLKEM768-X25519, HKDF-SHA256 and ChaCha20-Poly1305. Round keys
//     (section 4.3) and node-to-node payloads (section 7) travel so, relayed
//     by a coordinator that must not read them.
//
// It is not a place for keys that sign (crypto/key), nor for key derivation,
// and neither form says who sealed: anybody who knows a recipient can seal for
// it. What must be attributed is signed, outside or inside.
package seal

import (
	"errors"
	"fmt"
	"log/slog"
)

var (
	// ErrWrongIdentity: the file is sealed for other recipients. The caller
	// must use the identity that the file was sealed for; there is no other way in.
	ErrWrongIdentity = errors.New("sealed for another identity: use the identity file that belongs to it")

	// ErrDamaged: the file is cut short, altered or not an age file. Nothing
	// read from it may be used; restore it from a backup.
	ErrDamaged = errors.New("sealed file is damaged, cut short or not an age file: restore it from a backup")

	// ErrTooLarge: the content exceeds the bound of the reader or of the form.
	ErrTooLarge = errors.New("content is larger than allowed here")

	// ErrKey: a key, recipient or identity does not have its form.
	ErrKey = errors.New("malformed key")

	// ErrEnvelope: the envelope is for another key or another context, or was
	// altered or cut. It does not say which, so that a sender cannot probe.
	// The receiver drops it; sending the same bytes again cannot help.
	ErrEnvelope = errors.New("envelope does not open: it is for another key or context, or was altered")
)

// hidden is what a secret prints as, under every verb and in every log. It also
// makes the secret that embeds it impossible to compare with ==, which would not
// take constant time.
type hidden struct{ _ [0]func() }

const placeholder = "[secret]"

// String returns a placeholder.
func (hidden) String() string { return placeholder }

// Format writes a placeholder whatever the verb: %#v and %x would else reach
// the fields.
func (hidden) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(placeholder)) }

// LogValue returns a placeholder.
func (hidden) LogValue() slog.Value { return slog.StringValue(placeholder) }

// MarshalText refuses: a secret is stored sealed, never inside a document.
func (hidden) MarshalText() ([]byte, error) {
	return nil, errors.New("a secret key is not written as text: store it sealed")
}
