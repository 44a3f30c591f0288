package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// open opens a spool and runs it until the test ends or stop is called.
func open(t testing.TB, cfg Config) (s *Spool, stop func()) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return s, stop
}

func mustAppend(t testing.TB, s *Spool, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := s.Append(t.Context(), []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
}

// wantRead reads all there is from a position on.
func wantRead(t testing.TB, s *Spool, from Position, want ...string) Position {
	t.Helper()
	got := []string{}
	for {
		records, upto, err := s.Read(from, 1)
		if err != nil {
			t.Fatal(err)
		}
		if from = upto; len(records) == 0 {
			break
		}
		for _, r := range records {
			got = append(got, string(r))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("read %.200q, want %.200q", got, want)
	}
	return from
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestReadAgainAfterAStart(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Segment: 100}
	s, stop := open(t, cfg)
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("record %d of some thirty bytes", i))
	}
	mustAppend(t, s, want...)
	half := wantRead(t, s, Position{}, want...)
	stop()
	if err := s.Append(t.Context(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("appending to a closed spool: %v", err)
	}

	s, stop = open(t, cfg)
	wantRead(t, s, Position{}, want...)
	mustAppend(t, s, "later", "")
	end := wantRead(t, s, half, "later", "")
	if len(segments(t, cfg.Dir)) < 5 {
		t.Errorf("%d segments of 100 bytes", len(segments(t, cfg.Dir)))
	}
	if err := s.Release(half); err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, Position{}, "later", "")
	if err := s.Release(end); err != nil || len(segments(t, cfg.Dir)) != 0 || s.Waiting() != 0 {
		t.Errorf("after all was released, %d segments of %d bytes are left, %v", len(segments(t, cfg.Dir)), s.Waiting(), err)
	}
	stop()

	// The folder is empty now: its numbers go on all the same.
	cfg.After = end.Segment
	s, _ = open(t, cfg)
	mustAppend(t, s, "anew")
	wantRead(t, s, end, "anew")
}

// Whatever a crash leaves of the last write, the records before it are there.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	s, stop := open(t, Config{Dir: dir})
	mustAppend(t, s, "first", "second", "third")
	stop()
	name := segments(t, dir)[0]
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	beforeThird := len(whole) - frameSize - len("third")
	for cut := range len(whole) {
		want := []string{"first", "second"}
		switch {
		case cut < headerSize+frameSize+len("first"):
			want = want[:0]
		case cut < beforeThird:
			want = want[:1]
		}
		for what, content := range map[string][]byte{
			"cut":     whole[:cut],
			"zeros":   append(slices.Clone(whole[:cut]), make([]byte, len(whole)-cut)...),
			"flipped": append(append(slices.Clone(whole[:cut]), whole[cut]^0x40), whole[cut+1:]...),
		} {
			if what == "zeros" && bytes.Equal(content, whole) {
				continue
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, stop := open(t, Config{Dir: dir})
			got, _, err := s.Read(Position{}, 1<<20)
			if err != nil || len(got) != len(want) {
				t.Errorf("%s at %d: %q, %v", what, cut, got, err)
			}
			mustAppend(t, s, "after")
			wantRead(t, s, Position{}, append(want, "after")...)
			stop()
			s, stop = open(t, Config{Dir: dir})
			wantRead(t, s, Position{}, append(want, "after")...)
			stop()
		}
	}
}

// disk is a file system that fails as it is told.
type disk struct {
	// room is how many bytes it still takes; it writes what fits, as disks do.
	room atomic.Int64
	// failing is how many fsyncs are to fail. After one, what was written since
	// the last good one is gone from the file, as if the kernel had dropped it.
	failing atomic.Int64
	syncs   atomic.Int64
	// held, if not nil, lets an fsync go on for each value.
	held chan struct{}
}

type diskFile struct {
	*os.File
	d      *disk
	synced int64
	size   int64
}

func (d *disk) create(path string) (File, error) {
	if d.room.Load() <= 0 {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.ENOSPC}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	return &diskFile{File: f, d: d}, err
}

func (f *diskFile) Write(p []byte) (int, error) {
	left := f.d.room.Add(-int64(len(p)))
	if left < 0 {
		fits := max(0, int64(len(p))+left)
		f.d.room.Store(0)
		n, _ := f.File.Write(p[:fits])
		f.size += int64(n)
		return n, syscall.ENOSPC
	}
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}

func (f *diskFile) Sync() error {
	f.d.syncs.Add(1)
	if f.d.held != nil {
		<-f.d.held
	}
	if f.d.failing.Add(-1) >= 0 {
		_ = f.File.Truncate(f.synced)
		return syscall.EIO
	}
	f.d.failing.Store(0)
	f.synced = f.size
	return f.File.Sync()
}

