package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"coulisse/protocol"
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
}

// trust is that of a roll with one authority and one replica.
func trust(a *Authority, key protocol.Hash, named ...protocol.Hash) Trust {
	return Trust{
		Namespace: "ville",
		Replica:   func(k protocol.Hash) (protocol.ReplicaID, bool) { return "r1", k == key },
		Certifies: func(h protocol.Hash) bool { return h == a.Hash() },
		Names:     func(_ protocol.MemberID, h protocol.Hash) bool { return slices.Contains(named, h) },
	}
}

func connection(t *testing.T, chain ...[]byte) (state tls.ConnectionState) {
	t.Helper()
	for _, der := range chain {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		state.PeerCertificates = append(state.PeerCertificates, parsed)
	}
	return state
}

func TestWhoIsAtTheOtherEnd(t *testing.T) {
	now := time.Now()
	a, other := mustCreate(t), mustCreate(t)
	replica, stranger := ecKey(t), ecKey(t)
	name, err := protocol.KeyHash(replica.Public())
	if err != nil {
		t.Fatal(err)
	}
	member := must(a.IssueMember("alpha", request(t, &x509.CertificateRequest{}), now))
	retired := must(other.IssueMember("alpha", request(t, &x509.CertificateRequest{}), now))
	office := must(a.IssueOperator("office", stranger.Public(), now))
	former := must(other.IssueOperator("office", stranger.Public(), now))
	own := must(SelfSigned("ville", "r1", replica, "127.0.0.1", now))
	posed := must(SelfSigned("ville", "r1", stranger, "127.0.0.1", now))
	renamed := must(SelfSigned("ville", "r2", replica, "127.0.0.1", now))
	for what, test := range map[string]struct {
		chain [][]byte
		want  Party
		err   error
	}{
		"nobody":                        {nil, Party{Role: Anyone}, nil},
		"a member":                      {[][]byte{member, a.Certificate()}, Party{Member, "alpha"}, nil},
		"the office":                    {[][]byte{office, a.Certificate()}, Party{Operator, "office"}, nil},
		"a replica":                     {[][]byte{own}, Party{Replica, "r1"}, nil},
		"a replica beside an authority": {[][]byte{own, a.Certificate()}, Party{Replica, "r1"}, nil},
		"a member by a retired one, that is named": {[][]byte{retired, other.Certificate()}, Party{Member, "alpha"}, ErrRetired},
		"a member without its authority":           {[][]byte{member}, Party{}, ErrRetired},
		"the office by a retired one":              {[][]byte{former, other.Certificate()}, Party{}, ErrRetired},
		"the office without its authority":         {[][]byte{office}, Party{}, ErrRetired},
		"another's key under a replica's name":     {[][]byte{posed}, Party{}, ErrParty},
		"that, beside an authority":                {[][]byte{posed, a.Certificate()}, Party{}, ErrParty},
		"a replica under another's name":           {[][]byte{renamed}, Party{}, ErrParty},
		"an authority itself":                      {[][]byte{a.Certificate(), a.Certificate()}, Party{}, ErrParty},
	} {
		p, err := trust(a, name, protocol.HashOf(retired)).Identify(connection(t, test.chain...))
		if p != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %v %v", what, p, err)
		}
	}
	unnamed := trust(a, name)
	if p, err := unnamed.Identify(connection(t, retired, other.Certificate())); p != (Party{}) || !errors.Is(err, ErrRetired) {
		t.Error("a member by a retired authority, that the log does not name:", p, err)
	}
}

// What the handshake lets in is signed by the authority beside it, and in time.
func TestCheck(t *testing.T) {
	now := time.Now()
	a, other := mustCreate(t), mustCreate(t)
	member := must(a.IssueMember("alpha", request(t, &x509.CertificateRequest{}), now))
	for what, test := range map[string]struct {
		chain [][]byte
		at    time.Time
		ok    bool
	}{
		"a member":                       {[][]byte{member, a.Certificate()}, now, true},
		"nobody":                         {nil, now, true},
		"an authority that did not sign": {[][]byte{member, other.Certificate()}, now, false},
		"no authority's certificate":     {[][]byte{member, member}, now, false},
		"an expired one":                 {[][]byte{member, a.Certificate()}, now.Add(MemberLife + time.Minute), false},
	} {
		if err := Check(connection(t, test.chain...), test.at); (err == nil) != test.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// An authority comes back from its text as it was.
func TestReveal(t *testing.T) {
	a := mustCreate(t)
	text := must(a.Reveal())
	again, err := Open("ville", text)
	if err != nil || again.Hash() != a.Hash() {
		t.Fatal(err)
	}
	if _, err := again.IssueOperator("office", ecKey(t).Public(), time.Now()); err != nil {
		t.Error(err)
	}
	other := must(mustCreate(t).Reveal())
	first, _ := pem.Decode(text)
	_, rest := pem.Decode(other)
	for what, bad := range map[string][]byte{
		"nothing": nil, "half": text[:len(text)/2], "another's key": append(pem.EncodeToMemory(first), rest...),
	} {
		if _, err := Open("ville", bad); err == nil {
			t.Error(what, "opens")
		}
	}
}

func mustCreate(t *testing.T) *Authority {
	t.Helper()
	a, err := Create("ville", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
