package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"coulisse/node/coordclient"
	"coulisse/protocol"
)

// Enroll exchanges the office's token for the node's first certificate, and
// keeps which federation it is for: the log that the node follows afterwards
// must begin with that genesis.
func (f *Folder) Enroll(ctx context.Context, token protocol.EnrolmentToken, logger *slog.Logger) error {
	if token.Member != f.Card.ID {
		return protocol.Refuse(ErrFolder,
			"le jeton est pour %s et ce nœud est celui de %s", "the token is for %s and this node is that of %s", token.Member, f.Card.ID)
	}
	before, err := f.Membership()
	switch {
	case err == nil && before.Federation != token.Federation:
		return protocol.Refuse(ErrFolder,
			"ce nœud appartient à la fédération %s et le jeton est d'une autre, %s\u00a0; faites un autre nœud pour elle",
			"this node belongs to the federation %s and the token is of another one, %s; make another node for that one",
			before.Federation.Short(), token.Federation.Short())
	case err != nil && !errors.Is(err, ErrNotEnrolled):
		return err
	}
	private, request, err := newRequest()
	if err != nil {
		return err
	}
	certificate, authority, err := coordclient.Enroll(ctx, token, request, logger)
	if err != nil {
		return err
	}
	if err := f.keepTLS(private, certificate, authority); err != nil {
		return err
	}
	membership, err := protocol.Indented(Membership{Federation: token.Federation, Route: token.Route})
	if err != nil {
		return err
	}
	return f.replace(fileFederation, membership) // last: it says that all is there
}

// certificate is the node's present TLS certificate, replaced as it renews.
type certificate struct {
	atomic.Pointer[tls.Certificate]
}

// due is when to renew: after two thirds of the certificate's life.
func (c *certificate) due() time.Time {
	leaf := c.Load().Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// issuer names the authority that the certificate is by.
func (c *certificate) issuer() protocol.Hash {
	chain := c.Load().Certificate
	if len(chain) < 2 {
		return protocol.Hash{}
	}
	return protocol.HashOf(chain[1])
}

// Pauses between renewals: after one that failed, and at least. A clock that is
// a day off makes every certificate look due, and each one is an entry of the
// log. One whose authority is on the way out is good for little, and waits less.
const (
	reissueAgain = 2 * time.Second
	renewAgain   = time.Minute
	renewSeldom  = time.Hour
)

// keepRenewing renews the certificate in time until ctx ends, and early when
// its authority is on the way out.
func (n *Node) keepRenewing(ctx context.Context) {
	next, early := n.certificate.due(), time.Now()
	if n.folder.leaves() {
		next = early
	}
	for {
		timer := time.NewTimer(max(time.Until(next), 0))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-n.reissue:
			timer.Stop()
			if time.Now().Before(early) || !n.outdated() {
				continue
			}
		case <-timer.C:
		}
		err := n.renewAll(ctx)
		early = time.Now().Add(reissueAgain)
		if err != nil {
			n.logger.WarnContext(ctx, "the certificate was not renewed", "until", n.certificate.Load().Leaf.NotAfter, "error", err)
			next = time.Now().Add(renewAgain)
			continue
		}
		next = n.certificate.due()
		if seldom := time.Now().Add(renewSeldom); next.Before(seldom) {
			next = seldom
		}
	}
}

// renewAll renews once or, after a change of keys, until the certificate from
// before it no longer counts: a renewal leaves the one that it was asked with.
func (n *Node) renewAll(ctx context.Context) error {
	if !n.folder.leaves() {
		return n.renew(ctx)
	}
	if err := n.renew(ctx); err != nil {
		return err
	}
	if err := n.renew(ctx); err != nil {
		return err
	}
	return n.folder.left()
}

func (n *Node) renew(ctx context.Context) error {
	private, request, err := newRequest()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, renewAgain)
	defer cancel()
	proof := n.folder.node.Sign(protocol.Renewal(n.membership.Federation, request))
	certificate, authority, err := n.client.Renew(ctx, request, proof)
	if err != nil {
		return err
	}
	if err := n.folder.keepTLS(private, certificate, authority); err != nil {
		return err
	}
	renewed, err := n.folder.openTLS()
	if err != nil {
		return err
	}
	n.certificate.Store(&renewed)
	n.client.Reconnect()
	return nil
}
