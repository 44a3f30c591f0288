package protocol

import (
	"bytes"
	"errors"
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
	`{"votes":[{"choice":"for","proposal":"` + strings.Repeat("0a", 32) + `"}]}`,
	`{"for":"b","votes":[{"choice":"for","proposal":"` + strings.Repeat("0a", 32) + `"},{"choice":"x","proposal":"` + strings.Repeat("0b", 32) + `"}]}`,
	`{"votes":[]}`, `{"votes":[{"choice":"for","proposal":"` + strings.Repeat("0a", 32) + `"},]}`, `{"for":"","votes":[]}`,
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
	agenda := []Vote{}
	for i := range MaxVotes {
		agenda = append(agenda, Vote{Choice: Against, Proposal: HashOf([]byte{byte(i)})})
	}
	one := Vote{Choice: For, Proposal: HashOf(nil)}
	for _, b := range []Ballot{NewBallot(one), {For: "theatre-du-port", Votes: []Vote{one}}, NewBallot(agenda...)} {
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

func TestBallotsAreBounded(t *testing.T) {
	votes := func(n int) (votes []Vote) {
		for i := range n {
			votes = append(votes, Vote{Choice: For, Proposal: HashOf([]byte{byte(i)})})
		}
		return votes
	}
	full := NewBallot(votes(MaxVotes)...)
	if err := full.Check(); err != nil {
		t.Error(err)
	}
	for i, v := range full.Votes {
		v.Choice = Abstain
		full.Votes[i] = v
		if choice, ok := full.On(v.Proposal); !ok || choice != Abstain {
			t.Errorf("vote %d: %s, %v", i, choice, ok)
		}
	}
	if _, ok := full.On(HashOf([]byte("another"))); ok {
		t.Error("a vote that is not there")
	}
	two := NewBallot(votes(2)...).Votes
	for name, b := range map[string]Ballot{
		"none": {}, "too many": NewBallot(votes(MaxVotes + 1)...),
		"unsorted": {Votes: []Vote{two[1], two[0]}}, "twice": {Votes: []Vote{two[0], two[0]}},
		"twice, otherwise": {Votes: []Vote{two[0], {Choice: Against, Proposal: two[0].Proposal}}},
		"on nothing":       NewBallot(Vote{Choice: For}), "no choice": NewBallot(Vote{Choice: "maybe", Proposal: HashOf(nil)}),
		"for nobody": {For: "Non", Votes: two},
	} {
		if err := b.Check(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
