// Package identity turns what a spreadsheet or a form calls an e-mail address
// or a telephone number into the one identifier of a person: profile norm/1,
// section 2 of protocol.md.
//
// It decides what an identifier is and which values are refused, and why, in
// words that an operator can act on. It stores nothing, hashes nothing and
// makes no token; [OPRFInput] only writes the bytes that tokens are made of.
//
// Two members find a person in common only if both wrote the same bytes, so
// the profile is frozen: a change that gives any accepted input another output
// is a new profile with another name. The vectors in testdata are the profile.
package identity

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Profile names the rules of this package inside every token.
const Profile = "norm/1"

// Kind says what an identifier is.
type Kind string

// The kinds of identifier. A person is one e-mail address, else one phone.
const (
	KindEmail Kind = "email"
	KindPhone Kind = "phone"
)

// Identifier is a normalised e-mail address or telephone number. Two are the
// same person exactly if they are ==.
//
// It prints as a placeholder under every verb, in logs and in JSON. Keep it in
// exported fields or behind a pointer: fmt cannot call the methods of a value
// that it finds in another type's unexported field, and would print it whole.
type Identifier struct {
	Kind  Kind
	value string
}

// Reveal returns the identifier itself: normalised, ASCII, without control
// characters. It is for storing at the member and for making tokens; it never
// goes into an error, a log or a message to another party.
func (id Identifier) Reveal() string { return id.value }

// IsZero reports whether id identifies nobody.
func (id Identifier) IsZero() bool { return id.value == "" }

// String returns a placeholder.
func (id Identifier) String() string { return string(id.Kind) + "(hidden)" }

// Format writes the placeholder whatever the verb.
func (id Identifier) Format(f fmt.State, _ rune) { io.WriteString(f, id.String()) }

// LogValue returns the placeholder.
func (id Identifier) LogValue() slog.Value { return slog.StringValue(id.String()) }

// MarshalText returns the placeholder: an identifier is stored on purpose,
// through [Identifier.Reveal], not because it sat in something encoded.
func (id Identifier) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ErrNotNormalised is returned by [Restore] for a value that this package did
// not give out. The store that held it is damaged or was written by hand.
var ErrNotNormalised = errors.New("identity: not a normalised identifier")

// Restore rebuilds an identifier from what [Identifier.Reveal] gave. It checks
// the form and not the lists of refused addresses, which may have grown since.
func Restore(kind Kind, value string) (Identifier, error) {
	switch kind {
	case KindEmail:
		if again, err := normalAddress(value); err == nil && again == value {
			return Identifier{KindEmail, value}, nil
		}
	case KindPhone:
		if isE164(value) {
			return Identifier{KindPhone, value}, nil
		}
	}
	return Identifier{}, ErrNotNormalised
}

// isE164 checks the form only: whether a number is in service changes with the
// numbering plan, and a stored person must not vanish with an upgrade.
func isE164(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	return ok && len(digits) >= 6 && len(digits) <= 15 && digits[0] != '0' && allDigits(digits)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
