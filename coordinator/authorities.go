package coordinator

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// maxAuthority bounds an authority's certificate, in bytes.
const maxAuthority = 4 << 10

// Rotate has each replica make a new certificate authority, and puts those on
// the roll beside the present ones. New certificates come from the new ones
// from then on; the former ones count until [Office.Retire]. A replica that
// does not answer keeps its own, and is named in away.
func (o *Office) Rotate(ctx context.Context) (current protocol.Roll, away []protocol.ReplicaID, err error) {
	current, err = o.changeRoll(ctx, func(r *protocol.Roll) error {
		if away, err = o.prepared(ctx, r); err != nil {
			return err
		}
		if len(away) == len(r.Replicas) {
			return errNobody
		}
		return nil
	})
	return current, away, err
}

// prepared lists the next authority of every replica that answers.
func (o *Office) prepared(ctx context.Context, r *protocol.Roll) (away []protocol.ReplicaID, err error) {
	for i, replica := range r.Replicas {
		if !replica.Former.IsZero() {
			return nil, protocol.Refuse(governance.ErrRoll,
				"la réplique %s a encore son ancienne autorité; retirez-la d'abord avec `coulisse coordinator authority retire`",
				"replica %s still has its former authority; retire that first with `coulisse coordinator authority retire`", replica.ID)
		}
		err := o.call(consensus.Address(replica.Address), func(stub wire.CoordinatorClient) error {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			reply, err := stub.PrepareAuthority(ctx, &wire.PrepareAuthorityRequest{})
			if err != nil {
				return err
			}
			if len(reply.GetAuthority()) == 0 || len(reply.GetAuthority()) > maxAuthority {
				return protocol.ErrMalformed
			}
			r.Replicas[i].Authority, r.Replicas[i].Former = protocol.HashOf(reply.GetAuthority()), replica.Authority
			return nil
		})
		switch {
		case errors.Is(err, refusal.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
			away = append(away, replica.ID)
		case err != nil:
			return nil, err
		}
	}
	return away, nil
}

// Retire takes the former authorities off the roll: what they have certified
// opens no connection any more. A node whose certificate is one of these has it
// renewed; the office has taken another with [RenewOffice] before.
func (o *Office) Retire(ctx context.Context) (protocol.Roll, error) {
	return o.changeRoll(ctx, func(r *protocol.Roll) error {
		retired := false
		for i := range r.Replicas {
			retired = retired || !r.Replicas[i].Former.IsZero()
			r.Replicas[i].Former = protocol.Hash{}
		}
		if retired {
			return nil
		}
		return protocol.Refuse(governance.ErrRoll,
			"aucune ancienne autorité ne compte plus; il n'y a rien à retirer", "no former authority counts any more; there is nothing to retire")
	})
}

// Refresh brings the office's folder up to date with what [Office.Status] has
// found: the list of the replicas, as the log has it now, and the office's own
// certificate.
func (o *Office) Refresh(ctx context.Context, all []ReplicaStatus, now time.Time) error {
	newest, denied := ReplicaStatus{}, errNobody
	for _, s := range all {
		if s.LogSize > newest.LogSize {
			newest = s
		}
		if s.Denied {
			denied = s.err
		}
	}
	if newest.LogSize == 0 {
		return denied
	}
	current, err := o.believed(ctx, stated{newest.Address, newest.LogSize, newest.roll})
	if err == nil && current.Number > o.card.Roll {
		err = o.keepRoll(current)
	}
	if err != nil {
		return err
	}
	return o.keepCertified(ctx, current, now)
}

// errShutOut: the replicas do not certify the office anew by themselves, or
// whoever copied an authority's key would come along.
var errShutOut = protocol.Refuse(governance.ErrRoll,
	"cette liste laisserait le bureau dehors\u00a0: l'autorité de son certificat n'y serait plus; d'abord, sur la machine d'une réplique qui reste\u00a0: `coulisse coordinator renew-operator`",
	"this roll would shut the office out: its certificate's authority would not be on it; first, on the machine of a replica that stays: `coulisse coordinator renew-operator`")

// keepCertified renews the office's certificate if two thirds of its life are
// over, and refuses a next roll that leaves its authority out.
func (o *Office) keepCertified(ctx context.Context, next protocol.Roll, now time.Time) error {
	if !next.Certifies(o.creds.issuer()) {
		return errShutOut
	}
	if !due(o.creds.certificate.Leaf, now) {
		return nil
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, o.creds.certificate.PrivateKey)
	if err != nil {
		return err
	}
	var last error
	for _, address := range o.card.Addresses {
		err := o.call(address, func(stub wire.CoordinatorClient) error {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			reply, err := stub.Renew(ctx, &wire.RenewRequest{CertificateRequest: request})
			if err != nil {
				return err
			}
			if !next.Issues(protocol.HashOf(reply.GetAuthority())) {
				return errNobody // its authority goes, too
			}
			return o.take([][]byte{reply.GetCertificate(), reply.GetAuthority()})
		})
		if err == nil {
			return nil
		}
		last = cmp.Or(last, err)
	}
	return last
}

// take keeps the office's next certificate.
func (o *Office) take(chain [][]byte) error {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return err
	}
	by, err := x509.ParseCertificate(chain[1])
	if err != nil {
		return err
	}
	private, ok := o.creds.certificate.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(leaf.PublicKey) || leaf.CheckSignatureFrom(by) != nil {
		return errNobody // one that opens nothing does not replace the present one
	}
	if err := writeChain(o.dir, chain); err != nil {
		return err
	}
	o.creds.certificate.Certificate, o.creds.certificate.Leaf = chain, leaf
	return nil
}
