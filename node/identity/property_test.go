package identity

import (
	"math/rand/v2"
	"net/mail"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"
)

// address draws something near an e-mail address.
func address() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		local := rapid.StringMatching(`[a-zA-Z0-9.+_'!#-]{0,20}|[\x00-\x7f]{0,8}|.{0,8}`).Draw(t, "local")
		domain := rapid.StringMatching(`[a-zA-Z0-9-]{1,12}(\.[a-zA-Z0-9-]{1,8}){0,3}|[à-ÿÀ-ÞK]{1,5}\.[a-z]{2,4}|(gmail|googlemail|GMAIL)\.com|.{0,12}`).Draw(t, "domain")
		return local + "@" + domain
	})
}

// TestAgainstNetMail: whatever this package accepts, Go's own parser of
// RFC 5322 reads as the same single address.
func TestAgainstNetMail(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		id, err := Email(address().Draw(t, "address"))
		if err != nil {
			return
		}
		accepted++
		parsed, err := mail.ParseAddress(id.Reveal())
		if err != nil || parsed.Address != id.Reveal() || parsed.Name != "" {
			t.Fatalf("net/mail reads %q as %v, %v", id.Reveal(), parsed, err)
		}
	})
	if accepted == 0 {
		t.Fatal("the generator makes nothing acceptable")
	}
}

// TestAgainstNetMailBothWays: for plain addresses, what Go's parser refuses is
// refused here as well.
func TestAgainstNetMailBothWays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringMatching(`[a-z.+"(),:;<> ]{0,10}@[a-z]{1,5}\.(com|ca)`).Draw(t, "address")
		_, errMail := mail.ParseAddress(strings.TrimSpace(raw))
		if _, err := Email(raw); err == nil && errMail != nil {
			t.Fatalf("accepted %q, which net/mail refuses: %v", raw, errMail)
		}
	})
}

// TestShortWayOfDomains: a domain that skips IDNA would have come out the same.
func TestShortWayOfDomains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		domain := rapid.StringMatching(`[a-zA-Z0-9.-]{0,24}`).Draw(t, "domain")
		if !plainHost(domain) {
			return
		}
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil || ascii != lowerASCII(domain) {
			t.Fatalf("%q: IDNA gives %q, %v", domain, ascii, err)
		}
	})
}

// TestNoCharacterBecomesASCII tries every character in a domain.
func TestNoCharacterBecomesASCII(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		id, err := Email("marie@a" + string(r) + "a.example")
		if err == nil && !strings.HasPrefix(id.Reveal(), "marie@xn--") {
			t.Errorf("%U gave %q", r, id.Reveal())
		}
		if _, err := Email(string(r) + "marie@example.com"); err == nil && !unicode.IsSpace(r) {
			t.Errorf("%U before the @ was accepted", r)
		}
	}
}

// TestShortWayOfPhones holds the short way against the library for every North
// American area code and for numbers drawn inside it.
func TestShortWayOfPhones(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2)) // which numbers are tried, nothing else
	taken := 0
	for code := 200; code <= 999; code++ {
		for range 12 {
			national := itoa3(code) + itoa3(draw.IntN(1000)) + itoa3(draw.IntN(1000)) + string(rune('0'+draw.IntN(10)))
			short, ok := northAmerican(national, "CA")
			if !ok {
				continue
			}
			taken++
			long, err := subscriber(national, "CA")
			if err != nil || long != short {
				t.Errorf("%s: %q the short way, %q and %v the long way", national, short, long, err)
			}
		}
	}
	if taken < 300 {
		t.Errorf("the short way took only %d numbers", taken)
	}
}

func itoa3(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

func checkOutput(t *testing.T, id Identifier, err error) {
	t.Helper()
	if err != nil {
		if reason, ok := err.(Reason); !ok || reason.Text().EN == "" || !id.IsZero() {
			t.Fatalf("refused with %v and %q", err, id.value)
		}
		return
	}
	for i := range len(id.value) {
		if id.value[i] <= 0x20 || id.value[i] >= 0x7f {
			t.Fatalf("%q has a character that is not visible ASCII", id.value)
		}
	}
	if again, err := Restore(id.Kind, id.value); err != nil || again != id {
		t.Fatalf("Restore(%q): %v", id.value, err)
	}
}

func FuzzEmail(f *testing.F) {
	for _, v := range vectors(f) {
		if v.Kind == KindEmail {
			f.Add(v.Raw)
		}
	}
	f.Add("m\xe9lanie@example.com")
	f.Fuzz(func(t *testing.T, raw string) {
		id, err := Email(raw)
		checkOutput(t, id, err)
		if err != nil {
			return
		}
		if again, err := Email(id.value); err != nil || again != id {
			t.Fatalf("%q is not a fixed point: %q, %v", id.value, again.value, err)
		}
	})
}

func FuzzPhone(f *testing.F) {
	for _, v := range vectors(f) {
		if v.Kind == KindPhone {
			f.Add(v.Raw, v.Region)
		}
	}
	f.Fuzz(func(t *testing.T, raw, region string) {
		id, err := Phone(raw, region)
		checkOutput(t, id, err)
		if err != nil {
			return
		}
		for _, elsewhere := range []string{region, "CA", "FR", ""} {
			if again, err := Phone(id.value, elsewhere); err != nil || again != id {
				t.Fatalf("%q is not a fixed point in %q: %q, %v", id.value, elsewhere, again.value, err)
			}
		}
	})
}

func BenchmarkEmail(b *testing.B) {
	for _, raw := range []string{"Marie.Tremblay@example.com", "marie@théâtre.example"} {
		b.Run(raw[strings.IndexByte(raw, '@')+1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Email(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPhone(b *testing.B) {
	for _, raw := range []string{"(514) 555-0123", "(212) 555-0123", "+33 1 42 68 53 00"} {
		b.Run(raw, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Phone(raw, "CA"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
