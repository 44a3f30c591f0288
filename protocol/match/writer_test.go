package match

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"coulisse/protocol"
)

// made is what a writer made, read back: the real pseudonyms in order with their
// rows, without the padding.
type made struct {
	receipt    Receipt
	pseudonyms []Pseudonym
	rows       []Row
}

func make1(t *testing.T, c WriterConfig, order []int) made {
	t.Helper()
	w := NewWriter(c)
	defer w.Close()
	for _, p := range order {
		token := tokenOf(person(p))
		if err := w.Add(&token, Row(p)); err != nil {
			t.Fatal(err)
		}
	}
	var upload, rows bytes.Buffer
	m := made{}
	var err error
	m.receipt, err = w.Finish(context.Background(), newWorld(nil).header(0), &upload, &rows)
	if err != nil {
		t.Fatal(err)
	}
	r := reader(t, upload.Bytes())
	rr, err := NewRowReader(&rows)
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		row, own, rowErr := rr.Next()
		if err == io.EOF && rowErr == io.EOF {
			break
		}
		if err != nil || rowErr != nil {
			t.Fatal(err, rowErr)
		}
		if own {
			m.pseudonyms, m.rows = append(m.pseudonyms, p), append(m.rows, row)
		}
	}
	if r.Digest() != m.receipt.Digest || rr.upload != r.Digest() || r.Header().Count != m.receipt.Count {
		t.Fatalf("receipt %+v does not fit the upload", m.receipt)
	}
	return m
}

