package protocol

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// The examples of RFC 8785: section 3.2.2 and 3.2.4 (the UTF-8 of the
// canonical form), section 3.2.3 (sorting by UTF-16 code units), appendix B
// (numbers).

func TestRFC8785Object(t *testing.T) {
	const input = `{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}`
	const want = "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a" +
		"5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a" +
		"22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d"
	got, err := Canonical(jsontext.Value(input))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestRFC8785Sorting(t *testing.T) {
	const input = `{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",` +
		`"1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`
	got, err := Canonical(jsontext.Value(input))
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for _, name := range []string{"Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis",
		"Euro Sign", "Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh"} {
		next := strings.Index(string(got), name)
		if next <= at {
			t.Fatalf("%s is out of order in %s", name, got)
		}
		at = next
	}
}

func TestRFC8785Numbers(t *testing.T) {
	for input, want := range map[string]string{
		"0": "0", "-0": "0", "5e-324": "5e-324", "1.7976931348623157e308": "1.7976931348623157e+308",
		"9007199254740992": "9007199254740992", "295147905179352830000": "295147905179352830000",
		"9.999999999999997e22": "9.999999999999997e+22", "1e23": "1e+23", "999999999999999900000": "999999999999999900000",
		"1e21": "1e+21", "0.000001": "0.000001", "1e-7": "1e-7", "333333333.3333332": "333333333.3333332",
		"1424953923781206.2": "1424953923781206.2", "-0.0000033333333333333333": "-0.0000033333333333333333",
	} {
		got, err := Canonical(jsontext.Value(input))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", input, got, err, want)
		}
	}
}

