package matcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"coulisse/protocol"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"
)

var errLine = errors.New("the line broke")

// breaking sends an upload over lines that each break after so many bytes, and
// counts them.
func breaking(content []byte, after int, lines *int) Sender {
	return func(from int64) (io.Reader, error) {
		*lines++
		left := content[from:]
		if len(left) <= after {
			return iotest.OneByteReader(bytes.NewReader(left)), nil
		}
		return io.MultiReader(bytes.NewReader(left[:after]), iotest.ErrReader(errLine)), nil
	}
}

// TestGoesOnFromWhereItBroke: however an upload is broken, it is sent once.
func TestGoesOnFromWhereItBroke(t *testing.T) {
	s := newStage(t, 1<<20)
	content := s.uploads["danse"].bytes
	for _, after := range []int{1 << 10, 4<<10 + 1, len(content) - 1, len(content)} {
		lines := 0
		for {
			_, err := s.Accept(context.Background(), s.announcement("danse"), breaking(content, after, &lines))
			if err == nil {
				break
			}
			if !errors.Is(err, errLine) || len(s.Have(roundID)) != 0 || lines > len(content) {
				t.Fatal(lines, err)
			}
		}
		if want := (len(content) + after - 1) / after; lines != want {
			t.Errorf("broken after %d bytes: %d lines for %d bytes, want %d", after, lines, len(content), want)
		}
		if err := s.accept("danse", iotest.ErrReader(errLine)); err != nil { // it is there
			t.Error(err)
		}
		if err := s.Close(roundID); err != nil || len(s.files(t)) != 0 {
			t.Error(err)
		}
	}
}

