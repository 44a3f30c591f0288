package identity

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestAgainstOtherImplementations holds the profile against two that share no
// code with ours: google-libphonenumber 3.2.47, Google's own in JavaScript, and
// tr46 6.0.0. testdata/oracle.mjs made testdata/oracle.json from them.
func TestAgainstOtherImplementations(t *testing.T) {
	data, err := os.ReadFile("testdata/oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var oracle struct {
		Phones  []struct{ Raw, Region, E164, Type string }
		Domains []struct{ In, ASCII string }
	}
	if err := json.Unmarshal(data, &oracle); err != nil {
		t.Fatal(err)
	}
	for _, p := range oracle.Phones {
		want := p.E164
		switch p.Type {
		case "TOLL_FREE", "PREMIUM_RATE", "SHARED_COST", "UAN", "VOICEMAIL", "PAGER":
			want = "" // valid there, refused here as a service's
		}
		if id, err := Phone(p.Raw, p.Region); id.Reveal() != want {
			t.Errorf("%s in %s: got %q (%v), the oracle says %q (%s)", p.Raw, p.Region, id.Reveal(), err, want, p.Type)
		}
	}
	for _, d := range oracle.Domains {
		want := d.ASCII
		for _, r := range d.In {
			if r >= 0x80 && becomesASCII(r) {
				want = "" // mapped there, refused here on purpose
			}
		}
		id, err := Email("marie@" + d.In)
		if _, got, _ := strings.Cut(id.Reveal(), "@"); got != want {
			t.Errorf("%q: got %q (%v), the oracle says %q", d.In, got, err, want)
		}
	}
}
