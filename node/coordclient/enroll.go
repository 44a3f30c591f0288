package coordclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// ErrAuthority: whoever answered is not the coordinator that the token was
// made for. Do not go on; ask the co-operative's office.
var ErrAuthority = errors.New("whoever answered is not the coordinator named in the enrolment token")

// errServer: the certificate of whoever answered is not one that the
// authority in the token gave to a replica at this host.
var errServer = errors.New("its certificate is not good for this host")

// Enroll exchanges a token for the node's first certificate. It talks only to
// a coordinator whose certificate authority is the token's. It goes on until
// ctx ends while nobody answers, and not when somebody else does.
func Enroll(ctx context.Context, token protocol.EnrolmentToken, request []byte, logger *slog.Logger) (certificate, authority []byte, err error) {
	c := New(Config{Addresses: token.Addresses, Logger: logger})
	var refused atomic.Bool
	c.tls = func(host string) *tls.Config { return pinned(token.Authority, host, &refused) }
	defer c.Close()
	call := func(ctx context.Context, stub wire.CoordinatorClient) error {
		ctx, cancel := context.WithTimeout(ctx, 2*answer)
		defer cancel()
		reply, err := stub.Enroll(ctx, &wire.EnrollRequest{TokenSecret: token.Secret, CertificateRequest: request})
		certificate, authority = reply.GetCertificate(), reply.GetAuthority()
		return err
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err = c.tryEach(ctx, call)
		if err == nil || !goesOn(err) {
			break
		}
		if refused.Load() {
			return nil, nil, ErrAuthority // and none of the others answered
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w: %w", refusal.ErrUnavailable, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if protocol.HashOf(authority) != token.Authority {
		return nil, nil, ErrAuthority
	}
	return certificate, authority, nil
}

// pinned verifies the server against the one authority that the token names,
// which the server sends along. The standard verification is replaced, not
// skipped: it needs roots, and before enrolment a node has only their hash.
// The host is given: a connection's state has none if it is an IP address.
func pinned(authority protocol.Hash, host string, refused *atomic.Bool) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			err := verify(s.PeerCertificates, authority, host)
			if err != nil {
				refused.Store(true)
			}
			return err
		},
	}
}

func verify(chain []*x509.Certificate, authority protocol.Hash, host string) error {
	if len(chain) < 2 || host == "" {
		return ErrAuthority
	}
	for _, certificate := range chain[1:] {
		if protocol.HashOf(certificate.Raw) != authority {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(certificate)
		_, err := chain[0].Verify(x509.VerifyOptions{
			Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return fmt.Errorf("%w: %w: %w", ErrAuthority, errServer, err)
		}
		return nil
	}
	return ErrAuthority
}
