package protocol

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
)

// Route is how to reach the coordinator: what an enrolment token tells a node,
// and what the node keeps of the roll. A later one counts more.
type Route struct {
	Roll      int      `json:"roll"`
	Addresses []string `json:"addresses"`
	// Keys are the [KeyHash] of each replica's TLS key, in any order: a replica
	// may answer at another's address behind one router.
	Keys []Hash `json:"keys"`
}

// Check reports the first part that is missing or out of bounds.
func (r Route) Check() error {
	if r.Roll < 0 || len(r.Addresses) < 1 || len(r.Addresses) > MaxReplicas || len(r.Keys) < 1 || len(r.Keys) > MaxReplicas {
		return fmt.Errorf("%w: the coordinator has 1 to %d addresses, and as many keys", ErrMalformed, MaxReplicas)
	}
	for _, a := range r.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("%w: an address is host:port", ErrMalformed)
		}
	}
	if slices.ContainsFunc(r.Keys, Hash.IsZero) {
		return fmt.Errorf("%w: a replica shows a key", ErrMalformed)
	}
	return nil
}

// Lists reports whether a TLS key is one of the replicas'.
func (r Route) Lists(key Hash) bool { return slices.Contains(r.Keys, key) }

// KeyHash names a TLS key: the SHA-256 of its public half as certificates hold
// it (SubjectPublicKeyInfo, DER).
func KeyHash(public crypto.PublicKey) (Hash, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Hash{}, fmt.Errorf("encode a TLS key: %w", err)
	}
	return HashOf(der), nil
}
