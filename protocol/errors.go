package protocol

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Errors that any reader of the protocol's documents may meet.
var (
	// ErrMalformed: a document breaks the form this package gives it. The
	// sender must correct it; sending it again cannot help.
	ErrMalformed = errors.New("malformed")
	// ErrSignature: a signature is not its author's over this document, in this
	// federation. Whoever passed the document on is at fault, or it was altered.
	ErrSignature = errors.New("the signature does not verify")
)

// Refusal is an error with its sentence in both languages: what is wrong and
// what to do about it. Kind is the sentinel that errors.Is finds.
type Refusal struct {
	Kind error
	Text Text // as errors are written: no capital, no full stop
}

// Refuse words a refusal. Both sentences are formatted with the same
// arguments, so one that needs another order numbers its verbs. A sentence
// does not begin with a name.
func Refuse(kind error, fr, en string, args ...any) error {
	return Refusal{Kind: kind, Text: Text{FR: fmt.Sprintf(fr, args...), EN: fmt.Sprintf(en, args...)}}
}

// Error implements error, in English.
func (r Refusal) Error() string { return r.Kind.Error() + ": " + r.Text.EN }

// Unwrap is the kind.
func (r Refusal) Unwrap() error { return r.Kind }

// Words are the sentences as people read them.
func (r Refusal) Words() Text { return Text{FR: sentence(r.Text.FR), EN: sentence(r.Text.EN)} }

func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:] + "."
}
