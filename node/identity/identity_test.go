package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"coulisse/protocol"
)

func TestIdentifierIsNeverPrinted(t *testing.T) {
	id, err := Email("secretname@example.com")
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Email *Identifier
		Plain Identifier
		List  []Identifier
	}
	r := row{&id, id, []Identifier{id}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb, id)
		fmt.Fprintf(&out, verb, &id)
		fmt.Fprintf(&out, verb, r)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("row", "id", id, "pointer", &id, "row", r)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("row", "id", id, "pointer", &id, "row", r)
	if err := json.NewEncoder(&out).Encode(map[Identifier]any{id: r}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"secretname", "example.com", hex.EncodeToString([]byte("secretname"))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("an identifier was printed: %s", out.String())
		}
	}
	if !strings.Contains(out.String(), "email(hidden)") {
		t.Error("the placeholder is missing")
	}
}

func TestErrorsDoNotHoldTheValue(t *testing.T) {
	for _, v := range vectors(t) {
		_, err := v.normalise()
		if err == nil {
			continue
		}
		// The sentences quote examples such as 514 555-0123; what is checked is
		// that they are constants.
		if reason := err.(Reason); err.Error() != sentences[reason].EN {
			t.Errorf("%s: the error is not its sentence", reason)
		}
	}
}

func TestEveryReasonHasBothLanguages(t *testing.T) {
	for reason, text := range sentences {
		if err := text.Check(); err != nil || reason.Text() != text {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if Reason("no such reason").Text() != (protocol.Text{}) {
		t.Error("an unknown reason has a text")
	}
}

// TestOPRFInput spells the bytes out: they enter every token of a federation.
func TestOPRFInput(t *testing.T) {
	email, err := Email("Marie@Example.com")
	if err != nil {
		t.Fatal(err)
	}
	phone, err := Phone("514 555-0123", "CA")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id   Identifier
		want string
	}{
		{email, "coulisse/1|arts-quebec|1|norm/1|email|\x00|marie@example.com"},
		{phone, "coulisse/1|arts-quebec|1|norm/1|phone|\x00|+15145550123"},
	} {
		if got := string(OPRFInput("arts-quebec", 1, c.id)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := string(OPRFInput("ns", 4294967295, phone)); !strings.HasPrefix(got, "coulisse/1|ns|4294967295|norm/1|") {
		t.Errorf("got %q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a token of nobody was made")
		}
	}()
	OPRFInput("arts-quebec", 1, Identifier{})
}

// TestListsAreWrittenAsTheyAreRead catches an entry that could never match.
func TestListsAreWrittenAsTheyAreRead(t *testing.T) {
	for entry := range roles {
		if strings.Map(dropSeparators, lowerASCII(entry)) != entry {
			t.Errorf("role.txt: %q cannot match", entry)
		}
		if placeholders[entry] {
			t.Errorf("%q is in both lists", entry)
		}
		if id, err := Email(entry + "@example.com"); err != ReasonRoleAddress {
			t.Errorf("role.txt: %q gives %v, %v", entry, id, err)
		}
	}
	for entry := range placeholders {
		address := entry
		switch at := strings.IndexByte(entry, '@'); at {
		case -1:
			address = entry + "@example.com"
		case 0:
			address = "marie" + entry
		}
		if id, err := Email(address); err != ReasonPlaceholder {
			t.Errorf("placeholder.txt: %q gives %v, %v", entry, id, err)
		}
	}
	for _, p := range phonePatterns {
		if p.reason.Text().FR == "" || !isE164(strings.ReplaceAll(p.pattern, "?", "1")) {
			t.Errorf("phone.txt: %q cannot match", p.pattern)
		}
	}
}
