package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Hash is a SHA-256 digest. Its text form is 64 lower-case hexadecimal digits.
type Hash [sha256.Size]byte

// HashOf digests bytes.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// IsZero reports whether h is the absent hash.
func (h Hash) IsZero() bool { return h == Hash{} }

// String is the text form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Short is the first twelve digits, for people to compare.
func (h Hash) Short() string { return h.String()[:12] }

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads the text form and nothing else.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("%w: a hash has %d hexadecimal digits", ErrMalformed, 2*len(h))
	}
	for _, c := range text {
		if 'A' <= c && c <= 'F' {
			return fmt.Errorf("%w: a hash is written in lower case", ErrMalformed)
		}
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("%w: a hash is hexadecimal", ErrMalformed)
	}
	return nil
}

// ParseHash reads the text form.
func ParseHash(s string) (Hash, error) {
	var h Hash
	return h, h.UnmarshalText([]byte(s))
}

// Bounds on encoded values, in bytes.
const (
	// MaxDocument bounds a signed document: it must fit a command of the
	// coordinator with room. The largest are policies and ceremony deals.
	MaxDocument = 256 << 10
	// maxValue bounds what is read from a file: the record of a round holds
	// the whole chain of decisions.
	maxValue = 64 << 20
)

// Canonical encodes a value as canonical JSON (RFC 8785). Numbers in our
// documents are integers within 2^53, which that form keeps exactly.
func Canonical(v any) (jsontext.Value, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a document: %w", err)
	}
	value := jsontext.Value(raw)
	if isPlain(raw) { // its fields are declared in the canonical order
		return value, nil
	}
	if err := value.Canonicalize(); err != nil {
		return nil, fmt.Errorf("canonicalise a document: %w", err)
	}
	return value, nil
}

// Decode reads one canonical JSON value strictly: a value has exactly one
// encoding, and every other spelling of it is refused, among them missing,
// unknown and repeated names, an explicit null, and spare bits in base64. So a
// document that was accepted once cannot come again under other bytes. Errors
// do not quote the input.
func Decode[T any](raw []byte) (T, error) {
	var v T
	if len(raw) > maxValue {
		return v, fmt.Errorf("%w: at most %d bytes are read", ErrMalformed, maxValue)
	}
	if r, ok := any(&v).(recogniser); ok && r.recognise(raw) {
		return v, nil
	}
	return decode[T](raw)
}

func decode[T any](raw []byte) (T, error) {
	var v, zero T
	if err := json.Unmarshal(raw, &v, json.RejectUnknownMembers(true)); err != nil {
		return zero, fmt.Errorf("%w: not a JSON document, or a field is unknown or of the wrong type", ErrMalformed)
	}
	again, err := Canonical(v)
	if err != nil || !bytes.Equal(again, raw) {
		return zero, fmt.Errorf("%w: the document is not in canonical form (RFC 8785), or a field is missing", ErrMalformed)
	}
	return v, nil
}

// DecodeFile is [Decode] for a document that people may have indented: it is
// brought into canonical form first.
func DecodeFile[T any](raw []byte) (T, error) {
	var zero T
	if len(raw) > maxValue {
		return zero, fmt.Errorf("%w: at most %d bytes are read", ErrMalformed, maxValue)
	}
	value := jsontext.Value(raw).Clone()
	if err := value.Canonicalize(); err != nil {
		return zero, fmt.Errorf("%w: not a JSON document", ErrMalformed)
	}
	return Decode[T](value)
}

// Indented is the form in which documents are written to files for people.
func Indented(v any) ([]byte, error) {
	value, err := Canonical(v)
	if err != nil {
		return nil, err
	}
	if err := value.Indent(); err != nil {
		return nil, fmt.Errorf("indent a document: %w", err)
	}
	return append(value, '\n'), nil
}
