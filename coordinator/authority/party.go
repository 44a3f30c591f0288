package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/pinned"
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

// ErrParty: a certificate carries no name of ours, or a replica's without its
// key.
var ErrParty = errors.New("the certificate names no party of this federation")

// ErrRetired: a certificate is not by an authority that the roll lists.
var ErrRetired = errors.New("the certificate is not by an authority of this coordinator")

var partyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// uri is the SPIFFE-style name: spiffe://<namespace>/<role>/<name>.
func (p Party) uri(namespace protocol.Namespace) ([]*url.URL, error) {
	if !partyName.MatchString(p.Name) {
		return nil, fmt.Errorf("%w: a name has lower-case letters, digits and hyphens", ErrParty)
	}
	return []*url.URL{{Scheme: "spiffe", Host: string(namespace), Path: "/" + string(p.Role) + "/" + p.Name}}, nil
}

// Check is for the handshake: a certificate that was shown is in its time, and
// by the authority that is shown beside it, if one is. Who that authority is,
// and whether it counts, [Trust.Identify] asks for every call.
func Check(state tls.ConnectionState, now time.Time) error {
	if len(state.PeerCertificates) < 2 {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(state.PeerCertificates[1])
	chains, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil && len(chains[0]) != 2 {
		return ErrParty // a certificate beside itself
	}
	return err
}

// Trust is whose certificates count: what the roll and the log say now.
type Trust struct {
	Namespace protocol.Namespace
	// Replica finds whose TLS key it is, if it is a replica's.
	Replica func(protocol.Hash) (protocol.ReplicaID, bool)
	// Certifies tells whether the roll lists an authority.
	Certifies func(protocol.Hash) bool
	// Names tells whether the log names a member's certificate.
	Names func(member protocol.MemberID, certificate protocol.Hash) bool
}

// Identify finds who is at the other end of a connection that [Check] has let
// in. Without a certificate it is [Anyone]. A replica is known by its key, and an
// operator by its authority. So is a member; one whose authority is off the roll
// is told apart by [ErrRetired] beside its name, if the log still names its
// certificate: it may have another one made.
func (t Trust) Identify(state tls.ConnectionState) (Party, error) {
	if len(state.PeerCertificates) == 0 {
		return Party{Role: Anyone}, nil
	}
	leaf := state.PeerCertificates[0]
	p, err := PartyOf(t.Namespace, leaf)
	if err != nil {
		return Party{}, err
	}
	if p.Role == Replica {
		key, err := pinned.Key(state)
		if err != nil {
			return Party{}, err
		}
		if id, ok := t.Replica(key); !ok || string(id) != p.Name {
			return Party{}, ErrParty
		}
		return p, nil
	}
	if t.Certifies(Issuer(state)) {
		return p, nil
	}
	if p.Role == Member && t.Names(protocol.MemberID(p.Name), protocol.HashOf(leaf.Raw)) {
		return p, ErrRetired
	}
	return Party{}, ErrRetired
}

// Issuer names the authority of a certificate that [Check] has let in; zero if
// none was shown.
func Issuer(state tls.ConnectionState) protocol.Hash {
	if len(state.PeerCertificates) < 2 {
		return protocol.Hash{}
	}
	return protocol.HashOf(state.PeerCertificates[1].Raw)
}

// PartyOf reads the name in a certificate, which proves nothing by itself.
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
