package rehearsal_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/deploy/rehearsal"
	"coulisse/protocol/federation"
)

// line is a bad line: it passes everything on in odd pieces and a little late,
// and drops each connection after so many bytes, whatever they are. Nothing of it
// changes a byte: TLS would notice before any of our code could.
type line struct {
	tb      testing.TB
	serving sync.WaitGroup
	// most is how many bytes a connection lives for at most; 0 for ever. drops is
	// how many more will not live longer.
	most, drops atomic.Int64
	dropped     atomic.Int64

	// mu guards what is open.
	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	ends      []net.Conn
}

func newLine(tb testing.TB) *line {
	l := &line{tb: tb}
	tb.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		for _, listener := range l.listeners {
			listener.Close()
		}
		l.mu.Unlock()
		l.drop()
		l.serving.Wait()
	})
	return l
}

// drop drops every connection.
func (l *line) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		end.Close()
	}
	l.ends = nil
}

// worsen lets no connection live for more than so many bytes from now on, until
// so many have ended.
func (l *line) worsen(most, drops int64) {
	l.most.Store(most)
	l.drops.Store(drops)
	l.drop()
}

// to is an address from which the line leads to another.
func (l *line) to(target string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.tb.Fatal(err)
	}
	l.listeners = append(l.listeners, listener)
	l.serving.Go(func() {
		for {
			caller, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				l.serving.Go(func() { l.connect(caller, target) })
			}
		}
	})
	return listener.Addr().String()
}

func (l *line) connect(caller net.Conn, target string) {
	defer caller.Close()
	called, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer called.Close()
	l.mu.Lock()
	l.ends = append(l.ends, caller, called)
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return
	}
	left := &atomic.Int64{}
	left.Store(1 << 62)
	if most := l.most.Load(); most > 0 && l.drops.Load() > 0 {
		left.Store(most/4 + rand.Int64N(most*3/4))
	}
	var pumping sync.WaitGroup
	for _, way := range [][2]net.Conn{{caller, called}, {called, caller}} {
		pumping.Go(func() {
			l.pump(way[0], way[1], left)
			caller.Close()
			called.Close()
		})
	}
	pumping.Wait()
}

// pump copies, a byte or a few thousand at once.
func (l *line) pump(to io.Writer, from io.Reader, left *atomic.Int64) {
	block := make([]byte, 5000)
	for {
		n, err := from.Read(block[:1+rand.IntN(1<<rand.IntN(13))])
		if left.Add(-int64(n)) < 0 {
			l.dropped.Add(1)
			l.drops.Add(-1)
			return
		}
		if rand.IntN(20) == 0 {
			time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))) // the line's delay
		}
		if _, werr := to.Write(block[:n]); err != nil || werr != nil {
			return
		}
	}
}

// TestBadLines runs a round in which every byte between any two parties, and
// between the replicas, goes over a line that cuts, delays and drops: the same
// people are found, and every recipient's own.
func TestBadLines(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes many tokens")
	}
	people, bad := invent(4000, houses...), newLine(t)
	f := rehearsal.FoundIn(t, rehearsal.Setting{Charter: rehearsal.Charter(), Between: bad.to}, append(slices.Clone(houses), "journal")...)
	fill(f, people)
	prepare(f)
	for _, m := range f.Members {
		f.Eventually("the tokens of "+string(m.ID), func() bool {
			status, err := m.Node.Status(t.Context())
			return err == nil && status.Tokens.Done == status.Tokens.Total && status.Tokens.Total > 0
		})
	}
	// An upload has 23 kB, and its connection from 9 to 36 kB in all.
	bad.worsen(36<<10, 80)
	id, end := run(t, f, audience())
	if end.Stage != federation.Closed {
		t.Fatalf("the round ended %s: %s", end.Stage, end.Reason.EN)
	}
	checkSize(t, end, people)
	checkLabels(t, f, id, people)
	if bad.dropped.Load() == 0 {
		t.Error("no connection was dropped")
	}
	t.Logf("%d connections were dropped", bad.dropped.Load())
}
