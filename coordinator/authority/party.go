package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"coulisse/protocol"
)

// Role is what a certificate says its holder is.
type Role string

// The roles on the wire.
const (
	Anyone   Role = "anyone" // no certificate: a node that is about to enrol
	Member   Role = "member"
	Replica  Role = "replica"
	Operator Role = "operator"
)

// Party is who is at the other end of a connection.
type Party struct {
	Role Role
	Name string
}

// ErrParty: a certificate was not issued by this federation's authority, or
// carries no name of ours.
var ErrParty = errors.New("the certificate names no party of this federation")

var partyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// uri is the SPIFFE-style name: spiffe://<namespace>/<role>/<name>.
func (p Party) uri(namespace protocol.Namespace) ([]*url.URL, error) {
	if !partyName.MatchString(p.Name) {
		return nil, fmt.Errorf("%w: a name has lower-case letters, digits and hyphens", ErrParty)
	}
	return []*url.URL{{Scheme: "spiffe", Host: string(namespace), Path: "/" + string(p.Role) + "/" + p.Name}}, nil
}

// Identify reads who is at the other end of a verified connection. Without a
// certificate it is [Anyone].
func Identify(namespace protocol.Namespace, state tls.ConnectionState) (Party, error) {
	if len(state.PeerCertificates) == 0 {
		return Party{Role: Anyone}, nil
	}
	if len(state.VerifiedChains) == 0 {
		return Party{}, ErrParty
	}
	return PartyOf(namespace, state.PeerCertificates[0])
}

// PartyOf reads the name in a certificate that was verified.
func PartyOf(namespace protocol.Namespace, certificate *x509.Certificate) (Party, error) {
	if len(certificate.URIs) != 1 {
		return Party{}, ErrParty
	}
	uri := certificate.URIs[0]
	role, name, ok := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
	p := Party{Role: Role(role), Name: name}
	known := p.Role == Member || p.Role == Replica || p.Role == Operator
	if !ok || !known || uri.Scheme != "spiffe" || uri.Host != string(namespace) || !partyName.MatchString(name) {
		return Party{}, ErrParty
	}
	return p, nil
}