func TestDecodeTakesOneSpelling(t *testing.T) {
	h := HashOf(nil).String()
	vote := `{"choice":"for","proposal":"` + h + `"}`
	if _, err := Decode[Ballot]([]byte(`{"votes":[` + vote + `]}`)); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"spaces":        `{"votes": [` + vote + `]}`,
		"another order": `{"votes":[{"proposal":"` + h + `","choice":"for"}]}`,
		"unknown name":  `{"votes":[` + vote + `],"x":1}`,
		"name twice":    `{"votes":[` + vote + `],"votes":[` + vote + `]}`,
		"other case":    `{"Votes":[` + vote + `]}`,
		"missing name":  `{"votes":[{"choice":"for"}]}`,
		"no votes":      `{}`,
		"null":          `null`,
		"null field":    `{"votes":null}`,
		"for nobody":    `{"for":"","votes":[` + vote + `]}`,
		"escapes":       `{"votes":[{"choice":"\u0066or","proposal":"` + h + `"}]}`,
		"upper case":    `{"votes":[{"choice":"for","proposal":"` + strings.ToUpper(h) + `"}]}`,
		"trailing":      `{"votes":[` + vote + `]}{}`,
		"a comma":       `{"votes":[` + vote + `,]}`,
		"nothing":       ``,
		"bad UTF-8":     "{\"votes\":[{\"choice\":\"\xff\",\"proposal\":\"" + h + "\"}]}",
	} {
		if _, err := Decode[Ballot]([]byte(raw)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, raw := range map[string]string{
		"explicit null": `{"manifest":"` + h + `","refusal":null,"round":"` + strings.Repeat("0", 32) + `"}`,
		"a fraction":    `{"at":1.0,"head":{"root":"` + h + `","size":1}}`,
	} {
		if _, err := Decode[Ack]([]byte(raw)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Beyond 2^53 a number would not be read as it was meant.
	if _, err := Decode[Heading]([]byte(`{"at":9007199254740993,"head":{"root":"` + h + `","size":1}}`)); !errors.Is(err, ErrMalformed) {
		t.Errorf("an inexact number: %v", err)
	}
}

func TestDecodeFileForgivesLayoutOnly(t *testing.T) {
	b := NewBallot(Vote{Proposal: HashOf(nil), Choice: Against})
	text, err := Indented(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeFile[Ballot](text); err != nil || !reflect.DeepEqual(got, b) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := DecodeFile[Ballot]([]byte(`{"votes":[{"choice":"for"}]}`)); !errors.Is(err, ErrMalformed) {
		t.Errorf("a missing field: %v", err)
	}
}

// oneSpelling: whatever Decode takes is the canonical encoding of what it
// gives.
func oneSpelling[T any](t *testing.T, raw []byte) {
	t.Helper()
	v, err := Decode[T](raw)
	if err != nil {
		if !errors.Is(err, ErrMalformed) {
			t.Fatalf("an unnamed error: %v", err)
		}
		return
	}
	again, err := Canonical(v)
	if err != nil || string(again) != string(raw) {
		t.Fatalf("%s was taken and is written %s (%v)", raw, again, err)
	}
}

func FuzzDecode(f *testing.F) {
	h := HashOf(nil).String()
	round := strings.Repeat("0", 32)
	for _, seed := range []string{
		`{"votes":[{"choice":"for","proposal":"` + h + `"}]}`,
		`{"for":"a","votes":[{"choice":"for","proposal":"` + h + `"},{"choice":"abstain","proposal":"` + h + `"}]}`,
		`{"by":"a","body":{},"head":{"root":"` + h + `","size":1},"sig":"AA=="}`,
		`{"manifest":"` + h + `","refusal":{"en":"No","fr":"Non"},"round":"` + round + `"}`,
		`{"at":1,"doc":{},"label":"ballot","seq":0}`,
		`{"count":1,"epoch":1,"root":"` + h + `","sequence":1}`,
		`{"closes":1,"effect":{"expel":"a"},"reason":{"en":"a","fr":"b"},"title":{"en":"a","fr":"b"}}`,
		`[]`, `null`, `1e400`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		oneSpelling[Signed[Ballot]](t, raw)
		oneSpelling[Entry](t, raw)
		oneSpelling[Ballot](t, raw)
		oneSpelling[Ack](t, raw)
		oneSpelling[Ticket](t, raw)
		oneSpelling[Proposal](t, raw)
		oneSpelling[Manifest](t, raw)
		oneSpelling[Result](t, raw)
		oneSpelling[Founding](t, raw)
	})
}

func FuzzDecodeFile(f *testing.F) {
	f.Add([]byte(" {\n \"votes\": [ {\"choice\": \"for\", \"proposal\": \"" + HashOf(nil).String() + "\"} ] }"))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeFile[Ballot](raw)
		if err != nil {
			return
		}
		text, err := Indented(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodeFile[Ballot](text); err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%+v came back as %+v (%v)", b, again, err)
		}
	})
}

func FuzzHash(f *testing.F) {
	f.Add(HashOf(nil).String())
	f.Add(strings.ToUpper(HashOf(nil).String()))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if h, err := ParseHash(s); err == nil && h.String() != s {
			t.Fatalf("%q was taken and is written %q", s, h)
		}
	})
}

func enrolmentToken() EnrolmentToken {
	return EnrolmentToken{
		Member: "theatre-du-fleuve", Route: Route{Addresses: []string{"127.0.0.1:7400"}, Keys: []Hash{HashOf([]byte("key"))}},
		Federation: HashOf([]byte("genesis")), Secret: make([]byte, secretSize),
	}
}

func TestEnrolmentToken(t *testing.T) {
	text, err := enrolmentToken().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseEnrolmentToken("  " + text + "\n")
	if err != nil || got.Federation != enrolmentToken().Federation {
		t.Fatalf("%v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"cut": text[:len(text)-4], "no prefix": text[5:], "empty": "", "endless": text + strings.Repeat("A", maxToken),
		"two lines": text[:30] + "\n" + text[30:], "padded": text + "==",
	} {
		if _, err := ParseEnrolmentToken(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), text[20:40]) {
			t.Errorf("%s: the error quotes the token", name)
		}
	}
	if strings.Contains(got.String(), "AAAA") {
		t.Error("the token prints its secret")
	}
}

func FuzzParseEnrolmentToken(f *testing.F) {
	text, err := enrolmentToken().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(tokenPrefix)
	f.Add(tokenPrefix + "e30")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := ParseEnrolmentToken(s)
		if err != nil {
			return
		}
		if again, err := token.Encode(); err != nil || again != strings.TrimSpace(s) {
			t.Fatalf("%q was taken and is written %q (%v)", s, again, err)
		}
	})
}
