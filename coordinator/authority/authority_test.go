package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"
)

func request(t *testing.T, template *x509.CertificateRequest) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificateRequest(rand.Reader, template, k)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestAMemberGetsItsOwnNameOnly(t *testing.T) {
	a, err := Create("ville", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	// A request that asks to be somebody else, and a server.
	raw, err := a.IssueMember("alpha", request(t, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "r1"},
		DNSNames: []string{"one.example.org"},
		URIs:     []*url.URL{{Scheme: "spiffe", Host: "ville", Path: "/operator/office"}},
	}), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := PartyOf("ville", certificate); err != nil || p != (Party{Member, "alpha"}) {
		t.Fatal(p, err)
	}
	if certificate.IsCA || len(certificate.DNSNames) > 0 || slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		t.Error("the certificate says more than who its holder is")
	}
	if life := time.Until(certificate.NotAfter); life > MemberLife || life < MemberLife-time.Minute {
		t.Error("it is good for", life)
	}
	if _, err := PartyOf("another-town", certificate); !errors.Is(err, ErrParty) {
		t.Error("it names a party of another federation:", err)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	a, err := Create("ville", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good := request(t, &x509.CertificateRequest{})
	altered := slices.Clone(good)
	altered[len(altered)-1] ^= 1
	for name, raw := range map[string][]byte{"none": nil, "altered": altered, "too long": make([]byte, MaxRequest+1), "followed by more": append(good, 0)} {
		if _, err := a.IssueMember("alpha", raw, time.Now()); !errors.Is(err, ErrRequest) {
			t.Errorf("a request that is %s: %v", name, err)
		}
	}
	if _, err := a.IssueMember("Not/A/Name", request(t, &x509.CertificateRequest{}), time.Now()); !errors.Is(err, ErrParty) {
		t.Error("a name with slashes:", err)
	}
}

func TestPartyOf(t *testing.T) {
	for _, uri := range []string{
		"", "spiffe://ville", "spiffe://ville/member", "spiffe://ville/member/", "spiffe://ville/member/a/b", "spiffe://ville/song/alpha",
		"spiffe://other/member/alpha", "https://ville/member/alpha", "spiffe://ville/member/Alpha", "spiffe://ville/anyone/alpha",
	} {
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := PartyOf("ville", &x509.Certificate{URIs: []*url.URL{parsed}}); !errors.Is(err, ErrParty) {
			t.Errorf("%q names %v: %v", uri, p, err)
		}
	}
	good := &url.URL{Scheme: "spiffe", Host: "ville", Path: "/member/alpha"}
	if _, err := PartyOf("ville", &x509.Certificate{URIs: []*url.URL{good, good}}); !errors.Is(err, ErrParty) {
		t.Error("a certificate with two names:", err)
	}
	unverified := tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: []*url.URL{good}}}}
	if _, err := Identify("ville", unverified); !errors.Is(err, ErrParty) {
		t.Error("a certificate that was not verified:", err)
	}
	if p, err := Identify("ville", tls.ConnectionState{}); err != nil || p.Role != Anyone {
		t.Error(p, err)
	}
}
