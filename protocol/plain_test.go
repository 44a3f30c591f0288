package protocol

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// agrees holds what is recognised against package json: it would have read the
// same value, and written the same bytes.
func agrees[T any, R interface {
	*T
	recogniser
}](t *testing.T, raw []byte) (recognised bool) {
	t.Helper()
	var got T
	if !R(&got).recognise(raw) {
		return false
	}
	want, err := decode[T](raw)
	if err != nil {
		t.Fatalf("%q is recognised, and refused by package json: %v", raw, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is recognised as %+v, and package json reads %+v", raw, got, want)
	}
	return true
}

var plainSeeds = []string{
	`{"choice":"for","proposal":"` + strings.Repeat("0a", 32) + `"}`,
	`{"choice":"for","for":"b","proposal":"` + strings.Repeat("0a", 32) + `"}`,
	`{"body":{"a":[1,-2,{}],"b":"é"},"by":"a","head":{"root":"` + strings.Repeat("0a", 32) + `","size":1},"sig":"AAAA"}`,
	`{"body":{"choice":"for"},"by":"a","head":{"root":"` + strings.Repeat("0A", 32) + `","size":1},"sig":"AA=="}`,
	`{"a":-0,"b":01,"c":1e3,"d":1.5}`, `{"b":1,"a":2}`, `{"a":1,"a":2}`, `"\u00e9"`, "\"\xff\"", "\"\x7f\"", `[true,false,null]`, ` 1`,
	`9007199254740993`, `999999999999999`, `{"é":1,"a":2}`, `{"":1}`, `[[[[]]]]`, "\"\u2028\"",
}

func FuzzPlain(f *testing.F) {
	for _, seed := range plainSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if isPlain(raw) {
			value := jsontext.Value(raw).Clone()
			if err := value.Canonicalize(); err != nil || !bytes.Equal(value, raw) {
				t.Fatalf("%q is taken for canonical, which is %q (%v)", raw, value, err)
			}
		}
		agrees[Ballot](t, raw)
		agrees[Signed[Ballot]](t, raw)
		agrees[Signed[jsontext.Value]](t, raw)
	})
}

// TestBallotsAreRecognised makes sure that the quick path is taken at all.
func TestBallotsAreRecognised(t *testing.T) {
	head := Head{Size: 12, Root: HashOf(nil)}
	for _, b := range []Ballot{{Choice: For, Proposal: HashOf(nil)}, {Choice: Abstain, For: "theatre-du-port", Proposal: HashOf(nil)}} {
		body, err := Canonical(b)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Canonical(Signed[Ballot]{Body: body, By: "opera", Head: head, Sig: make([]byte, 64)})
		if err != nil {
			t.Fatal(err)
		}
		if !isPlain(s) || !agrees[Ballot](t, body) || !agrees[Signed[Ballot]](t, s) {
			t.Errorf("not recognised: %s", s)
		}
	}
}
