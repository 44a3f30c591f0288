package coordinator

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"crypto/x509"

	"coulisse/crypto/durable"
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
// over. A replica holds the authority's key, so it asks nobody; its own key
// stays, so that one file changes.
func (r *Replica) renew() error {
	now, old := r.cfg.Now(), r.certificate.now()
	if left := old.Leaf.NotAfter.Sub(now); left > old.Leaf.NotAfter.Sub(old.Leaf.NotBefore)/3 {
		return nil
	}
	signer, ok := old.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("renew the replica's certificate: its key does not sign")
	}
	host, err := r.settings.host()
	if err != nil {
		return err
	}
	raw, err := r.ca.IssueReplica(r.settings.ID, signer.Public(), []string{host}, now)
	if err != nil {
		return fmt.Errorf("renew the replica's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		return fmt.Errorf("renew the replica's certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: raw})
	if err := durable.WriteFile(filepath.Join(r.cfg.Dir, fileTLS), text); err != nil {
		return err
	}
	r.certificate.set(tls.Certificate{
		Certificate: [][]byte{raw, r.creds.authority.Raw}, PrivateKey: old.PrivateKey, Leaf: leaf,
	})
	return nil
}
