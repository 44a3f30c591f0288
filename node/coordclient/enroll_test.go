package coordclient

import (
	"bytes"
	"context"
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
		Member: "moulin", Addresses: addresses, Authority: protocol.HashOf(o.authority.Raw),
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

// The secret of a token goes to a replica of the office that made it, at the
// host that the token names, and to nobody else.
func TestEnrolmentPins(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	alone := o.certificate(t, nil)
	alone.Certificate = alone.Certificate[:1]
	// Somebody else's certificate, beside the authority's that everybody knows.
	posed := other.certificate(t, nil)
	posed.Certificate = [][]byte{posed.Certificate[0], o.authority.Raw}
	for name, shown := range map[string]tls.Certificate{
		"another authority":           other.certificate(t, nil),
		"another authority's replica": posed,
		"no authority":                alone,
		"an expired one": o.certificate(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}),
		"one that is not valid yet":  o.certificate(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(30 * time.Second) }),
		"another host's":             o.certificate(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} }),
		"another name's":             o.certificate(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"localhost"} }),
		"a member's":                 o.certificate(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
		"the authority's own, alone": {Certificate: [][]byte{o.authority.Raw}, PrivateKey: o.key},
	} {
		r := serve(t, shown)
		r.enroll = func(*wire.EnrollRequest) (*wire.EnrollReply, error) {
			t.Errorf("%s: the secret was sent", name)
			return nil, refusal.ToStatus(refusal.ErrToken)
		}
		if _, err := enroll(t, token(o, r.address)); !errors.Is(err, ErrAuthority) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnrol(t *testing.T) {
	o, other := newOffice(t), newOffice(t)
	r := o.replica(t)
	r.enroll = func(req *wire.EnrollRequest) (*wire.EnrollReply, error) {
		return &wire.EnrollReply{Certificate: req.GetCertificateRequest(), Authority: o.authority.Raw}, nil
	}
	impostor := other.replica(t)
	// One address out of two was taken over; the other one answers.
	if certificate, err := enroll(t, token(o, impostor.address, r.address)); err != nil || string(certificate) != "request" {
		t.Errorf("%q %v", certificate, err)
	}
	// The authority that comes along is the token's, too.
	r.enroll = func(*wire.EnrollRequest) (*wire.EnrollReply, error) {
		return &wire.EnrollReply{Certificate: []byte("c"), Authority: other.authority.Raw}, nil
	}
	if _, err := enroll(t, token(o, r.address)); !errors.Is(err, ErrAuthority) {
		t.Error(err)
	}
	r.enroll = func(*wire.EnrollRequest) (*wire.EnrollReply, error) { return nil, refusal.ToStatus(refusal.ErrToken) }
	if _, err := enroll(t, token(o, r.address)); !errors.Is(err, refusal.ErrToken) {
		t.Error(err)
	}
}
