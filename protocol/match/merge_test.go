package match

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"coulisse/protocol"

	"pgregory.net/rapid"
)

// drawRule draws a rule over k sources.
func drawRule(t *rapid.T, k, depth int) protocol.Rule {
	form := rapid.IntRange(0, 5).Draw(t, "form")
	if depth >= 4 {
		form %= 2
	}
	parts := func() []protocol.Rule {
		list := make([]protocol.Rule, rapid.IntRange(1, 3).Draw(t, "parts"))
		for i := range list {
			list[i] = drawRule(t, k, depth+1)
		}
		return list
	}
	switch form {
	case 0:
		return source(rapid.IntRange(0, k-1).Draw(t, "source"))
	case 1:
		of := rapid.SliceOfNDistinct(rapid.IntRange(0, k-1), 1, k, rapid.ID[int]).Draw(t, "of")
		return atLeast(rapid.IntRange(1, len(of)).Draw(t, "t"), of...)
	case 2:
		return all(parts()...)
	case 3:
		return some(parts()...)
	default:
		return except(drawRule(t, k, depth+1), drawRule(t, k, depth+1))
	}
}

// drawWorld draws two to seven sources with overlapping people. Some members
// have two sources.
func drawWorld(t *rapid.T) *world {
	k := rapid.IntRange(2, 7).Draw(t, "sources")
	sets := make([]map[person]bool, k)
	for i := range sets {
		sets[i] = map[person]bool{}
		for _, p := range rapid.SliceOfN(rapid.IntRange(0, 40), 0, 40).Draw(t, "people") {
			sets[i][person(p)] = true
		}
	}
	w := newWorld(sets...)
	for i := 2; i < k; i++ {
		w.sources[i].Member = w.sources[rapid.IntRange(0, i).Draw(t, "member")].Member
	}
	return w
}

