package consensus

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Names under which the protocols of the port are negotiated (ALPN).
const (
	ProtocolRaft = "coulisse-raft/1"
	ProtocolGRPC = "h2"
	ProtocolHTTP = "http/1.1" // static resources, for tools that are no nodes
)

const (
	handshakeLimit    = 5 * time.Second // from accepting a connection to handing it over
	maxHandshakes     = 512             // under way at once
	reviewEvery       = time.Minute     // of raft connections, against their certificates
	acceptBackoff     = 5 * time.Millisecond
	acceptBackoffStop = time.Second
)

// MuxConfig is what a [Mux] needs.
type MuxConfig struct {
	Listener net.Listener // the Mux closes it

	// TLS holds the server's certificate and VerifyConnection, which judges a
	// client's certificate if one is given (a node that enrols has none yet):
	// whom to believe changes while the Mux runs, so there is no fixed list. The
	// Mux sets on a copy the rest: TLS 1.3, the protocols, and no session
	// tickets, since a resumed session would skip verification. Certificates
	// that renew themselves come through GetCertificate; GetConfigForClient is
	// refused, for it would put another configuration in the place of this one.
	TLS *tls.Config

	// Dial is for connections to the other replicas: how to know them, and the
	// client certificate of this one.
	Dial *tls.Config

	// AuthorizeRaft accepts the state of a connection if its peer is a replica,
	// by its key. It is asked for connections in both directions, within the
	// handshake, and again every minute while they last.
	AuthorizeRaft func(tls.ConnectionState) error

	Address Address      // where the other replicas dial this one
	Logger  *slog.Logger // slog.Default() if nil
}

// Mux shares one TLS port between raft, gRPC and HTTP by the negotiated protocol. It
// handshakes in goroutines of its own, so that a slow client delays nobody.
type Mux struct {
	cfg  MuxConfig
	tls  *tls.Config
	log  *slog.Logger
	raft *Streams
	grpc *queue
	http *queue

	// mu guards pending, the connections not yet handed over, oldest first.
	mu      sync.Mutex
	pending list.List
}

// NewMux prepares a Mux. Nothing is accepted before Run.
func NewMux(cfg MuxConfig) (*Mux, error) {
	if cfg.Listener == nil || cfg.TLS == nil || cfg.Dial == nil || cfg.AuthorizeRaft == nil || cfg.Address == "" {
		return nil, errors.New("consensus: a Mux needs a listener, two TLS configurations, AuthorizeRaft and an address")
	}
	if cfg.TLS.VerifyConnection == nil {
		return nil, errors.New("consensus: a Mux needs VerifyConnection, or it would believe any certificate")
	}
	if cfg.TLS.GetConfigForClient != nil {
		return nil, errors.New("consensus: a Mux takes no GetConfigForClient, which would bypass its authorisation")
	}
	m := &Mux{cfg: cfg, log: cfg.Logger, grpc: newQueue(cfg.Listener.Addr()), http: newQueue(cfg.Listener.Addr())}
	if m.log == nil {
		m.log = slog.Default()
	}
	m.raft = newStreams(cfg.Address, cfg.Dial, cfg.AuthorizeRaft)
	m.tls = cfg.TLS.Clone()
	m.tls.MinVersion = tls.VersionTLS13
	m.tls.NextProtos = []string{ProtocolRaft, ProtocolGRPC, ProtocolHTTP}
	m.tls.ClientAuth = tls.RequestClientCert
	m.tls.SessionTicketsDisabled = true
	m.tls.VerifyConnection = m.verify
	return m, nil
}

// Raft is the layer for [Config.Streams].
func (m *Mux) Raft() *Streams { return m.raft }

// GRPC is the listener for a grpc.Server made with [ServerCredentials].
func (m *Mux) GRPC() net.Listener { return m.grpc }

// HTTP is the listener for an http.Server. Its connections are *tls.Conn whose
// handshake is done; a client may have shown no certificate.
func (m *Mux) HTTP() net.Listener { return m.http }

// verify refuses, within the handshake, raft to whoever is no replica.
func (m *Mux) verify(state tls.ConnectionState) error {
	if err := m.cfg.TLS.VerifyConnection(state); err != nil {
		return err
	}
	if state.NegotiatedProtocol == ProtocolRaft {
		return authorize(state, m.cfg.AuthorizeRaft)
	}
	return nil
}

// Run accepts connections until ctx ends. Those handed over live on.
func (m *Mux) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work.Go(func() {
		<-ctx.Done()
		m.cfg.Listener.Close()
		m.grpc.Close()
		m.http.Close()
		m.raft.queue.Close()
	})
	work.Go(func() { m.reviewRegularly(ctx) })
	backoff := acceptBackoff
	for {
		conn, err := m.cfg.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept connections: %w", err)
		case err != nil: // for instance, too many open files: wait for some to close
			m.log.Warn("a connection was not accepted", "error", err)
			pause(ctx, backoff)
			backoff = min(2*backoff, acceptBackoffStop)
		default:
			backoff = acceptBackoff
			place := m.admit(conn)
			work.Go(func() {
				defer m.dismiss(place)
				m.sort(ctx, conn)
			})
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// admit notes a pending connection. When there are too many it cuts the oldest:
// an honest handshake takes two round trips, so a flood of idle connections
// pushes itself out rather than the replicas.
func (m *Mux) admit(conn net.Conn) *list.Element {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending.Len() >= maxHandshakes {
		m.pending.Remove(m.pending.Front()).(net.Conn).Close()
	}
	return m.pending.PushBack(conn)
}

func (m *Mux) dismiss(place *list.Element) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending.Remove(place)
}

// sort handshakes and hands the connection to its protocol.
func (m *Mux) sort(ctx context.Context, raw net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	conn := tls.Server(raw, m.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		m.log.Debug("a handshake failed", "error", err)
		raw.Close()
		return
	}
	taken := false
	switch conn.ConnectionState().NegotiatedProtocol {
	case ProtocolRaft:
		taken = m.raft.take(ctx, conn)
	case ProtocolGRPC:
		taken = m.grpc.put(ctx, conn)
	case ProtocolHTTP:
		taken = m.http.put(ctx, conn)
	}
	if !taken {
		conn.Close()
	}
}

// Review closes the raft connections that would not be accepted now. It runs
// every minute; call it when a replica's certificate is revoked.
func (m *Mux) Review() { m.raft.review() }

func (m *Mux) reviewRegularly(ctx context.Context) {
	every := time.NewTicker(reviewEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			m.Review()
		case <-ctx.Done():
			return
		}
	}
}
