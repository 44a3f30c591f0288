package coordclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/pinned"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// office is a coordinator whose replicas a test writes.
type office struct{ keys []protocol.Hash }

func newOffice(t *testing.T) *office {
	t.Helper()
	return &office{}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate is one of a replica of the office, as change has it.
func (o *office) certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	name, err := protocol.KeyHash(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	o.keys = append(o.keys, name)
	return signed(t, key, key, change)
}

// signed is a certificate for a key by another.
func signed(t *testing.T, key, by *ecdsa.PrivateKey, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Minute),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// replica answers as a test has it.
type replica struct {
	wire.UnimplementedCoordinatorServer
	address string
	stop    func()

	submit func(context.Context) (*wire.SubmitReply, error)
	status *wire.StatusReply
	follow func(*wire.FollowRequest, grpc.ServerStreamingServer[wire.FollowReply]) error
	relay  func(grpc.BidiStreamingServer[wire.Parcel, wire.Parcel]) error
	upload func(grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error
	enroll func(*wire.EnrollRequest) (*wire.EnrollReply, error)
}

func (o *office) replica(t *testing.T) *replica {
	t.Helper()
	return serve(t, o.certificate(t, nil))
}

func serve(t *testing.T, certificate tls.Certificate) *replica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13})))
	r := &replica{address: listener.Addr().String()}
	wire.RegisterCoordinatorServer(server, r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	r.stop = sync.OnceFunc(func() {
		server.Stop()
		<-served
	})
	t.Cleanup(r.stop)
	return r
}

// client knows the office's replicas.
func (o *office) client(t *testing.T, addresses ...string) *Client {
	t.Helper()
	c := New(Config{
		Addresses: addresses, Logger: slog.New(slog.DiscardHandler),
		TLS: func() *tls.Config {
			return pinned.Dial(func(key protocol.Hash) bool { return slices.Contains(o.keys, key) }, nil)
		},
	})
	t.Cleanup(c.Close)
	return c
}

func (r *replica) Submit(ctx context.Context, _ *wire.SubmitRequest) (*wire.SubmitReply, error) {
	return r.submit(ctx)
}

func (r *replica) Status(context.Context, *wire.StatusRequest) (*wire.StatusReply, error) {
	if r.status == nil {
		return nil, refusal.ToStatus(refusal.ErrUnavailable)
	}
	return r.status, nil
}

func (r *replica) Follow(req *wire.FollowRequest, stream grpc.ServerStreamingServer[wire.FollowReply]) error {
	return r.follow(req, stream)
}

func (r *replica) Relay(stream grpc.BidiStreamingServer[wire.Parcel, wire.Parcel]) error {
	return r.relay(stream)
}

func (r *replica) Upload(stream grpc.BidiStreamingServer[wire.UploadRequest, wire.UploadReply]) error {
	return r.upload(stream)
}

func (r *replica) Enroll(_ context.Context, req *wire.EnrollRequest) (*wire.EnrollReply, error) {
	return r.enroll(req)
}
