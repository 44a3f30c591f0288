package coordclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/pinned"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// ErrStranger: whoever answered is not the coordinator that the token was made
// for. Do not go on; ask the co-operative's office.
var ErrStranger = errors.New("whoever answered is not the coordinator named in the enrolment token")

// Enroll exchanges a token for the node's first certificate, with its
// authority's. It talks only to a coordinator whose keys are in the token. It
// goes on until ctx ends while nobody answers, and not when somebody else does.
func Enroll(ctx context.Context, token protocol.EnrolmentToken, request []byte, logger *slog.Logger) (certificate, authority []byte, err error) {
	var refused atomic.Bool
	c := New(Config{Addresses: token.Route.Addresses, Logger: logger, TLS: func() *tls.Config {
		return pinned.Dial(func(key protocol.Hash) bool {
			known := token.Route.Lists(key)
			if !known {
				refused.Store(true)
			}
			return known
		}, nil)
	}})
	defer c.Close()
	call := func(ctx context.Context, stub wire.CoordinatorClient) error {
		ctx, cancel := context.WithTimeout(ctx, 2*answer)
		defer cancel()
		reply, err := stub.Enroll(ctx, &wire.EnrollRequest{TokenSecret: token.Secret, CertificateRequest: request})
		certificate, authority = reply.GetCertificate(), reply.GetAuthority()
		return err
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err = c.patiently(ctx, func() error { return c.tryEach(ctx, call) })
		if err == nil || !goesOn(err) {
			break
		}
		if refused.Load() {
			return nil, nil, ErrStranger // and none of the others answered
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("%w: %w", refusal.ErrUnavailable, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
	return certificate, authority, err
}
