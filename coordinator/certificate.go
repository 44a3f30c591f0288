package coordinator

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"coulisse/coordinator/authority"
)

// certificate is what a replica shows to others; it changes while in use.
type certificate struct {
	current atomic.Pointer[tls.Certificate]
}

func (c *certificate) now() *tls.Certificate  { return c.current.Load() }
func (c *certificate) set(to tls.Certificate) { c.current.Store(&to) }

// renewCheck is how often a replica looks at its certificate's age.
const renewCheck = time.Hour

// keepRenewing renews the certificate in time, until ctx ends.
func (r *Replica) keepRenewing(ctx context.Context) {
	every := time.NewTicker(renewCheck)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			if err := r.renew(); err != nil {
				r.cfg.Logger.ErrorContext(ctx, "the replica's certificate was not renewed", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// renew replaces the replica's certificate when two thirds of its life are
// over. It signs for itself, with the key that the roll lists, which stays: so
// one file changes, and nobody has to hear of it.
func (r *Replica) renew() error {
	now, old := r.cfg.Now(), r.certificate.now()
	if !due(old.Leaf, now) {
		return nil
	}
	private, ok := old.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return errors.New("renew the replica's certificate: its key is of another kind")
	}
	host, err := r.settings.host()
	if err != nil {
		return err
	}
	raw, err := authority.SelfSigned(r.settings.Namespace, r.settings.ID, private, host, now)
	if err != nil {
		return fmt.Errorf("renew the replica's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return fmt.Errorf("renew the replica's certificate: %w", err)
	}
	if err := writeChain(r.cfg.Dir, [][]byte{raw}); err != nil {
		return err
	}
	r.certificate.set(tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: private, Leaf: leaf})
	return nil
}

// due reports whether two thirds of a certificate's life are over.
func due(leaf *x509.Certificate, now time.Time) bool {
	return leaf.NotAfter.Sub(now) <= leaf.NotAfter.Sub(leaf.NotBefore)/3
}
