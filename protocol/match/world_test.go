package match

import (
	"bytes"
	"context"
	"crypto/sha512"
	"fmt"
	"maps"
	"slices"

	"coulisse/protocol"

	"pgregory.net/rapid"
)

// The tests' world: invented people, whose tokens are a plain hash, and sources
// that know some of them. A person's row in a source is told by rowOf.
type person int

func tokenOf(p person) [64]byte { return sha512.Sum512(fmt.Appendf(nil, "person %d", p)) }

func rowOf(source int, p person) Row { return Row(1000*source + 7*int(p)) }

const roundID = protocol.RoundID("00112233445566778899aabbccddeeff")

var manifestHash = protocol.HashOf([]byte("the manifest"))

// world is a round's sources and whom each knows.
type world struct {
	keys    Keys
	sources []protocol.Source
	people  []map[person]bool
}

func newWorld(people ...map[person]bool) *world {
	w := &world{keys: Derive(NewRoundKey(), manifestHash), people: people}
	for i := range people {
		w.sources = append(w.sources, protocol.Source{
			Name:   sourceName(i),
			Member: protocol.MemberID(fmt.Sprintf("member-%d", i)),
		})
	}
	return w
}

func (w *world) header(source int) Header {
	return Header{Round: roundID, Manifest: manifestHash, Source: w.sources[source].Name}
}

// upload makes a source's upload and rows.
func (w *world) upload(t rapid.TB, source int) (upload, rows []byte) {
	t.Helper()
	writer := NewWriter(WriterConfig{Key: w.keys.Token})
	defer writer.Close()
	for _, p := range slices.Collect(maps.Keys(w.people[source])) {
		token := tokenOf(p)
		if err := writer.Add(&token, rowOf(source, p)); err != nil {
			t.Fatal(err)
		}
	}
	var up, ro bytes.Buffer
	receipt, err := writer.Finish(context.Background(), w.header(source), &up, &ro)
	if err != nil {
		t.Fatal(err)
	}
	if int(receipt.People) != len(w.people[source]) {
		t.Fatalf("%d people uploaded, want %d", receipt.People, len(w.people[source]))
	}
	return up.Bytes(), ro.Bytes()
}

// known are the sources that know a person.
func (w *world) known(p person) map[protocol.SourceName]bool {
	set := map[protocol.SourceName]bool{}
	for i, people := range w.people {
		if people[p] {
			set[w.sources[i].Name] = true
		}
	}
	return set
}

func (w *world) owner(name protocol.SourceName) protocol.MemberID {
	for _, s := range w.sources {
		if s.Name == name {
			return s.Member
		}
	}
	return ""
}

// satisfies is the meaning of a rule, by names and sets: what the compiled
// program is compared with.
func (w *world) satisfies(r protocol.Rule, known map[protocol.SourceName]bool) bool {
	switch {
	case r.Source != "":
		return known[r.Source]
	case r.AtLeast != nil:
		members := map[protocol.MemberID]bool{}
		for _, s := range r.AtLeast.Of {
			if known[s] {
				members[w.owner(s)] = true
			}
		}
		return len(members) >= r.AtLeast.T
	case r.Except != nil:
		return w.satisfies(r.Except.Rule, known) && !w.satisfies(r.Except.Not, known)
	case r.All != nil:
		return !slices.ContainsFunc(r.All, func(p protocol.Rule) bool { return !w.satisfies(p, known) })
	default:
		return slices.ContainsFunc(r.Any, func(p protocol.Rule) bool { return w.satisfies(p, known) })
	}
}

func sourceName(i int) protocol.SourceName { return protocol.SourceName(fmt.Sprintf("source-%d", i)) }

func source(i int) protocol.Rule { return protocol.Rule{Source: sourceName(i)} }

func atLeast(t int, of ...int) protocol.Rule {
	a := &protocol.AtLeast{T: t}
	for _, i := range of {
		a.Of = append(a.Of, sourceName(i))
	}
	return protocol.Rule{AtLeast: a}
}

func all(r ...protocol.Rule) protocol.Rule  { return protocol.Rule{All: r} }
func some(r ...protocol.Rule) protocol.Rule { return protocol.Rule{Any: r} }
func except(r, not protocol.Rule) protocol.Rule {
	return protocol.Rule{Except: &protocol.Except{Rule: r, Not: not}}
}

func people(from, to int) map[person]bool {
	set := map[person]bool{}
	for p := from; p < to; p++ {
		set[person(p)] = true
	}
	return set
}

func reader(t rapid.TB, upload []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(upload), MaxRecords)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
