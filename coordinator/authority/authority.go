// Package authority says on the wire who is a member, a replica or an operator
// (protocol.md section 7). Each replica has a certificate authority of its own,
// which the roll lists: it certifies members' nodes and the office, and counts
// no longer than its replica is on the roll. Replicas themselves are known by
// their keys (package pinned), and no authority vouches for one.
//
// A certificate opens connections only. What a party says is signed with keys
// that the charter and the votes name, and no certificate can replace those: an
// authority gone bad can keep members out, not speak for them. A member's
// certificate counts only if the log names it, besides.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"coulisse/protocol"
)

// Lifetimes of certificates. Each is renewed at two thirds of its life.
const (
	MemberLife   = 24 * time.Hour
	OperatorLife = 365 * 24 * time.Hour
	ReplicaLife  = 365 * 24 * time.Hour
	authorityAge = 10 * 365 * 24 * time.Hour
	// skew lets a party whose clock is a little behind use a new certificate.
	skew = 5 * time.Minute
)

// ErrRequest: a certificate request is malformed or not signed by its own key.
var ErrRequest = errors.New("the certificate request is not valid")

// MaxRequest bounds a certificate request, in bytes.
const MaxRequest = 4096

// Authority issues certificates. Its key is P-256: the widest choice of TLS
// stacks that verify it, and short-lived certificates under it.
type Authority struct {
	namespace   protocol.Namespace
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Create makes a new authority for a federation.
func Create(namespace protocol.Namespace, now time.Time) (*Authority, error) {
	if err := namespace.Check(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Coulisse " + string(namespace)},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(authorityAge),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	certificate, err := issue(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &Authority{namespace: namespace, certificate: certificate, key: key}, nil
}

// Open rebuilds an authority from what [Authority.Reveal] gave.
func Open(namespace protocol.Namespace, text []byte) (*Authority, error) {
	first, rest := pem.Decode(text)
	second, _ := pem.Decode(rest)
	if first == nil || second == nil {
		return nil, errors.New("open the authority: it is not a certificate and a key")
	}
	parsed, err := x509.ParseCertificate(first.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	private, err := x509.ParsePKCS8PrivateKey(second.Bytes)
	if err != nil {
		return nil, errors.New("open the authority: its key does not decode")
	}
	ec, ok := private.(*ecdsa.PrivateKey)
	if !ok || !ec.PublicKey.Equal(parsed.PublicKey) {
		return nil, errors.New("open the authority: the key is not its certificate's")
	}
	return &Authority{namespace: namespace, certificate: parsed, key: ec}, nil
}

// Certificate is the authority's own certificate, DER.
func (a *Authority) Certificate() []byte { return a.certificate.Raw }

// Until is when the authority's certificate expires.
func (a *Authority) Until() time.Time { return a.certificate.NotAfter }

// Hash is what the roll names the authority by.
func (a *Authority) Hash() protocol.Hash { return protocol.HashOf(a.certificate.Raw) }

// Reveal is the authority with its private key, for package seal: one text, so
// that the two are never apart.
func (a *Authority) Reveal() ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("encode the authority's key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})...), nil
}

// IssueMember answers a certificate request. Only its public key is taken: the
// name in the certificate is the member's, whatever the request says.
func (a *Authority) IssueMember(member protocol.MemberID, request []byte, now time.Time) ([]byte, error) {
	public, err := requested(request)
	if err != nil {
		return nil, err
	}
	return a.issueParty(Party{Role: Member, Name: string(member)}, public, MemberLife, now)
}

func requested(request []byte) (crypto.PublicKey, error) {
	if len(request) > MaxRequest {
		return nil, ErrRequest
	}
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil || csr.CheckSignature() != nil {
		return nil, ErrRequest
	}
	return csr.PublicKey, nil
}

// RenewOperator answers the certificate request of somebody of the office.
func (a *Authority) RenewOperator(name string, request []byte, now time.Time) ([]byte, error) {
	public, err := requested(request)
	if err != nil {
		return nil, err
	}
	return a.IssueOperator(name, public, now)
}

// IssueOperator certifies somebody of the co-operative's office.
func (a *Authority) IssueOperator(name string, public crypto.PublicKey, now time.Time) ([]byte, error) {
	return a.issueParty(Party{Role: Operator, Name: name}, public, OperatorLife, now)
}

func (a *Authority) issueParty(p Party, public crypto.PublicKey, life time.Duration, now time.Time) ([]byte, error) {
	template, err := certificate(a.namespace, p, life, now)
	if err != nil {
		return nil, err
	}
	issued, err := issue(template, a.certificate, public, a.key)
	if err != nil {
		return nil, err
	}
	return issued.Raw, nil
}

func certificate(namespace protocol.Namespace, p Party, life time.Duration, now time.Time) (*x509.Certificate, error) {
	name, err := p.uri(namespace)
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: p.Name},
		NotBefore:   now.Add(-skew),
		NotAfter:    now.Add(life),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        name,
	}, err
}

// SelfSigned is the certificate that a replica shows with its own key, as a
// server and as a client. Its host is for tools that look at names.
func SelfSigned(namespace protocol.Namespace, id protocol.ReplicaID, key *ecdsa.PrivateKey, host string, now time.Time) ([]byte, error) {
	template, err := certificate(namespace, Party{Role: Replica, Name: string(id)}, ReplicaLife, now)
	if err != nil {
		return nil, err
	}
	template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	issued, err := issue(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return issued.Raw, nil
}

func issue(template, parent *x509.Certificate, public crypto.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	template.SerialNumber = serial
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	return x509.ParseCertificate(raw)
}
