package matcher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"coulisse/protocol"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"
)

func TestAcceptRefuses(t *testing.T) {
	s := newStage(t, 1<<20)
	danse, theatre := s.uploads["danse"], s.uploads["theatre"]
	flipped := slices.Clone(danse.bytes)
	flipped[len(flipped)-100] ^= 1
	broken := errors.New("the network broke")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	other := match.Header{Round: roundID, Manifest: protocol.HashOf([]byte("another manifest")), Source: "danse"}
	stranger := send(t, match.Derive(match.NewRoundKey(), other.Manifest), other, 0, 10)
	read := func(b ...[]byte) io.Reader { return bytes.NewReader(slices.Concat(b...)) }
	as := func(change func(*Announcement)) Announcement {
		a := s.announcement("danse")
		change(&a)
		return a
	}
	asked := s.announcement("danse")
	for name, c := range map[string]struct {
		ctx  context.Context
		a    Announcement
		r    io.Reader
		want error
	}{
		"path as a round":  {a: as(func(a *Announcement) { a.Round = "../../../../../../../../tmp/xxxx" }), want: protocol.ErrMalformed},
		"path as a source": {a: as(func(a *Announcement) { a.Source = "../danse" }), want: protocol.ErrMalformed},
		"other digest":     {a: as(func(a *Announcement) { a.Digest = theatre.digest }), r: read(danse.bytes), want: ErrNotAnnounced},
		"another's":        {a: as(func(a *Announcement) { a.Digest = theatre.digest }), r: read(theatre.bytes), want: ErrNotAnnounced},
		"another manifest": {a: as(func(a *Announcement) { a.Digest = stranger.digest }), r: read(stranger.bytes), want: ErrNotAnnounced},
		"too many":         {a: as(func(a *Announcement) { a.MaxRecords = match.MinRecords }), r: read(danse.bytes), want: match.ErrTooMany},
		"too long":         {a: asked, r: read(danse.bytes, []byte{0}), want: match.ErrLength},
		"too short":        {a: asked, r: read(danse.bytes[:len(danse.bytes)-1]), want: match.ErrLength},
		"nothing":          {a: asked, r: read(), want: match.ErrLength},
		"flipped":          {a: asked, r: read(flipped), want: match.ErrDigest},
		"broken":           {a: asked, r: iotest.ErrReader(broken), want: broken},
		"cancelled":        {ctx: gone, a: asked, r: read(danse.bytes), want: context.Canceled},
	} {
		if c.ctx == nil {
			c.ctx = context.Background()
		}
		if _, err := s.Accept(c.ctx, c.a, whole(c.r)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if have := s.Have(roundID); len(have) != 0 {
			t.Fatalf("%s: accepted", name)
		}
		if left := s.files(t); len(left) > 1 { // the round's folder
			t.Errorf("%s: left %v", name, left)
		}
	}
	if s.rounds[roundID].used != 0 {
		t.Errorf("%d bytes are still reserved", s.rounds[roundID].used)
	}
	// None of it stands in the way of the real one.
	if err := s.accept("danse", bytes.NewReader(danse.bytes)); err != nil {
		t.Error(err)
	}
}

func TestAnUploadIsAcceptedOnce(t *testing.T) {
	s := newStage(t, 1<<20)
	s.acceptAll(t)
	unread := iotest.ErrReader(errors.New("was read"))
	if already, err := s.Accept(context.Background(), s.announcement("danse"), whole(unread)); err != nil || !already {
		t.Errorf("the same upload again: %v %v", already, err)
	}
	h := match.Header{Round: roundID, Manifest: signedHash, Source: "danse"}
	other := send(t, match.Derive(match.NewRoundKey(), signedHash), h, 0, 10)
	a := s.announcement("danse")
	a.Digest = other.digest
	if _, err := s.Accept(context.Background(), a, whole(bytes.NewReader(other.bytes))); !errors.Is(err, ErrConflict) {
		t.Errorf("another upload: %v", err)
	}
	a = s.announcement("danse")
	a.Manifest = protocol.HashOf([]byte("other"))
	if _, err := s.Accept(context.Background(), a, whole(unread)); !errors.Is(err, ErrConflict) {
		t.Errorf("another manifest of the round: %v", err)
	}
	if len(s.Have(roundID)) != 3 {
		t.Error("an upload was lost")
	}
}

func TestQuotaHoldsForARound(t *testing.T) {
	s := newStage(t, 150_000) // danse and musee fit, theatre does not
	for name, want := range map[protocol.SourceName]error{"danse": nil, "musee": nil} {
		if err := s.accept(name, bytes.NewReader(s.uploads[name].bytes)); !errors.Is(err, want) {
			t.Fatal(name, err)
		}
	}
	// It is refused by its header: nothing more is read of it.
	head := io.MultiReader(bytes.NewReader(s.uploads["theatre"].bytes[:80]), iotest.ErrReader(errors.New("was read")))
	if err := s.accept("theatre", head); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	size := int64(0)
	for _, path := range s.files(t)[1:] {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if used := s.rounds[roundID].used; size > used {
		t.Errorf("%d bytes on disk, %d accounted for", size, used)
	}
}

// TestUploadsYieldToTheLog fills the disk before an upload and in the middle of
// one, and makes room again.
func TestUploadsYieldToTheLog(t *testing.T) {
	s := newStage(t, 1<<20)
	danse, left := s.uploads["danse"].bytes, atomic.Uint64{}
	left.Store(spare)
	s.free = func() (uint64, bool) { return left.Load(), true }
	head := io.MultiReader(bytes.NewReader(danse[:80]), iotest.ErrReader(errors.New("was read")))
	if err := s.accept("danse", head); !errors.Is(err, ErrNoRoom) || !errors.Is(err, refusal.ErrFull) {
		t.Errorf("without room: %v", err)
	}
	left.Store(spare + 1<<20)
	others := readerFunc(func([]byte) (int, error) { left.Store(spare); return 0, io.EOF })
	if err := s.accept("danse", io.MultiReader(bytes.NewReader(danse[:9000]), others, bytes.NewReader(danse[9000:]))); !errors.Is(err, ErrNoRoom) {
		t.Errorf("without room in the middle: %v", err)
	}
	if used := s.Held(); used != 0 {
		t.Errorf("%d bytes are still reserved", used)
	}
	left.Store(spare + 1<<20)
	s.acceptAll(t)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
