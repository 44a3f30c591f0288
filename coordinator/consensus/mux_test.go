package consensus

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"coulisse/protocol"
)

// authority is a certificate authority for one test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	c.NotBefore = time.Now().Add(-time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	issuer, signer := a.cert, a.key
	if issuer == nil {
		c.Subject = pkix.Name{CommonName: "authority"}
		issuer, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue makes a certificate for loopback with that URI.
func (a *authority) issue(uri string, until time.Time) tls.Certificate {
	u, err := url.Parse(uri)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key := a.sign(&x509.Certificate{
		URIs: []*url.URL{u}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

const (
	replicaURI = "spiffe://coulisse.test/replica/"
	memberURI  = "spiffe://coulisse.test/member/theatre"
)

// verify is what a replica brings to a Mux.
func (a *authority) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return nil
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: a.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

func onlyReplicas(state tls.ConnectionState) error {
	for _, u := range state.PeerCertificates[0].URIs {
		if strings.HasPrefix(u.String(), replicaURI) {
			return nil
		}
	}
	return errors.New("not a replica")
}

// client is a TLS configuration with or without a certificate.
func (a *authority) client(protocols []string, certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: a.pool, NextProtos: protocols, Certificates: certs}
}

func (a *authority) settings(listener net.Listener, cert tls.Certificate) MuxConfig {
	return MuxConfig{
		Listener: listener, Address: Address(listener.Addr().String()), AuthorizeRaft: onlyReplicas,
		TLS:    &tls.Config{Certificates: []tls.Certificate{cert}, VerifyConnection: a.verify},
		Dial:   a.client(nil, cert),
		Logger: slog.New(slog.DiscardHandler),
	}
}

// mux starts a Mux on loopback for the holder of that certificate.
func (a *authority) mux(t testing.TB, cert tls.Certificate, tune func(*MuxConfig)) *Mux {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := a.settings(listener, cert)
	if tune != nil {
		tune(&cfg)
	}
	m, err := NewMux(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait(); m.Raft().Close() })
	return m
}

// health answers health checks and remembers who asked.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	asked chan credentials.TLSInfo
}

func (h *health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	p, _ := peer.FromContext(ctx)
	h.asked <- p.AuthInfo.(credentials.TLSInfo)
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func serveHealth(t *testing.T, m *Mux) *health {
	h := &health{asked: make(chan credentials.TLSInfo, 10)}
	server := grpc.NewServer(grpc.Creds(ServerCredentials()))
	grpc_health_v1.RegisterHealthServer(server, h)
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(m.GRPC()) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	return h
}

func checkHealth(t *testing.T, address Address, conf *tls.Config) error {
	t.Helper()
	client, err := grpc.NewClient(string(address), grpc.WithTransportCredentials(credentials.NewTLS(conf)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = grpc_health_v1.NewHealthClient(client).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	return err
}

// TestOnePort runs three replicas over TLS and calls gRPC on the same ports.
func TestOnePort(t *testing.T) {
	a := newAuthority(t)
	var peers []Peer
	var muxes []*Mux
	for _, id := range []protocol.ReplicaID{"replica-a", "replica-b", "replica-c"} {
		m := a.mux(t, a.issue(replicaURI+string(id), time.Time{}), nil)
		muxes = append(muxes, m)
		peers = append(peers, Peer{id, m.cfg.Address})
	}
	c := &cluster{t: t, peers: peers, dir: t.TempDir(), nodes: map[protocol.ReplicaID]*replica{}}
	for i, p := range peers {
		state := &ledger{}
		n, err := New(Config{
			ID: p.ID, Dir: filepath.Join(c.dir, string(p.ID)), Peers: peers, Streams: muxes[i].Raft(), State: state,
			Logger: slog.New(slog.DiscardHandler), Timing: Timing{Heartbeat: 200 * time.Millisecond, Election: 200 * time.Millisecond, Lease: 150 * time.Millisecond},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		r := &replica{n, state, cancel, make(chan struct{})}
		go func() { defer close(r.ended); n.Run(ctx) }()
		c.nodes[p.ID] = r
	}
	defer c.stopAll()
	c.apply(c.leader(), "one")
	if got := c.converge(); !slices.Equal(got, []string{"one"}) {
		t.Fatalf("commands %q", got)
	}
	leader := c.leader()
	var refused *NotLeaderError
	_, _, err := c.others(leader)[0].Apply(t.Context(), []byte("two"))
	if !errors.As(err, &refused) || refused.Leader.Address == "" {
		t.Fatalf("a follower answered %v", err)
	}

	var asked credentials.TLSInfo
	for _, m := range muxes {
		h := serveHealth(t, m)
		if m.cfg.Address != refused.Leader.Address {
			continue
		}
		if err := checkHealth(t, refused.Leader.Address, a.client(nil)); err != nil {
			t.Errorf("gRPC without a certificate, for enrolment: %v", err)
		}
		if asked = <-h.asked; len(asked.State.PeerCertificates) != 0 {
			t.Error("a certificate came from nowhere")
		}
		if err := checkHealth(t, refused.Leader.Address, a.client(nil, a.issue(memberURI, time.Time{}))); err != nil {
			t.Errorf("gRPC with a member's certificate: %v", err)
		}
		asked = <-h.asked
	}
	if len(asked.State.PeerCertificates) == 0 || asked.State.PeerCertificates[0].URIs[0].String() != memberURI {
		t.Errorf("the RPC does not know its caller: %+v", asked.State.PeerCertificates)
	}
	if asked.State.Version != tls.VersionTLS13 || asked.State.CurveID != tls.X25519MLKEM768 || asked.SecurityLevel != credentials.PrivacyAndIntegrity {
		t.Errorf("version %x, key exchange %v, level %v", asked.State.Version, asked.State.CurveID, asked.SecurityLevel)
	}
	c.stop(leader)
	c.apply(c.leader(), "three")
	c.converge()
}

func TestRaftIsForReplicas(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	replicaCert := a.issue(replicaURI+"a", time.Time{})
	m := a.mux(t, replicaCert, nil)
	go func() {
		for {
			conn, err := m.Raft().Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("!"))
		}
	}()
	for _, tc := range []struct {
		name string
		conf *tls.Config
		ok   bool
	}{
		{"a replica", a.client([]string{ProtocolRaft}, replicaCert), true},
		{"nobody", a.client([]string{ProtocolRaft}), false},
		{"a member", a.client([]string{ProtocolRaft}, a.issue(memberURI, time.Time{})), false},
		{"a replica of elsewhere", a.client([]string{ProtocolRaft}, stranger.issue(replicaURI+"a", time.Time{})), false},
		{"an expired replica", a.client([]string{ProtocolRaft}, a.issue(replicaURI+"a", time.Now().Add(-time.Minute))), false},
		{"a replica without protocol", a.client(nil, replicaCert), false},
		{"a replica with another protocol", a.client([]string{"http/1.1"}, replicaCert), false},
		{"a replica with an old TLS", &tls.Config{RootCAs: a.pool, NextProtos: []string{ProtocolRaft},
			Certificates: []tls.Certificate{replicaCert}, MaxVersion: tls.VersionTLS12}, false},
	} {
		// TLS 1.3 clients learn of a refusal when they read.
		conn, err := tls.Dial("tcp", string(m.cfg.Address), tc.conf)
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, 1))
			conn.Close()
		}
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestDialOnlyReplicas has members answer where a replica is dialled.
func TestDialOnlyReplicas(t *testing.T) {
	a := newAuthority(t)
	here := a.mux(t, a.issue(replicaURI+"a", time.Time{}), nil)
	there := a.mux(t, a.issue(replicaURI+"b", time.Time{}), nil)
	conn, err := here.Raft().Dial(there.cfg.Address, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	member := a.mux(t, a.issue(memberURI, time.Time{}), nil)
	if _, err := here.Raft().Dial(member.cfg.Address, time.Minute); err == nil {
		t.Error("a member passed for a replica")
	}
	here.Raft().Close()
	if _, err := here.Raft().Dial(there.cfg.Address, time.Minute); err == nil {
		t.Error("a closed layer dials")
	}
}

func TestSessionsAreNotResumed(t *testing.T) {
	a := newAuthority(t)
	m := a.mux(t, a.issue(replicaURI+"a", time.Time{}), nil)
	h := serveHealth(t, m)
	conf := a.client(nil, a.issue(memberURI, time.Time{}))
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	for range 2 {
		if err := checkHealth(t, m.cfg.Address, conf); err != nil {
			t.Fatal(err)
		}
		if asked := <-h.asked; asked.State.DidResume {
			t.Error("a resumed session skipped verification")
		}
	}
}

// TestReview revokes a replica whose connection is open.
func TestReview(t *testing.T) {
	a := newAuthority(t)
	var revoked atomic.Bool
	m := a.mux(t, a.issue(replicaURI+"a", time.Time{}), func(cfg *MuxConfig) {
		cfg.AuthorizeRaft = func(state tls.ConnectionState) error {
			if revoked.Load() {
				return errors.New("revoked")
			}
			return onlyReplicas(state)
		}
	})
	other := a.mux(t, a.issue(replicaURI+"b", time.Time{}), nil)
	dialled, err := other.Raft().Dial(m.cfg.Address, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	accepted, err := m.Raft().Accept()
	if err != nil {
		t.Fatal(err)
	}
	m.Review()
	if _, err := accepted.Write([]byte("!")); err != nil {
		t.Fatalf("a good connection was closed: %v", err)
	}
	if _, err := io.ReadFull(dialled, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	revoked.Store(true)
	m.Review()
	if _, err := io.ReadFull(dialled, make([]byte, 1)); err == nil {
		t.Error("a revoked replica kept its connection")
	}
}

// TestIdleConnectionsKeepNobodyOut floods the port with connections that never
// handshake, more than the Mux has places for.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	a := newAuthority(t)
	m := a.mux(t, a.issue(replicaURI+"a", time.Time{}), nil)
	h := serveHealth(t, m)
	var idle []net.Conn
	for range maxHandshakes + 50 {
		conn, err := net.Dial("tcp", string(m.cfg.Address))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	began := time.Now()
	if err := checkHealth(t, m.cfg.Address, a.client(nil)); err != nil {
		t.Fatal(err)
	}
	<-h.asked
	if took := time.Since(began); took > handshakeLimit/2 {
		t.Errorf("an honest client waited %v", took)
	}
	m.mu.Lock()
	pending := m.pending.Len()
	m.mu.Unlock()
	if pending > maxHandshakes {
		t.Errorf("%d handshakes under way", pending)
	}
	idle[0].SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := idle[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the oldest idle connection is still there: %v", err)
	}
}

func TestMuxRefusesToBeBypassed(t *testing.T) {
	a := newAuthority(t)
	cert := a.issue(replicaURI+"a", time.Time{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := MuxConfig{Listener: listener, Address: "a:1", AuthorizeRaft: onlyReplicas, Dial: a.client(nil, cert),
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, VerifyConnection: a.verify, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }}}
	if _, err := NewMux(cfg); err == nil {
		t.Error("GetConfigForClient was accepted")
	}
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if _, err := NewMux(cfg); err == nil {
		t.Error("a Mux that verifies nobody was accepted")
	}
	cfg.TLS, cfg.AuthorizeRaft = &tls.Config{VerifyConnection: a.verify}, nil
	if _, err := NewMux(cfg); err == nil {
		t.Error("no AuthorizeRaft was accepted")
	}
}

func TestCredentialsAreForTheMux(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, _, err := ServerCredentials().ServerHandshake(a); err == nil {
		t.Error("a plain connection was taken for a TLS one")
	}
	if _, _, err := ServerCredentials().ServerHandshake(tls.Server(a, &tls.Config{})); err == nil {
		t.Error("a connection was served before its handshake")
	}
	if _, _, err := ServerCredentials().ClientHandshake(t.Context(), "", a); err == nil {
		t.Error("a client used the server's credentials")
	}
}
