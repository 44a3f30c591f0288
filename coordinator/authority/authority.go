// Package authority is the coordinator's certificate authority: it says on the
// wire who is a member, a replica or an operator (protocol.md section 7).
//
// It vouches for connections only. What a party says is signed with keys that
// the charter and the votes name, and no certificate can replace those: an
// authority gone bad can keep members out, not speak for them.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"coulisse/protocol"
)

// Lifetimes of certificates. Nodes renew at two thirds of theirs.
const (
	MemberLife   = 24 * time.Hour
	OperatorLife = 365 * 24 * time.Hour
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

// Open rebuilds an authority from its certificate and PKCS #8 key, both DER.
func Open(namespace protocol.Namespace, certificate, key []byte) (*Authority, error) {
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	private, err := x509.ParsePKCS8PrivateKey(key)
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

// Hash is what the genesis and every enrolment token name the authority by.
func (a *Authority) Hash() protocol.Hash { return protocol.HashOf(a.certificate.Raw) }

// RevealKey is the authority's private key as PKCS #8, for package seal.
func (a *Authority) RevealKey() ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("encode the authority's key: %w", err)
	}
	return raw, nil
}

// IssueMember answers a certificate request. Only its public key is taken: the
// name in the certificate is the member's, whatever the request says.
func (a *Authority) IssueMember(member protocol.MemberID, request []byte, now time.Time) ([]byte, error) {
	if len(request) > MaxRequest {
		return nil, ErrRequest
	}
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil || csr.CheckSignature() != nil {
		return nil, ErrRequest
	}
	return a.issueParty(Party{Role: Member, Name: string(member)}, csr.PublicKey, MemberLife, now, nil)
}

// IssueReplica certifies a replica's server and client key at its hosts.
func (a *Authority) IssueReplica(id protocol.ReplicaID, public crypto.PublicKey, hosts []string, now time.Time) ([]byte, error) {
	return a.issueParty(Party{Role: Replica, Name: string(id)}, public, OperatorLife, now, hosts)
}

// IssueOperator certifies somebody of the co-operative's office.
func (a *Authority) IssueOperator(name string, public crypto.PublicKey, now time.Time) ([]byte, error) {
	return a.issueParty(Party{Role: Operator, Name: name}, public, OperatorLife, now, nil)
}

func (a *Authority) issueParty(p Party, public crypto.PublicKey, life time.Duration, now time.Time, hosts []string) ([]byte, error) {
	name, err := p.uri(a.namespace)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: p.Name},
		NotBefore:   now.Add(-skew),
		NotAfter:    now.Add(life),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        name,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if p.Role == Replica {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	certificate, err := issue(template, a.certificate, public, a.key)
	if err != nil {
		return nil, err
	}
	return certificate.Raw, nil
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
