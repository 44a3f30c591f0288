//go:build unix

package torture

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// lane is one direction of a link. What is held back waits until the lane is
// free again, as TCP sends again, unless its connection ends first.
type lane struct {
	mu    sync.Mutex
	gate  chan struct{} // closed when freed; nil while the lane is free
	delay time.Duration
	odd   bool // pass everything on in odd pieces
}

func (l *lane) block() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate == nil {
		l.gate = make(chan struct{})
	}
}

func (l *lane) free() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate != nil {
		close(l.gate)
		l.gate = nil
	}
}

func (l *lane) distort(delay time.Duration, odd bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay, l.odd = delay, odd
}

func (l *lane) now() (gate chan struct{}, delay time.Duration, odd bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate, l.delay, l.odd
}

// link is a proxy: whoever connects to it is connected to its target.
type link struct {
	listener    net.Listener
	target      string
	there, back lane
	serving     sync.WaitGroup

	// mu guards the pairs of connections that are open.
	mu    sync.Mutex
	pairs map[*pair]bool
}

// pair is a connection from a caller and the one to the target.
type pair struct {
	caller, target net.Conn
	ended          chan struct{}
	end            func()
}

func newLink(target string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{listener: listener, target: target, pairs: map[*pair]bool{}}
	l.serving.Go(l.serve)
	return l, nil
}

func (l *link) address() string { return l.listener.Addr().String() }

func (l *link) serve() {
	for {
		caller, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		l.serving.Go(func() { l.connect(caller) })
	}
}

func (l *link) connect(caller net.Conn) {
	target, err := net.Dial("tcp", l.target)
	if err != nil {
		caller.Close()
		return
	}
	p := &pair{caller: caller, target: target, ended: make(chan struct{})}
	p.end = sync.OnceFunc(func() { close(p.ended); caller.Close(); target.Close() })
	l.mu.Lock()
	l.pairs[p] = true
	l.mu.Unlock()
	var pumping sync.WaitGroup
	pumping.Go(func() { p.pump(target, caller, &l.there) })
	pumping.Go(func() { p.pump(caller, target, &l.back) })
	pumping.Wait()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// cut ends every connection.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.end()
	}
}

func (l *link) close() {
	l.listener.Close()
	// A connection that was being made is not among the pairs yet.
	done := make(chan struct{})
	go func() { l.serving.Wait(); close(done) }()
	for {
		l.cut()
		select {
		case <-done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// piece is what was read at once, and when it may be passed on.
type piece struct {
	bytes []byte
	due   time.Time
}

// pump passes on what comes from one side to the other. It reads ahead, so
// that a delay holds up every byte as long, and none of them longer.
func (p *pair) pump(to io.Writer, from io.Reader, l *lane) {
	defer p.end()
	ahead := make(chan piece, 64)
	var reading sync.WaitGroup
	reading.Go(func() { p.read(from, l, ahead) })
	defer reading.Wait()
	defer p.end()
	for next := range ahead {
		if !p.wait(next.due) || !p.pass(l) || !write(to, next.bytes, l) {
			return
		}
	}
}

func (p *pair) read(from io.Reader, l *lane, ahead chan<- piece) {
	defer close(ahead)
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		_, delay, _ := l.now()
		select {
		case ahead <- piece{append([]byte(nil), buffer[:n]...), time.Now().Add(delay)}:
		case <-p.ended:
			return
		}
	}
}

func (p *pair) wait(due time.Time) bool {
	select {
	case <-time.After(time.Until(due)):
		return true
	case <-p.ended:
		return false
	}
}

func (p *pair) pass(l *lane) bool {
	for {
		gate, _, _ := l.now()
		if gate == nil {
			return true
		}
		select {
		case <-gate:
		case <-p.ended:
			return false
		}
	}
}

func write(to io.Writer, bytes []byte, l *lane) bool {
	for len(bytes) > 0 {
		n := len(bytes)
		if _, _, odd := l.now(); odd {
			n = min(n, 1+rand.IntN(97))
		}
		if _, err := to.Write(bytes[:n]); err != nil {
			return false
		}
		bytes = bytes[n:]
	}
	return true
}

// network is the links between all replicas, and one to each from the nodes.
type network struct {
	between  map[[2]int]*link // caller and target
	gateways []*link
}

func newNetwork(listen []string) (*network, error) {
	n := &network{between: map[[2]int]*link{}}
	for to, target := range listen {
		gateway, err := newLink(target)
		if err != nil {
			return n, err
		}
		n.gateways = append(n.gateways, gateway)
		for from := range listen {
			if from == to {
				continue
			}
			if n.between[[2]int{from, to}], err = newLink(target); err != nil {
				delete(n.between, [2]int{from, to})
				return n, err
			}
		}
	}
	return n, nil
}

// each calls fn with every link.
func (n *network) each(fn func(*link)) {
	for _, l := range n.gateways {
		fn(l)
	}
	for _, l := range n.between {
		fn(l)
	}
}

// block holds back all that goes from one replica to another: what it asks,
// and what it answers.
func (n *network) block(from, to int) {
	n.between[[2]int{from, to}].there.block()
	n.between[[2]int{to, from}].back.block()
}

func (n *network) free(from, to int) {
	n.between[[2]int{from, to}].there.free()
	n.between[[2]int{to, from}].back.free()
}

// distort delays, or cuts into odd pieces, all that passes anywhere.
func (n *network) distort(delay time.Duration, odd bool) {
	n.each(func(l *link) { l.there.distort(delay, odd); l.back.distort(delay, odd) })
}

// heal ends every fault of the network.
func (n *network) heal() {
	n.distort(0, false)
	n.each(func(l *link) { l.there.free(); l.back.free() })
}

func (n *network) close() { n.each((*link).close) }

// TestLink checks the proxy itself: a torture on a network that does nothing
// would prove nothing.
func TestLink(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); io.Copy(conn, conn) }()
		}
	}()
	l, err := newLink(echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	conn, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said, heard := make([]byte, 100_000), make([]byte, 100_000)
	for i := range said {
		said[i] = byte(i / 7)
	}
	turn := func() time.Duration {
		t.Helper()
		began := time.Now()
		if _, err := conn.Write(said); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, heard); err != nil || string(said) != string(heard) {
			t.Fatalf("what came back is not what was sent: %v", err)
		}
		return time.Since(began)
	}
	turn()
	l.there.distort(100*time.Millisecond, true)
	if took := turn(); took < 100*time.Millisecond {
		t.Errorf("a delayed turn took %s", took)
	}
	l.there.distort(0, false)
	l.back.block()
	time.AfterFunc(100*time.Millisecond, l.back.free)
	if took := turn(); took < 100*time.Millisecond {
		t.Errorf("a turn over a lane that was blocked took %s", took)
	}
	l.cut()
	if _, err := conn.Read(heard); err == nil {
		t.Error("a connection outlived its cut")
	}
}