func TestFullDisk(t *testing.T) {
	d, dir := new(disk), t.TempDir()
	d.room.Store(200)
	s, stop := open(t, Config{Dir: dir, Create: d.create})
	var kept []string
	var failed error
	for i := 0; failed == nil; i++ {
		r := fmt.Sprintf("record %02d", i)
		if failed = s.Append(t.Context(), []byte(r)); failed == nil {
			kept = append(kept, r)
		}
	}
	if !errors.Is(failed, ErrDisk) || len(kept) < 5 {
		t.Fatalf("%d records, then %v", len(kept), failed)
	}
	if err := s.Append(t.Context(), []byte("no room either")); !errors.Is(err, ErrDisk) {
		t.Errorf("on a full disk: %v", err)
	}
	wantRead(t, s, Position{}, kept...)

	d.room.Store(1000)
	mustAppend(t, s, "there is room")
	wantRead(t, s, Position{}, append(kept, "there is room")...)
	stop()
	s, _ = open(t, Config{Dir: dir})
	wantRead(t, s, Position{}, append(kept, "there is room")...)
}

// After a failed fsync nothing of that group counts, and the segment is not
// written to again: a second fsync of it would lie.
func TestFailedFsync(t *testing.T) {
	d, dir := new(disk), t.TempDir()
	d.room.Store(1 << 20)
	s, stop := open(t, Config{Dir: dir, Create: d.create})
	mustAppend(t, s, "before")
	d.failing.Store(1)
	if err := s.Append(t.Context(), []byte("lost")); !errors.Is(err, ErrDisk) {
		t.Fatalf("with a failed fsync: %v", err)
	}
	mustAppend(t, s, "after")
	wantRead(t, s, Position{}, "before", "after")
	if n := len(segments(t, dir)); n != 2 {
		t.Errorf("%d segments, want the old one and a new one", n)
	}
	stop()
	s, _ = open(t, Config{Dir: dir})
	wantRead(t, s, Position{}, "before", "after")
}

// Many writers share an fsync, and no one is answered before it.
func TestGroupCommit(t *testing.T) {
	d := &disk{held: make(chan struct{})}
	d.room.Store(1 << 20)
	s, _ := open(t, Config{Dir: t.TempDir(), Create: d.create})
	const writers = 500
	var answered atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			if err := s.Append(context.Background(), []byte("record")); err != nil {
				t.Error(err)
			}
			answered.Add(1)
		})
	}
	for s.size.Load() < writers*6 { // until all wait
		runtime.Gosched()
	}
	if n := answered.Load(); n != 0 {
		t.Errorf("%d writers were answered before the fsync", n)
	}
	if _, upto, err := s.Read(Position{}, 1<<20); err != nil || upto.Offset > headerSize {
		t.Errorf("what is not durable was read, up to %v, %v", upto, err)
	}
	close(d.held)
	all.Wait()
	if n := d.syncs.Load(); n > 4 {
		t.Errorf("%d writers took %d fsyncs", writers, n)
	}
}

func TestBounds(t *testing.T) {
	d := &disk{held: make(chan struct{})}
	d.room.Store(1 << 30)
	s, _ := open(t, Config{Dir: t.TempDir(), Create: d.create, Limit: 3 << 20})
	if err := s.Append(t.Context(), make([]byte, MaxRecord+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a record over the bound: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var busy atomic.Int64
	for range 40 {
		all.Go(func() {
			switch err := s.Append(ctx, make([]byte, MaxRecord)); {
			case errors.Is(err, ErrBusy):
				busy.Add(1)
			case err != nil && !errors.Is(err, ErrFull):
				t.Error(err)
			}
		})
	}
	for busy.Load() == 0 {
		runtime.Gosched()
	}
	close(d.held)
	all.Wait()
	if err := s.Append(t.Context(), []byte("one more")); !errors.Is(err, ErrFull) {
		t.Errorf("over the spool's bound: %v", err)
	}
	_, upto, err := s.Read(Position{}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Release(upto); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "there is room")
}

// A writer that goes away leaves nothing behind.
func TestWriterGoesAway(t *testing.T) {
	d := &disk{held: make(chan struct{})}
	d.room.Store(1 << 20)
	s, _ := open(t, Config{Dir: t.TempDir(), Create: d.create})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Append(ctx, []byte("record")); !errors.Is(err, context.Canceled) {
		t.Errorf("a writer that went away got %v", err)
	}
	close(d.held)
	mustAppend(t, s, "another")
	if n := s.size.Load(); n != 0 {
		t.Errorf("%d bytes still count as waiting", n)
	}
}

// FuzzSegment: whatever is in a segment's file, opening it yields the records
// that are whole, and what is appended is read after them.
func FuzzSegment(f *testing.F) {
	good := header(1)
	for _, r := range []string{"first", "", "third"} {
		good = appendRecord(good, 1, []byte(r))
	}
	for _, seed := range [][]byte{nil, good, good[:len(good)-3], header(1), header(2), append(header(1), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), append(slices.Clone(good), make([]byte, 64)...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%020d.spool", 1)), content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _ := open(t, Config{Dir: dir})
		records, upto, err := s.Read(Position{}, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) > 0 {
			again := header(1)
			for _, r := range records {
				again = appendRecord(again, 1, r)
			}
			if !bytes.HasPrefix(content, again) || upto != (Position{1, int64(len(again))}) {
				t.Error("the records are not those of the file")
			}
		}
		mustAppend(t, s, "after")
		wantRead(t, s, upto, "after")
	})
}
