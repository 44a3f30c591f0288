package demo

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coulisse/deploy/demo/houses/oracle"
	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/match"
	"coulisse/protocol/record"
)

// The exact answer, from before the noise, equals a brute-force count over the
// shipped files. The product never tells it: the test keeps the uploads that
// the nodes make for the round, and merges them itself.
func TestExactAnswer(t *testing.T) {
	kept := t.TempDir()
	var exact match.Outcome
	play(t, Options{Lang: "en", Between: func(step string, f *Federation) error {
		switch step {
		case "pool/run":
			keepUploads(t, f, kept)
		case "refuse/house": // the result has been exported and checked
			exact = merge(t, statementOf(t, f), kept)
		}
		return nil
	}})
	truth, err := oracle.Read()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := int(exact.Total), truth.AtLeast(atLeast); got != want {
		t.Errorf("the members' uploads give %d people, the files %d", got, want)
	}
	for _, source := range exact.Sources {
		if source.Source != protocol.SourceName(newspaper) {
			continue
		}
		if got, want := int(source.Holds), truth.Labelled(newspaper, atLeast).Pooled; got != want {
			t.Errorf("of the paper's readers the uploads give %d, the files %d", got, want)
		}
	}
}

// keepUploads holds on to every upload, which the nodes delete when the round
// ends: a second link to the file, as soon as it is in place.
func keepUploads(t *testing.T, f *Federation, kept string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	go func() {
		often := time.NewTicker(2 * time.Millisecond) // a round takes less than a second
		defer often.Stop()
		for ctx.Err() == nil {
			files, _ := filepath.Glob(filepath.Join(f.Dir, "*", "rounds", "*", "*.upload")) // the pattern is well formed
			for _, file := range files {
				_ = os.Link(file, filepath.Join(kept, filepath.Base(file))) // it may be linked, or gone; merge misses it then
			}
			select {
			case <-often.C:
			case <-ctx.Done():
			}
		}
	}()
}

// statementOf verifies the exported record of the round.
func statementOf(t *testing.T, f *Federation) record.Statement {
	t.Helper()
	proofs, err := filepath.Glob(filepath.Join(f.Dir, "record", "*"+record.SuffixProof))
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%d proofs: %v", len(proofs), err)
	}
	proof, err := os.ReadFile(proofs[0])
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(f.Dir, "founding.json"))
	if err != nil {
		t.Fatal(err)
	}
	founding, err := protocol.DecodeFile[protocol.Founding](text)
	if err != nil {
		t.Fatal(err)
	}
	view, err := governance.Begin(founding)
	if err != nil {
		t.Fatal(err)
	}
	s, err := record.Verify(view.Federation, proof)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func merge(t *testing.T, s record.Statement, kept string) match.Outcome {
	t.Helper()
	program, err := match.Compile(s.Manifest.Rule, s.Manifest.Sources)
	if err != nil {
		t.Fatal(err)
	}
	inputs := make([]match.Input, len(s.Manifest.Sources))
	for i, source := range s.Manifest.Sources {
		file, err := os.Open(filepath.Join(kept, string(source.Name)+".upload"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		if inputs[i].Upload, err = match.NewReader(file, match.MaxRecords); err != nil {
			t.Fatal(err)
		}
	}
	outcome, err := match.Merge(t.Context(), program, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}
