package duties

import (
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/match"
)

// Seven sigma away nothing is left to chance: a count of nobody is never
// published, and a large one lies in its interval's neighbourhood.
func TestNoised(t *testing.T) {
	m := protocol.Manifest{
		Noise:   protocol.Noise{Total: 100, Sources: 400},
		Sources: []protocol.Source{{Name: "empty"}, {Name: "full"}},
	}
	exact := match.Outcome{Total: 1000, Sources: []match.SourceOutcome{{Source: "empty"}, {Source: "full", Holds: 5000}}}
	ref := protocol.RoundRef{Round: "00112233445566778899aabbccddeeff", Manifest: protocol.HashOf(nil)}
	for range 100 {
		r, err := noised(ref, m, 150, exact)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		if f := r.Size; f.Value < 900 || f.Value > 1100 || f.Value-f.Low != f.High-f.Value || f.Variance != 100 {
			t.Fatalf("of 1000: %+v", f)
		}
		if f := r.Sources[0]; f.Source != "empty" || f.Figure != (protocol.Figure{Suppressed: protocol.BelowFloor, Variance: 400}) {
			t.Fatalf("of nobody: %+v", f)
		}
		if f := r.Sources[1]; f.Source != "full" || f.Figure.Value < 4800 || f.Figure.Value > 5200 {
			t.Fatalf("of 5000: %+v", f)
		}
	}
}