// What is wrong with an upload is wrong over two lines as over one, and does not
// stand in the way of the right bytes.
func TestBrokenAndWrong(t *testing.T) {
	s := newStage(t, 1<<20)
	right := s.uploads["danse"].bytes
	half := len(right) / 2
	wrong := slices.Clone(right)
	wrong[half+100] ^= 1
	for name, second := range map[string][]byte{
		"flipped": wrong[half:], "from elsewhere": right[half+16:], "again": right[half-16:], "cut": right[half : len(right)-1], "nothing": nil,
	} {
		first := io.MultiReader(bytes.NewReader(right[:half]), iotest.ErrReader(errLine))
		if err := s.accept("danse", first); !errors.Is(err, errLine) {
			t.Fatal(name, err)
		}
		_, err := s.Accept(context.Background(), s.announcement("danse"), func(from int64) (io.Reader, error) {
			if from != int64(half) {
				t.Errorf("%s: goes on from %d of %d", name, from, half)
			}
			return bytes.NewReader(second), nil
		})
		if !errors.Is(err, protocol.ErrMalformed) || s.Held() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.acceptAll(t)
	if outcome, err := s.run(context.Background()); err != nil || uint64(outcome.Total) != 1000 {
		t.Error(err)
	}
}

// A member that has connected again goes on, whatever its old line still brings.
func TestTheLaterLineGoesOn(t *testing.T) {
	s := newStage(t, 1<<20)
	content := s.uploads["danse"].bytes
	old, feed := io.Pipe()
	ended := make(chan error)
	go func() { ended <- s.accept("danse", old) }()
	if _, err := feed.Write(content[:5000]); err != nil {
		t.Fatal(err)
	}
	// The old line has brought 5000 bytes, of which some may be on their way in.
	_, err := s.Accept(context.Background(), s.announcement("danse"), func(from int64) (io.Reader, error) {
		go func() { _, _ = feed.Write(make([]byte, 100)) }()
		if err := <-ended; !errors.Is(err, ErrReplaced) || !errors.Is(err, refusal.ErrUnavailable) {
			t.Errorf("the old line ended with %v", err)
		}
		return bytes.NewReader(content[from:]), nil
	})
	if err != nil {
		t.Error(err)
	}
	_ = old.Close()
}

// TestManyLines is many senders of one source at once, all of them honest.
func TestManyLines(t *testing.T) {
	s := newStage(t, 1<<20)
	content := s.uploads["theatre"].bytes
	var sending sync.WaitGroup
	for range 8 {
		sending.Go(func() {
			for {
				_, err := s.Accept(context.Background(), s.announcement("theatre"), func(from int64) (io.Reader, error) {
					n := rand.IntN(30_000)
					if int(from)+n >= len(content) {
						return bytes.NewReader(content[from:]), nil
					}
					return io.MultiReader(bytes.NewReader(content[from:][:n]), iotest.ErrReader(errLine)), nil
				})
				if err == nil {
					return
				}
				if !errors.Is(err, errLine) && !errors.Is(err, ErrReplaced) {
					t.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
	s.acceptAll(t)
	if outcome, err := s.run(context.Background()); err != nil || uint64(outcome.Total) != 1000 {
		t.Error(err)
	}
}

// fill takes all of the matcher's memory but so much.
func (s *stage) fill(left int64) (empty func()) {
	taken := s.memory.limit - left
	if !s.memory.held.TryAcquire(taken) {
		panic("something holds memory")
	}
	return func() { s.memory.release(taken) }
}

func TestWaitsForMemory(t *testing.T) {
	s := newStage(t, 1<<20)
	empty := s.fill(0)
	ended := make(chan error)
	go func() { ended <- s.accept("danse", bytes.NewReader(s.uploads["danse"].bytes)) }()
	select {
	case err := <-ended:
		t.Fatal("it did not wait:", err)
	default:
	}
	if have := s.Have(roundID); len(have) != 0 {
		t.Error("has", have)
	}
	empty()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.acceptAll(t)
	// So does a merge, until its round closes or nobody wants it any more.
	empty = s.fill(receivingMemory)
	defer empty()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.run(gone); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() {
		_, err := s.run(context.Background())
		ended <- err
	}()
	if err := s.Close(roundID); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) && !errors.Is(err, ErrIncomplete) {
		t.Error(err)
	}
}

// What was broken off gives its memory to whoever waits, and begins again.
func TestTheBrokenMakeRoom(t *testing.T) {
	s := newStage(t, 1<<20)
	content := s.uploads["danse"].bytes
	half := io.MultiReader(bytes.NewReader(content[:len(content)/2]), iotest.ErrReader(errLine))
	if err := s.accept("danse", half); !errors.Is(err, errLine) {
		t.Fatal(err)
	}
	defer s.fill(receivingMemory)() // which the broken one holds
	if err := s.accept("musee", bytes.NewReader(s.uploads["musee"].bytes)); err != nil {
		t.Error(err)
	}
	if err := s.accept("danse", bytes.NewReader(content)); err != nil { // from its beginning
		t.Error(err)
	}
}

func TestARoundThatCannotFit(t *testing.T) {
	m := protocol.Manifest{Sources: make([]protocol.Source, MinMemory/spoolMemory+1)}
	s := newStage(t, 1<<20)
	s.memory = newMemory(MinMemory, s.spare)
	if err := s.memory.wait(context.Background(), mergingMemory(m)); !errors.Is(err, ErrMemory) {
		t.Error(err)
	}
	largest := protocol.Manifest{Sources: make([]protocol.Source, protocol.MaxSources), Recipients: make([]protocol.SourceName, protocol.MaxSources)}
	if mergingMemory(largest) > DefaultMemory {
		t.Error("the largest round does not fit the default memory")
	}
}

// TestWhatIsHeld measures what the limits count: uploads that have come halfway,
// and a merge.
func TestWhatIsHeld(t *testing.T) {
	const sources = 64
	m, err := Open(Config{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	manifest := protocol.Manifest{Round: roundID, Rule: protocol.Rule{AtLeast: &protocol.AtLeast{T: 2}}}
	keys := match.Derive(match.NewRoundKey(), signedHash)
	uploads := make([]sent, sources)
	for i := range uploads {
		name := protocol.SourceName(fmt.Sprintf("source-%02d", i))
		uploads[i] = send(t, keys, match.Header{Round: roundID, Manifest: signedHash, Source: name}, 0, 20_000)
		manifest.Sources = append(manifest.Sources, protocol.Source{Name: name, Member: protocol.MemberID(name)})
		manifest.Rule.AtLeast.Of = append(manifest.Rule.AtLeast.Of, name)
		manifest.Recipients = append(manifest.Recipients, name)
	}
	put := func(i int, r func([]byte) io.Reader) error {
		a := Announcement{Round: roundID, Manifest: signedHash, Source: manifest.Sources[i].Name, Digest: uploads[i].digest}
		_, err := m.Accept(context.Background(), a, func(from int64) (io.Reader, error) { return r(uploads[i].bytes[from:]), nil })
		return err
	}
	before := heap()
	for i := range sources {
		err := put(i, func(b []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(b[:200_000]), iotest.ErrReader(errLine))
		})
		if !errors.Is(err, errLine) {
			t.Fatal(err)
		}
	}
	// Half of it is left for the line.
	if held := heap() - before; held > sources*receivingMemory/2 {
		t.Errorf("an upload holds %d kB while it is received", held/sources>>10)
	}
	for i := range sources {
		if err := put(i, func(b []byte) io.Reader { return bytes.NewReader(b) }); err != nil {
			t.Fatal(err)
		}
	}
	before = heap()
	rd := m.rounds[roundID]
	most, looks := int64(0), 0
	ctx := watched{context.Background(), func() {
		if looks++; looks%sources == 0 { // once a round of blocks: to look takes long
			most = max(most, heap()-before)
		}
	}}
	if _, err := rd.merge(ctx, manifest); err != nil {
		t.Fatal(err)
	}
	if most == 0 || most > mergingMemory(manifest) {
		t.Errorf("a merge holds %d kB a source, and %d are counted", most/sources>>10, mergingMemory(manifest)/sources>>10)
	}
	if err := m.Close(roundID); err != nil {
		t.Fatal(err)
	}
}

func heap() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// watched is looked at once a block.
type watched struct {
	context.Context
	look func()
}

func (w watched) Err() error { w.look(); return nil }
