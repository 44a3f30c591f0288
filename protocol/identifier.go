package protocol

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// MemberID names a member organisation: lower-case letters, digits and
// hyphens, 2 to 40 characters, e.g. "theatre-du-fleuve". It never changes.
type MemberID string

// ReplicaID names a coordinator replica, in the form of a [MemberID].
type ReplicaID string

// RoundID names a round: 32 hexadecimal digits drawn by the initiator.
type RoundID string

// SourceName names one upload of a match round, in the form of a [MemberID].
type SourceName string

// Epoch numbers the key K under which tokens are made. The first is 1.
type Epoch uint32

// Namespace separates federations that must never be joined. It enters every
// token, in the form of a [MemberID].
type Namespace string

var (
	slug  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])$`)
	hex32 = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

func checkSlug(what, s string) error {
	if !slug.MatchString(s) {
		return fmt.Errorf("%w: a %s has 2 to 40 lower-case letters, digits and hyphens", ErrMalformed, what)
	}
	return nil
}

// Check reports whether the identifier is well formed.
func (id MemberID) Check() error { return checkSlug("member", string(id)) }

// Check reports whether the identifier is well formed.
func (id ReplicaID) Check() error { return checkSlug("replica", string(id)) }

// Check reports whether the name is well formed.
func (n SourceName) Check() error { return checkSlug("source", string(n)) }

// Check reports whether the name is well formed.
func (n Namespace) Check() error { return checkSlug("namespace", string(n)) }

// Check reports whether the identifier is well formed.
func (id RoundID) Check() error {
	if !hex32.MatchString(string(id)) {
		return fmt.Errorf("%w: a round has 32 hexadecimal digits", ErrMalformed)
	}
	return nil
}

// Text is a sentence or name shown to people, in both languages.
type Text struct {
	FR string `json:"fr"`
	EN string `json:"en"`
}

// MaxText bounds each language of a [Text], in bytes.
const MaxText = 2000

// Check reports whether both languages are there and within [MaxText].
func (t Text) Check() error {
	for _, s := range []string{t.FR, t.EN} {
		if s == "" || len(s) > MaxText {
			return fmt.Errorf("%w: a text needs French and English, each of 1 to %d bytes", ErrMalformed, MaxText)
		}
	}
	return nil
}

// In returns the text in the language "fr", else English.
func (t Text) In(lang string) string {
	if lang == "fr" {
		return t.FR
	}
	return t.EN
}

// Millis is an instant in milliseconds since 1970 in UTC. The coordinator's
// leader stamps it into commands; nothing replicated reads a clock.
type Millis int64

// At converts a clock reading.
func At(t time.Time) Millis { return Millis(t.UnixMilli()) }

// MaxInstant is the end of the year 9999. Instants up to it, like every number
// in a document, are exact in JSON.
const MaxInstant Millis = 253402300799999

// check reports whether an instant that a document states is one.
func (m Millis) check(what string) error {
	if m < 1 || m > MaxInstant {
		return fmt.Errorf("%w: %s is an instant after 1970, in milliseconds", ErrMalformed, what)
	}
	return nil
}

// Time converts back, in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Span is a length of time in milliseconds.
type Span int64

// String reads it in the units that fit: "36h0m0s".
func (s Span) String() string { return (time.Duration(s) * time.Millisecond).String() }

// Date is a calendar day in ISO form, "2026-11-23", in the member's own zone.
type Date string

// Check reports whether the day exists.
func (d Date) Check() error {
	if _, err := time.Parse(time.DateOnly, string(d)); err != nil {
		return fmt.Errorf("%w: a date is written 2026-11-23", ErrMalformed)
	}
	return nil
}

// membersOf lists the members of sources, ascending, each once.
func membersOf(sources []Source) []MemberID {
	members := make([]MemberID, 0, len(sources))
	for _, s := range sources {
		members = append(members, s.Member)
	}
	slices.Sort(members)
	return slices.Compact(members)
}
