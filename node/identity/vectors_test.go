package identity

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// vector is one line of testdata/vectors.json, which are the profile: a
// changed expectation there is another profile.
type vector struct {
	Kind   Kind   `json:"kind"`
	Raw    string `json:"raw"`
	Region string `json:"region"`
	Want   string `json:"want"`
	Reason Reason `json:"reason"`
	Note   string `json:"note"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (v vector) normalise() (Identifier, error) {
	if v.Kind == KindPhone {
		return Phone(v.Raw, v.Region)
	}
	return Email(v.Raw)
}

func TestVectors(t *testing.T) {
	met := make(map[Reason]bool)
	for _, v := range vectors(t) {
		id, err := v.normalise()
		if v.Want != "" {
			if err != nil || id != (Identifier{v.Kind, v.Want}) {
				t.Errorf("%q (%s): got %q, %v; want %q", v.Raw, v.Note, id.value, err, v.Want)
			}
			continue
		}
		met[v.Reason] = true
		var reason Reason
		if !errors.As(err, &reason) || reason != v.Reason || !id.IsZero() {
			t.Errorf("%q (%s): got %q, reason %q; want reason %q", v.Raw, v.Note, id.value, reason, v.Reason)
		}
	}
	for reason := range sentences {
		// Invalid UTF-8 cannot be written in JSON: TestInvalidUTF8 has it.
		if !met[reason] && reason != ReasonBadEncoding {
			t.Errorf("no vector is refused as %s", reason)
		}
	}
}

func TestInvalidUTF8(t *testing.T) {
	for _, raw := range []string{"m\xe9lanie@example.com", "marie@th\xe9\xe2tre.ca", "marie@example.com\xff"} {
		if _, err := Email(raw); err != ReasonBadEncoding {
			t.Errorf("Email(%q): %v", raw, err)
		}
	}
	if _, err := Phone("514\xa0555-0123", "CA"); err != ReasonBadEncoding {
		t.Errorf("Phone: %v", err)
	}
}

func TestRestore(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Want == "" {
			continue
		}
		id, err := Restore(v.Kind, v.Want)
		if err != nil || id.Reveal() != v.Want || id.Kind != v.Kind {
			t.Errorf("Restore(%s, %q): %v", v.Kind, v.Want, err)
		}
	}
	for _, bad := range [][2]string{
		{"email", "Marie@example.com"}, {"email", "m.arie@gmail.com"}, {"email", " marie@example.com"},
		{"email", ""}, {"email", "+15145550123"}, {"email", "marie@bücher.example"},
		{"phone", "15145550123"}, {"phone", "+1 514 555 0123"}, {"phone", "+05145550123"}, {"phone", "+"},
		{"phone", "marie@example.com"}, {"phone", "+1234567890123456"}, {"", "marie@example.com"},
	} {
		if id, err := Restore(Kind(bad[0]), bad[1]); err != ErrNotNormalised || !id.IsZero() {
			t.Errorf("Restore(%q, %q) = %v, %v", bad[0], bad[1], id, err)
		}
	}
	// The lists grow; those who are stored stay.
	if _, err := Restore(KindEmail, "info@example.com"); err != nil {
		t.Errorf("Restore applied the list of roles: %v", err)
	}
}
