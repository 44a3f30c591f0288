package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coulisse/protocol"
)

func newFolder(t *testing.T) *Folder {
	t.Helper()
	f, err := Init(filepath.Join(t.TempDir(), "n"), protocol.Card{
		ID: "moulin", Name: protocol.Text{FR: "Moulin", EN: "Mill"}, Kind: protocol.KindHouse, Group: "moulin",
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// In a folder nothing that is secret is readable, nor by anybody else.
func TestAFolderKeepsItsSecrets(t *testing.T) {
	f := newFolder(t)
	voting, err := f.VotingKey()
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{voting.Reveal(), f.node.Reveal(), f.envelope.Marshal()}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(f.path(e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if bytes.Contains(content, secret) {
				t.Errorf("%s holds a key in the clear", e.Name())
			}
		}
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", e.Name(), err)
		}
	}
	again, err := Open(f.Dir)
	if err != nil || again.Card != f.Card {
		t.Errorf("it does not open again: %v", err)
	}
	if _, err := Init(f.Dir, f.Card); !errors.Is(err, ErrFolder) {
		t.Errorf("a node's keys were replaced: %v", err)
	}
}

// A node whose making was cut off has no card, and is made anew.
func TestInitAfterACrash(t *testing.T) {
	f := newFolder(t)
	if err := os.Remove(f.path(fileCard)); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(f.Dir, f.Card); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(f.Dir); err != nil {
		t.Error(err)
	}
}

func TestMembership(t *testing.T) {
	f := newFolder(t)
	if _, err := f.Membership(); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
	for _, text := range []string{"", "{", `{"federation":"00","route":{"roll":0,"addresses":[],"keys":[]}}`, `{"route":{"roll":0,"addresses":["a:1"],"keys":[]},"federation":"` + protocol.HashOf(nil).String() + `"}`} {
		if err := os.WriteFile(f.path(fileFederation), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Membership(); err == nil || errors.Is(err, ErrNotEnrolled) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// route leads nowhere.
var route = protocol.Route{Addresses: []string{"127.0.0.1:1"}, Keys: []protocol.Hash{protocol.HashOf([]byte("key"))}}

// A node belongs to one federation: a token of another is not even shown to
// anybody.
func TestEnrollInAnotherFederation(t *testing.T) {
	f := newFolder(t)
	text, err := protocol.Indented(Membership{Federation: protocol.HashOf([]byte("ours")), Route: route})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.replace(fileFederation, text); err != nil {
		t.Fatal(err)
	}
	token := protocol.EnrolmentToken{Member: "moulin", Federation: protocol.HashOf([]byte("theirs")), Route: route}
	if err := f.Enroll(t.Context(), token, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrFolder) {
		t.Error(err)
	}
	token.Member = "agora"
	if err := f.Enroll(t.Context(), token, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrFolder) {
		t.Error(err)
	}
}

// The certificate that serves is not replaced by one that would not.
func TestKeepTLS(t *testing.T) {
	f := newFolder(t)
	authority, key := ownAuthority(t, "office")
	other, otherKey := ownAuthority(t, "other")
	private, _, err := newRequest()
	if err != nil {
		t.Fatal(err)
	}
	issue := func(by *x509.Certificate, with *ecdsa.PrivateKey, to *ecdsa.PrivateKey, change func(*x509.Certificate)) []byte {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		if change != nil {
			change(template)
		}
		der, err := x509.CreateCertificate(rand.Reader, template, by, to.Public(), with)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	if err := f.keepTLS(private, issue(authority, key, private, nil), authority.Raw); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(f.path(fileTLS))
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{
		"nothing":           nil,
		"no certificate":    []byte("junk"),
		"for another key":   issue(authority, key, otherKey, nil),
		"another authority": issue(other, otherKey, private, nil),
		"expired":           issue(authority, key, private, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }),
		"for a server":      issue(authority, key, private, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
	} {
		if err := f.keepTLS(private, der, authority.Raw); err == nil {
			t.Errorf("%s: kept", name)
		}
	}
	if err := f.keepTLS(private, issue(authority, key, private, nil), []byte("junk")); err == nil {
		t.Error("without an authority: kept")
	}
	if after, err := os.ReadFile(f.path(fileTLS)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the good one is gone: %v", err)
	}
	if _, err := f.openTLS(); err != nil {
		t.Error(err)
	}
}

func ownAuthority(t *testing.T, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, key
}
