package record_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/record"

	"github.com/go-json-experiment/json"
)

// published is a town with a published round, and its record.
func published(t *testing.T) (*Town, record.Record) {
	t.Helper()
	town := Found(t, 3).Keyed()
	r := town.Begin(town.Manifest(town.Members[0], town.Members[1]))
	if _, err := record.Build(&town.Log, r.ID); !errors.Is(err, federation.ErrRefused) {
		t.Fatalf("a round without a result: %v", err)
	}
	town.Advance(r.ID, federation.Published)
	// Later decisions do not enter it.
	town.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "apres", Text: "x"}})
	rec, err := record.Build(&town.Log, r.ID)
	town.Must(err)
	rec.Heading = SignReplica(town, protocol.Heading{Head: town.Head(), At: town.Now})
	return town, rec
}

func TestRecord(t *testing.T) {
	town, rec := published(t)
	s, err := rec.Verify(town.Federation)
	if err != nil {
		t.Fatal(err)
	}
	if s.Initiator != town.Members[0].ID || len(s.Accepted) != 2 || s.Result.Size.Value != 500 || s.View.Decisions != 1 {
		t.Fatalf("%+v", s)
	}
	if _, err := rec.Verify(protocol.HashOf(nil)); !errors.Is(err, record.ErrRecord) {
		t.Errorf("another federation: %v", err)
	}
	text, err := protocol.Indented(rec)
	town.Must(err)
	again, err := protocol.DecodeFile[record.Record](text)
	town.Must(err)
	if _, err := again.Verify(town.Federation); err != nil {
		t.Errorf("the file does not verify: %v", err)
	}
}

// TestEveryAlterationIsCaught changes every single value of the file, one at a
// time, and drops every field and element.
func TestEveryAlterationIsCaught(t *testing.T) {
	town, rec := published(t)
	text, err := protocol.Canonical(rec)
	town.Must(err)
	var root any
	town.Must(json.Unmarshal(text, &root))
	tried := 0
	try := func(path string) {
		tried++
		altered, err := json.Marshal(root)
		town.Must(err)
		bad, err := protocol.DecodeFile[record.Record](altered)
		if err != nil {
			return
		}
		if _, err := bad.Verify(town.Federation); !errors.Is(err, record.ErrRecord) {
			t.Errorf("%s was altered: %v", path, err)
		}
	}
	walk("", root, func(v any) { root = v }, try)
	if tried < 400 {
		t.Errorf("only %d alterations were tried", tried)
	}
	t.Logf("%d alterations", tried)
}

// walk calls try with each value altered, and puts it back.
func walk(path string, v any, set func(any), try func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			walk(path+"."+name, child, func(c any) { v[name] = c }, try)
			delete(v, name)
			try(path + "." + name + " dropped")
			v[name] = child
		}
	case []any:
		for i, child := range v {
			walk(fmt.Sprint(path, "[", i, "]"), child, func(c any) { v[i] = c }, try)
		}
		if len(v) > 0 {
			set(v[:len(v)-1])
			try(path + " shortened")
			set(append(v[:len(v):len(v)], v[0]))
			try(path + " lengthened")
			set(v)
		}
	case string:
		for _, other := range flips(v) {
			set(other)
			try(path)
		}
		set(v)
	case float64:
		for _, other := range []float64{v + 1, -v - 1} {
			set(other)
			try(path)
		}
		set(v)
	case bool:
		set(!v)
		try(path)
		set(v)
	}
}

// flips are a text with its middle and its last letter changed.
func flips(s string) []any {
	if s == "" {
		return []any{"x"}
	}
	flipped := []any{}
	for _, i := range []int{len(s) / 2, len(strings.TrimRight(s, "=")) - 1} {
		c := byte('a')
		if s[i] == c {
			c = 'b'
		}
		flipped = append(flipped, s[:i]+string(c)+s[i+1:])
	}
	return flipped
}
