// Package pinned is TLS to a coordinator's replica, which is known by its key:
// the roll lists the key of each (protocol.md section 7). No authority vouches
// for a replica, so none can be stolen to pose as one, and rotating the
// authorities leaves nobody unable to reach the coordinator.
//
// It says nothing of who the caller is: that is package authority's.
package pinned

import (
	"crypto/tls"
	"errors"

	"coulisse/protocol"
)

// ErrServer: whoever answered is none of the replicas.
var ErrServer = errors.New("whoever answered is not a replica of the coordinator")

// Dial is a configuration for connections to replicas. It asks trusts at every
// handshake, so that the roll may change meanwhile. show is the caller's own
// certificate; nil if it has none.
//
// The standard verification is replaced, not skipped: the handshake proves that
// the server holds the key, and trusts knows whose it is. Names and dates in
// its certificate add nothing to that.
func Dial(trusts func(protocol.Hash) bool, show func() *tls.Certificate) *tls.Config {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			key, err := Key(state)
			if err != nil {
				return err
			}
			if !trusts(key) {
				return ErrServer
			}
			return nil
		},
	}
	if show != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return show(), nil }
	}
	return config
}

// Key names the key at the other end of a connection.
func Key(state tls.ConnectionState) (protocol.Hash, error) {
	if len(state.PeerCertificates) == 0 {
		return protocol.Hash{}, ErrServer
	}
	return protocol.KeyHash(state.PeerCertificates[0].PublicKey)
}
