package consensus

import (
	"net"
	"os"
	"sync"
	"time"
)

// network joins replicas in memory. What goes over a blocked link waits until
// the link is free again, as TCP retransmits, or until its deadline.
type network struct {
	mu      sync.Mutex
	ports   map[Address]*port
	blocked map[link]chan struct{} // closed when freed
}

type link struct{ from, to Address }

func newNetwork() *network {
	return &network{ports: map[Address]*port{}, blocked: map[link]chan struct{}{}}
}

// block stops one direction of a link.
func (n *network) block(from, to Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.blocked[link{from, to}] == nil {
		n.blocked[link{from, to}] = make(chan struct{})
	}
}

func (n *network) free(from, to Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if gate := n.blocked[link{from, to}]; gate != nil {
		close(gate)
		delete(n.blocked, link{from, to})
	}
}

// isolate blocks every link of a replica with the others, join frees them.
func (n *network) isolate(a Address, all []Peer) {
	for _, p := range all {
		n.block(a, p.Address)
		n.block(p.Address, a)
	}
}

func (n *network) join(a Address, all []Peer) {
	for _, p := range all {
		n.free(a, p.Address)
		n.free(p.Address, a)
	}
}

// pass waits until the link is free.
func (n *network) pass(l link, closed <-chan struct{}, deadline time.Time) error {
	for {
		n.mu.Lock()
		gate := n.blocked[l]
		n.mu.Unlock()
		if gate == nil {
			return nil
		}
		var late <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-gate:
		case <-closed:
			return net.ErrClosed
		case <-late:
			return os.ErrDeadlineExceeded
		}
	}
}

// port is one replica's StreamLayer on the network.
type port struct {
	*queue
	net  *network
	mu   sync.Mutex
	open []*pipe
}

func (n *network) listen(a Address) *port {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &port{queue: newQueue(advertised(a)), net: n}
	n.ports[a] = p
	return p
}

func (p *port) here() Address { return Address(p.Addr().String()) }

func (p *port) Dial(to Address, limit time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(limit)
	for _, l := range []link{{p.here(), to}, {to, p.here()}} {
		if err := p.net.pass(l, p.ctx.Done(), deadline); err != nil {
			return nil, err
		}
	}
	p.net.mu.Lock()
	there := p.net.ports[to]
	p.net.mu.Unlock()
	if there == nil || there.ctx.Err() != nil {
		return nil, net.ErrClosed
	}
	a, b := net.Pipe()
	near := p.track(a, link{p.here(), to})
	far := there.track(b, link{to, p.here()})
	if !there.put(p.ctx, far) {
		near.Close()
		far.Close()
		return nil, net.ErrClosed
	}
	return near, nil
}

func (p *port) track(c net.Conn, l link) *pipe {
	tracked := &pipe{Conn: c, net: p.net, link: l, closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, tracked)
	return tracked
}

func (p *port) Close() error {
	p.queue.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
	return nil
}

// pipe is one end of a connection.
type pipe struct {
	net.Conn
	net    *network
	link   link // the direction in which this end writes
	once   sync.Once
	closed chan struct{}

	mu       sync.Mutex
	deadline time.Time
}

func (c *pipe) Write(p []byte) (int, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	if err := c.net.pass(c.link, c.closed, deadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *pipe) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *pipe) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
