package protocol

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

// EnrolmentToken is what the office hands a member so that its node can ask
// for its first certificate: where the coordinator is, which keys and which
// genesis it must show, and a secret that works once. A coordinator that is not
// the one in the token is not talked to.
type EnrolmentToken struct {
	Member     MemberID `json:"member"`
	Route      Route    `json:"route"`
	Federation Hash     `json:"federation"`
	Secret     []byte   `json:"secret"`
}

const (
	tokenPrefix = "coulisse-enrol-1."
	maxToken    = 8192
	secretSize  = 32
)

// Encode is the token as text, to be pasted.
func (t EnrolmentToken) Encode() (string, error) {
	if err := t.check(); err != nil {
		return "", err
	}
	body, err := Canonical(t)
	if err != nil {
		return "", err
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(body), nil
}

// ParseEnrolmentToken reads the text. Its errors never quote it.
func ParseEnrolmentToken(text string) (EnrolmentToken, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok || len(encoded) > maxToken {
		return EnrolmentToken{}, fmt.Errorf("%w: an enrolment token begins with %s; copy it whole, on one line", ErrMalformed, tokenPrefix)
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // which base64 skips
		return EnrolmentToken{}, fmt.Errorf("%w: the enrolment token was cut or altered; copy it whole, on one line", ErrMalformed)
	}
	t, err := Decode[EnrolmentToken](body)
	if err != nil {
		return EnrolmentToken{}, err
	}
	return t, t.check()
}

func (t EnrolmentToken) check() error {
	if err := t.Member.Check(); err != nil {
		return err
	}
	if len(t.Secret) != secretSize || t.Federation.IsZero() {
		return fmt.Errorf("%w: the enrolment token lacks a part", ErrMalformed)
	}
	return t.Route.Check()
}

// String hides the secret.
func (t EnrolmentToken) String() string {
	return "enrolment token of " + string(t.Member) + " (hidden)"
}

// LogValue hides the secret from logs.
func (t EnrolmentToken) LogValue() slog.Value { return slog.StringValue(t.String()) }
