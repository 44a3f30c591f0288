package coordclient

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

func token(o *office, addresses ...string) protocol.EnrolmentToken {
	return protocol.EnrolmentToken{
		Member: "moulin", Route: protocol.Route{Addresses: addresses, Keys: o.keys},
		Federation: protocol.HashOf([]byte("genesis")), Secret: bytes.Repeat([]byte{1}, 32),
	}
}

func enroll(t *testing.T, token protocol.EnrolmentToken) ([]byte, error) {
	t.Helper()
	// Far beyond what a refusal takes, and no test waits for it.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	certificate, _, err := Enroll(ctx, token, []byte("request"), slog.New(slog.DiscardHandler))
	if ctx.Err() != nil {
		t.Error("it does not end by itself")
	}
	return certificate, err
}

// The secret of a token goes to a replica whose key the token names, and to
// nobody else, whatever certificate they show.
func TestEnrolmentPins(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	good := o.certificate(t, nil)
	// The replica's own certificate beside one that the impostor has the key of,
	// and one for the impostor's key that the replica has signed.
	posed := other.certificate(t, nil)
	posed.Certificate = [][]byte{posed.Certificate[0], good.Certificate[0]}
	vouched := signed(t, newKey(t), good.PrivateKey.(*ecdsa.PrivateKey), nil)
	vouched.Certificate = append(vouched.Certificate, good.Certificate[0])
	for name, shown := range map[string]tls.Certificate{
		"another office's replica": other.certificate(t, nil), "one beside the replica's": posed, "one that the replica signed": vouched,
	} {
		r := serve(t, shown)
		r.enroll = func(*wire.EnrollRequest) (*wire.EnrollReply, error) {
			t.Errorf("%s: the secret was sent", name)
			return nil, refusal.ToStatus(refusal.ErrToken)
		}
		if _, err := enroll(t, token(o, r.address)); !errors.Is(err, ErrStranger) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key is a replica's whatever the dates and names around it say: a clock that
// is wrong, or a router between, keeps nobody out.
func TestEnrolmentLooksAtTheKey(t *testing.T) {
	o := newOffice(t)
	for name, change := range map[string]func(*x509.Certificate){
		"expired": func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		},
		"for another host": func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} },
	} {
		r := serve(t, o.certificate(t, change))
		r.enroll = func(*wire.EnrollRequest) (*wire.EnrollReply, error) {
			return &wire.EnrollReply{Certificate: []byte("c")}, nil
		}
		if _, err := enroll(t, token(o, r.address)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnrol(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	r := o.replica(t)
	r.enroll = func(req *wire.EnrollRequest) (*wire.EnrollReply, error) {
		return &wire.EnrollReply{Certificate: req.GetCertificateRequest(), Authority: []byte("authority")}, nil
	}
	impostor := other.replica(t)
	// One address out of two was taken over; the other one answers.
	if certificate, err := enroll(t, token(o, impostor.address, r.address)); err != nil || string(certificate) != "request" {
		t.Errorf("%q %v", certificate, err)
	}
	r.enroll = func(*wire.EnrollRequest) (*wire.EnrollReply, error) { return nil, refusal.ToStatus(refusal.ErrToken) }
	if _, err := enroll(t, token(o, r.address)); !errors.Is(err, refusal.ErrToken) {
		t.Error(err)
	}
}
