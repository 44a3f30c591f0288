package pinned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/protocol"
)

func certificate(t *testing.T, key *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// handshake connects both ends and returns the client's error.
func handshake(t *testing.T, server tls.Certificate, client *tls.Config) (seen int, err error) {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		conn := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13})
		_ = conn.HandshakeContext(t.Context()) // the client says what was wrong
		seen = len(conn.ConnectionState().PeerCertificates)
	}()
	err = tls.Client(here, client).HandshakeContext(t.Context())
	here.Close()
	<-done
	return seen, err
}

// Whom to believe is asked at each handshake, and the key decides.
func TestDial(t *testing.T) {
	key, other := newKey(t), newKey(t)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	listed := protocol.Hash(sha256.Sum256(der)) // as protocol.md says, not as the package does
	var removed atomic.Bool
	own := certificate(t, other)
	config := Dial(func(k protocol.Hash) bool { return k == listed && !removed.Load() }, func() *tls.Certificate { return &own })
	if seen, err := handshake(t, certificate(t, key), config); err != nil || seen != 1 {
		t.Errorf("a replica, in an old certificate: %v, and it saw %d of ours", err, seen)
	}
	if _, err := handshake(t, certificate(t, other), config); !errors.Is(err, ErrServer) {
		t.Error("another key:", err)
	}
	posed := certificate(t, key)
	posed.PrivateKey = other
	if _, err := handshake(t, posed, config); err == nil {
		t.Error("a replica's certificate without its key")
	}
	removed.Store(true)
	if _, err := handshake(t, certificate(t, key), config); !errors.Is(err, ErrServer) {
		t.Error("a replica that has left the roll meanwhile:", err)
	}
	if seen, err := handshake(t, certificate(t, key), Dial(func(protocol.Hash) bool { return true }, nil)); err != nil || seen != 0 {
		t.Error("without a certificate of one's own:", seen, err)
	}
	if _, err := Key(tls.ConnectionState{}); !errors.Is(err, ErrServer) {
		t.Error("a connection without a certificate:", err)
	}
}
