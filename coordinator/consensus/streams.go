package consensus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Streams is the [StreamLayer] of a [Mux].
type Streams struct {
	*queue
	tls       *tls.Config
	authorize func(tls.ConnectionState) error

	// mu guards open, every connection in either direction that is not closed.
	mu   sync.Mutex
	open map[*stream]struct{}
}

// stream is a connection that Streams can still close or review.
type stream struct {
	*tls.Conn
	owner *Streams
}

func newStreams(address Address, dial *tls.Config, authorize func(tls.ConnectionState) error) *Streams {
	conf := dial.Clone()
	conf.MinVersion = tls.VersionTLS13
	conf.NextProtos = []string{ProtocolRaft}
	conf.ClientSessionCache = nil
	return &Streams{
		queue:     newQueue(advertised(address)),
		tls:       conf,
		authorize: authorize,
		open:      map[*stream]struct{}{},
	}
}

// Dial connects to a replica and makes sure that it is one.
func (s *Streams) Dial(to Address, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	conn, err := (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", string(to))
	if err != nil {
		return nil, fmt.Errorf("dial a replica: %w", err)
	}
	secured := conn.(*tls.Conn)
	state := secured.ConnectionState()
	if state.NegotiatedProtocol != ProtocolRaft {
		err = errors.New("it does not speak raft")
	} else {
		err = authorize(state, s.authorize)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("dial a replica: %w", err)
	}
	return s.track(secured)
}

// take hands an accepted connection to raft.
func (s *Streams) take(ctx context.Context, conn *tls.Conn) bool {
	tracked, err := s.track(conn)
	if err != nil {
		return false
	}
	if s.put(ctx, tracked) {
		return true
	}
	tracked.Close()
	return false
}

func (s *Streams) track(conn *tls.Conn) (*stream, error) {
	tracked := &stream{conn, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		conn.Close()
		return nil, net.ErrClosed
	}
	s.open[tracked] = struct{}{}
	return tracked, nil
}

func (c *stream) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// Close accepts and dials nothing more and ends every connection.
func (s *Streams) Close() error {
	s.queue.Close()
	s.closeIf(func(*stream) bool { return true })
	return nil
}

func (s *Streams) review() {
	s.closeIf(func(c *stream) bool { return authorize(c.ConnectionState(), s.authorize) != nil })
}

func (s *Streams) closeIf(doomed func(*stream) bool) {
	s.mu.Lock()
	var victims []*stream
	for c := range s.open {
		if doomed(c) {
			victims = append(victims, c)
		}
	}
	s.mu.Unlock()
	for _, c := range victims {
		c.NetConn().Close() // unlike Close, never waits to say goodbye
		c.Close()
	}
}

// authorize accepts a peer that has shown a certificate, and is a replica.
func authorize(state tls.ConnectionState, isReplica func(tls.ConnectionState) error) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("raft is for replicas: show a replica's certificate")
	}
	return isReplica(state)
}

// advertised is the address that a replica gives to the others.
type advertised Address

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }

// queue is a net.Listener fed with connections that are already open.
type queue struct {
	addr  net.Addr
	ready chan net.Conn
	ctx   context.Context // ends when the queue is closed
	close context.CancelFunc
}

func newQueue(addr net.Addr) *queue {
	ctx, stop := context.WithCancel(context.Background())
	return &queue{addr: addr, ready: make(chan net.Conn), ctx: ctx, close: stop}
}

// put reports whether somebody accepted the connection before ctx ended.
func (q *queue) put(ctx context.Context, conn net.Conn) bool {
	select {
	case q.ready <- conn:
		return true
	case <-q.ctx.Done():
	case <-ctx.Done():
	}
	return false
}

// Accept returns the next connection, handshake done.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.ready:
		return conn, nil
	case <-q.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close lets no more connections through; those accepted stay open.
func (q *queue) Close() error {
	q.close()
	return nil
}

// Addr is where clients connect.
func (q *queue) Addr() net.Addr { return q.addr }