// mergeAll runs a rule with every source as a recipient, and returns each
// source's labelled rows.
func (w *world) mergeAll(t rapid.TB, p *Program, cut func(io.Reader) io.Reader) (Outcome, [][]Row) {
	t.Helper()
	inputs := make([]Input, len(w.sources))
	labels := make([]bytes.Buffer, len(w.sources))
	rows := make([][]byte, len(w.sources))
	for i := range w.sources {
		var upload []byte
		upload, rows[i] = w.upload(t, i)
		r, err := NewReader(cut(bytes.NewReader(upload)), MaxRecords)
		if err != nil {
			t.Fatal(err)
		}
		inputs[i] = Input{Upload: r, Labels: &labels[i]}
	}
	outcome, err := Merge(context.Background(), p, inputs)
	if err != nil {
		t.Fatal(err)
	}
	labelled := make([][]Row, len(w.sources))
	for i := range w.sources {
		lr, err := NewLabelReader(cut(bytes.NewReader(labels[i].Bytes())), MaxRecords)
		if err != nil {
			t.Fatal(err)
		}
		rr, err := NewRowReader(cut(bytes.NewReader(rows[i])))
		if err != nil {
			t.Fatal(err)
		}
		err = Labelled(lr, rr, func(r Row) error {
			labelled[i] = append(labelled[i], r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return outcome, labelled
}

// wanted is what a rule selects, by names and sets.
func (w *world) wanted(rule protocol.Rule) (total int, labelled [][]Row) {
	everyone := map[person]bool{}
	for _, set := range w.people {
		maps.Copy(everyone, set)
	}
	labelled = make([][]Row, len(w.sources))
	for p := range everyone {
		if !w.satisfies(rule, w.known(p)) {
			continue
		}
		total++
		for i := range w.sources {
			if w.people[i][p] {
				labelled[i] = append(labelled[i], rowOf(i, p))
			}
		}
	}
	return total, labelled
}

func (w *world) compare(t rapid.TB, rule protocol.Rule, outcome Outcome, labelled [][]Row) {
	t.Helper()
	total, want := w.wanted(rule)
	if uint64(outcome.Total) != uint64(total) {
		t.Fatalf("total %d, want %d", uint64(outcome.Total), total)
	}
	for i := range w.sources {
		slices.Sort(labelled[i])
		slices.Sort(want[i])
		if !slices.Equal(labelled[i], want[i]) {
			t.Fatalf("source %d is told of rows %v, want %v", i, labelled[i], want[i])
		}
		if got := outcome.Sources[i]; uint64(got.Holds) != uint64(len(want[i])) || got.Source != w.sources[i].Name {
			t.Fatalf("source %d has %d, want %d", i, uint64(got.Holds), len(want[i]))
		}
	}
}

func whole(r io.Reader) io.Reader { return r }

func TestMergeIsTheRule(t *testing.T) {
	ran := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		rule := drawRule(t, len(w.sources), 1)
		if rapid.IntRange(0, 3).Draw(t, "guard") > 0 { // most random rules are paddable alone
			rule = all(rule, atLeast(2, 0, 1))
		}
		p, err := Compile(rule, w.sources)
		if errors.Is(err, protocol.ErrMalformed) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		ran++
		outcome, labelled := w.mergeAll(t, p, whole)
		w.compare(t, rule, outcome, labelled)
	})
	t.Logf("%d rules ran", ran)
}

// fragments returns at most a few random bytes a Read, and sometimes none.
type fragments struct {
	r   io.Reader
	rnd *rand.Rand
}

func (f fragments) Read(p []byte) (int, error) {
	n := min(len(p), f.rnd.IntN(40))
	if n == 0 {
		return 0, nil
	}
	return f.r.Read(p[:n])
}

// A stream may arrive in any pieces. A peer of this engine once read with a bare
// Read, and lost most matches without an error.
func TestMergeOfCutStreams(t *testing.T) {
	w := newWorld(people(0, 1500), people(1000, 3000), people(500, 1200))
	rule := some(all(source(0), source(1)), all(source(1), source(2)))
	p, err := Compile(rule, w.sources)
	if err != nil {
		t.Fatal(err)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole":     whole,
		"bytes":     iotest.OneByteReader,
		"halves":    iotest.HalfReader,
		"data+EOF":  iotest.DataErrReader,
		"fragments": func(r io.Reader) io.Reader { return fragments{r, rand.New(rand.NewPCG(1, 2))} },
	} {
		t.Run(name, func(t *testing.T) {
			outcome, labelled := w.mergeAll(t, p, cut)
			w.compare(t, rule, outcome, labelled)
		})
	}
}

// More sources than a word has bits, and blocks that end in the middle of groups.
func TestMergeOfManySources(t *testing.T) {
	sets := make([]map[person]bool, 150)
	for i := range sets {
		sets[i] = people(40*i, 40*i+200)
	}
	w := newWorld(sets...)
	every := make([]int, len(sets))
	for i := range every {
		every[i] = i
	}
	for _, rule := range []protocol.Rule{
		atLeast(3, every...),
		except(atLeast(2, every...), some(source(70), source(149))),
		all(source(63), source(64)),
	} {
		p, err := Compile(rule, w.sources)
		if err != nil {
			t.Fatal(err)
		}
		outcome, labelled := w.mergeAll(t, p, whole)
		w.compare(t, rule, outcome, labelled)
	}
}

// A merge reads uploads of many blocks, whose ends fall anywhere.
func TestMergeAcrossBlocks(t *testing.T) {
	w := newWorld(people(0, 30_000), people(10_000, 24_000), people(20_000, 60_000))
	rule := atLeast(2, 0, 1, 2)
	p, err := Compile(rule, w.sources)
	if err != nil {
		t.Fatal(err)
	}
	outcome, labelled := w.mergeAll(t, p, whole)
	w.compare(t, rule, outcome, labelled)
}

func TestMergeRefusesWhatDoesNotBelong(t *testing.T) {
	w := newWorld(people(0, 10), people(5, 20))
	p, err := Compile(atLeast(2, 0, 1), w.sources)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := w.upload(t, 0)
	b, _ := w.upload(t, 1)
	other := newWorld(people(0, 10), people(5, 20))
	otherHash := protocol.HashOf([]byte("another manifest"))
	writer := NewWriter(WriterConfig{Key: other.keys.Token})
	defer writer.Close()
	var stranger bytes.Buffer
	h := other.header(1)
	h.Manifest = otherHash
	if _, err := writer.Finish(context.Background(), h, &stranger, nil); err != nil {
		t.Fatal(err)
	}
	begun := reader(t, b)
	if _, err := begun.Next(); err != nil {
		t.Fatal(err)
	}
	for name, inputs := range map[string][]Input{
		"too few":          {{Upload: reader(t, a)}},
		"wrong order":      {{Upload: reader(t, b)}, {Upload: reader(t, a)}},
		"another manifest": {{Upload: reader(t, a)}, {Upload: reader(t, stranger.Bytes())}},
		"begun":            {{Upload: reader(t, a)}, {Upload: begun}},
	} {
		if _, err := Merge(context.Background(), p, inputs); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMergeStopsAtABadUpload(t *testing.T) {
	w := newWorld(people(0, 10), people(5, 20))
	p, err := Compile(atLeast(2, 0, 1), w.sources)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := w.upload(t, 0)
	b, _ := w.upload(t, 1)
	b[len(b)-1] ^= 1
	_, err = Merge(context.Background(), p, []Input{{Upload: reader(t, a)}, {Upload: reader(t, b)}})
	if !errors.Is(err, ErrDigest) {
		t.Error(err)
	}
	b[len(b)-1] ^= 1
	broken := errors.New("the disk broke")
	_, err = Merge(context.Background(), p, []Input{
		{Upload: reader(t, a), Labels: failing{broken}}, {Upload: reader(t, b)},
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// cancelling cancels a context at the first read after the header.
type cancelling struct {
	io.Reader
	reads  int
	cancel context.CancelFunc
}

func (c *cancelling) Read(p []byte) (int, error) {
	if c.reads++; c.reads == 4 {
		c.cancel()
	}
	return c.Reader.Read(p)
}

func TestMergeIsCancelled(t *testing.T) {
	w := newWorld(people(0, 20_000), people(0, 20_000))
	p, err := Compile(atLeast(2, 0, 1), w.sources)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := w.upload(t, 0)
	b, _ := w.upload(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slow := &cancelling{Reader: bytes.NewReader(a), cancel: cancel}
	r, err := NewReader(slow, MaxRecords)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Merge(ctx, p, []Input{{Upload: r}, {Upload: reader(t, b)}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if slow.reads > 5 {
		t.Errorf("read on %d times after the cancellation", slow.reads-4)
	}
}

// A merge allocates per source, never per record.
func TestMergeAllocationsDoNotGrow(t *testing.T) {
	allocations := func(n int) float64 {
		w := newWorld(people(0, n), people(n/2, n+n/2))
		p, err := Compile(atLeast(2, 0, 1), w.sources)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := w.upload(t, 0)
		b, _ := w.upload(t, 1)
		return testing.AllocsPerRun(5, func() {
			inputs := []Input{{Upload: reader(t, a), Labels: io.Discard}, {Upload: reader(t, b), Labels: io.Discard}}
			if _, err := Merge(context.Background(), p, inputs); err != nil {
				t.Fatal(err)
			}
		})
	}
	small, large := allocations(1000), allocations(60_000)
	// A few of the runtime's own come and go, above all under the race detector.
	if large > small+10 || small > 60 {
		t.Errorf("%v allocations for a thousand people, %v for sixty thousand", small, large)
	}
}
