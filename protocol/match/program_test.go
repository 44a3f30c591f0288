package match

import (
	"errors"
	"testing"

	"coulisse/protocol"

	"pgregory.net/rapid"
)

func TestCompileRefusesWhatPaddingCouldSatisfy(t *testing.T) {
	w := newWorld(nil, nil, nil)
	w.sources[2].Member = w.sources[0].Member
	for name, rule := range map[string]protocol.Rule{
		"one source":           source(0),
		"union":                some(source(0), source(1)),
		"at least one":         atLeast(1, 0, 1),
		"a way with one":       some(all(source(0), source(1)), source(1)),
		"one but not another":  except(source(0), source(1)),
		"two of one member":    all(source(0), source(2)),
		"several, or a member": some(atLeast(2, 0, 1), all(source(0), source(2))),
	} {
		if _, err := Compile(rule, w.sources); !errors.Is(err, ErrPaddable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Compile(atLeast(2, 0, 2), w.sources); !errors.Is(err, protocol.ErrMalformed) || errors.Is(err, ErrPaddable) {
		t.Errorf("at least two members of one: %v", err)
	}
	if _, err := Compile(all(source(0), source(1)), append(w.sources, w.sources[0])); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("a source twice: %v", err)
	}
}

// Every set of sources, through the program and through the meaning.
func TestProgramIsTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		k := len(w.sources)
		rule := all(drawRule(t, k, 1), some(atLeast(2, 0, 1), atLeast(2, rapid.Permutation([]int{0, 1, k - 1}[:min(k, 3)]).Draw(t, "of")...)))
		p, err := Compile(rule, w.sources)
		if errors.Is(err, protocol.ErrMalformed) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for set := range uint64(1) << k {
			known := map[protocol.SourceName]bool{}
			for i := range k {
				if set>>i&1 == 1 {
					known[w.sources[i].Name] = true
				}
			}
			if got, want := p.holds([]uint64{set}), w.satisfies(rule, known); got != want {
				t.Fatalf("%b: program says %v, rule says %v", set, got, want)
			}
			if len(known) < p.least && p.holds([]uint64{set}) {
				t.Fatalf("holds for %d sources, below its least %d", len(known), p.least)
			}
		}
	})
}