func TestExternalSortEqualsMemorySort(t *testing.T) {
	key := Derive(NewRoundKey(), manifestHash).Token
	// Thirty thousand, a third of them twice and under another row.
	order := rand.New(rand.NewPCG(1, 2)).Perm(30_000)
	order = append(order, order[:10_000]...)
	inMemory := make1(t, WriterConfig{Key: key, Folder: "/nonexistent"}, order)
	folder := t.TempDir()
	spilled := make1(t, WriterConfig{Key: key, Folder: folder, Memory: 1}, order)
	if !slices.Equal(inMemory.pseudonyms, spilled.pseudonyms) || !slices.Equal(inMemory.rows, spilled.rows) {
		t.Error("the two sorts differ")
	}
	if inMemory.receipt.People != 30_000 || spilled.receipt.People != 30_000 || spilled.receipt.Count != PaddedCount(30_000) {
		t.Errorf("receipts %+v and %+v", inMemory.receipt, spilled.receipt)
	}
	// The rows are those of the tokens, by the slow way.
	for i, row := range inMemory.rows {
		token := tokenOf(person(row))
		if key.Pseudonym(&token) != inMemory.pseudonyms[i] {
			t.Fatal("a row is not behind its pseudonym")
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("Close left %d files: %v", len(left), err)
	}
}

// TestWhateverTheMemory: the same people come out however many fit, and however
// many were announced.
func TestWhateverTheMemory(t *testing.T) {
	key := Derive(NewRoundKey(), manifestHash).Token
	limit := 3 * minBatch // records
	for _, people := range []int{0, 1, minBatch, minBatch + 1, limit - minBatch, limit - minBatch + 1, limit - 1, limit, limit + 1, 3*limit + 5} {
		order := rand.New(rand.NewPCG(1, 2)).Perm(people)
		want := make1(t, WriterConfig{Key: key, Folder: "/nonexistent"}, order)
		for _, announced := range []int{0, 1, people, 2 * people, MaxRecords} {
			got := make1(t, WriterConfig{Key: key, Folder: t.TempDir(), Memory: limit * recordMemory, People: announced}, order)
			if !slices.Equal(got.pseudonyms, want.pseudonyms) || !slices.Equal(got.rows, want.rows) || got.receipt.Count != want.receipt.Count {
				t.Errorf("%d people of whom %d were announced: %+v, want %+v", people, announced, got.receipt, want.receipt)
			}
		}
	}
}

func TestSpillsAreForTheNodeOnly(t *testing.T) {
	folder := t.TempDir()
	w := NewWriter(WriterConfig{Key: Derive(NewRoundKey(), manifestHash).Token, Folder: folder, Memory: 1})
	defer w.Close()
	for p := range 6 * minBatch {
		token := tokenOf(person(p))
		if err := w.Add(&token, Row(p)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if cap(w.memory) > w.limit {
		t.Errorf("%d records in memory, the limit is %d", cap(w.memory), w.limit)
	}
}

func TestTheLowestRowOfAPersonIsKept(t *testing.T) {
	key := Derive(NewRoundKey(), manifestHash).Token
	for name, memory := range map[string]int{"memory": 0, "spilled": 1} {
		w := NewWriter(WriterConfig{Key: key, Folder: t.TempDir(), Memory: memory})
		token := tokenOf(1)
		for i := range 4 * minBatch {
			if err := w.Add(&token, Row(9000-i)); err != nil {
				t.Fatal(err)
			}
		}
		var rows bytes.Buffer
		receipt, err := w.Finish(context.Background(), newWorld(nil).header(0), io.Discard, &rows)
		if err != nil || receipt.People != 1 || receipt.Count != MinRecords {
			t.Fatalf("%s: %+v %v", name, receipt, err)
		}
		rr, err := NewRowReader(&rows)
		if err != nil {
			t.Fatal(err)
		}
		var found []Row
		for {
			row, own, err := rr.Next()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if own {
				found = append(found, row)
			}
		}
		if want := Row(9000 - 4*minBatch + 1); !slices.Equal(found, []Row{want}) {
			t.Errorf("%s: rows %v, want %d", name, found, want)
		}
		w.Close()
	}
}

// What two sources with different numbers of people send cannot be told apart by
// its size, even if one of them has nobody.
func TestEmptyAndSmallSourcesLookAlike(t *testing.T) {
	w := newWorld(people(0, 0), people(0, 700))
	a, _ := w.upload(t, 0)
	b, _ := w.upload(t, 1)
	if len(a) != len(b) {
		t.Errorf("%d and %d bytes", len(a), len(b))
	}
}

// The padding of two uploads never meets, nor does it come again.
func TestPaddingIsRandom(t *testing.T) {
	w := newWorld(people(0, 0))
	seen := map[Pseudonym]bool{}
	for range 4 {
		upload, _ := w.upload(t, 0)
		r := reader(t, upload)
		for p, err := r.Next(); err != io.EOF; p, err = r.Next() {
			if err != nil || seen[p] {
				t.Fatal("a padding record came twice", err)
			}
			seen[p] = true
		}
	}
}

func TestAnUploadIsMadeOnce(t *testing.T) {
	w := NewWriter(WriterConfig{Key: Derive(NewRoundKey(), manifestHash).Token})
	token := tokenOf(1)
	if err := w.Add(&token, noRow); !errors.Is(err, protocol.ErrMalformed) {
		t.Error(err)
	}
	h := newWorld(nil).header(0)
	if _, err := w.Finish(context.Background(), h, io.Discard, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(context.Background(), h, io.Discard, nil); err == nil {
		t.Error("finished twice")
	}
	if err := w.Add(&token, 1); err == nil {
		t.Error("added after the end")
	}
}

func TestFinishReportsWhatFailed(t *testing.T) {
	key := Derive(NewRoundKey(), manifestHash).Token
	h := newWorld(nil).header(0)
	broken := errors.New("the disk broke")
	for name, c := range map[string]struct {
		upload, rows io.Writer
		header       Header
		want         error
	}{
		"upload":      {failing{broken}, nil, h, broken},
		"rows":        {io.Discard, failing{broken}, h, broken},
		"bad header":  {io.Discard, nil, Header{Source: h.Source}, ErrHeader},
		"bad header2": {io.Discard, nil, Header{Round: h.Round, Source: "S"}, ErrHeader},
	} {
		w := NewWriter(WriterConfig{Key: key})
		if _, err := w.Finish(context.Background(), c.header, c.upload, c.rows); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		w.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := NewWriter(WriterConfig{Key: key, Folder: t.TempDir(), Memory: 1})
	defer w.Close()
	for p := range 70_000 {
		token := tokenOf(person(p))
		if err := w.Add(&token, Row(p)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(ctx, h, io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	w = NewWriter(WriterConfig{Key: key, Folder: "/nonexistent", Memory: 1})
	defer w.Close()
	var err error
	for p := range 2*minBatch + 1 {
		token := tokenOf(person(p))
		if err = w.Add(&token, Row(p)); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder to spill into: %v", err)
	}
}
