package protocol

import (
	"fmt"
	"net"
	"slices"

	"coulisse/crypto/key"
)

// Roll says who the coordinator is from now on, and which rules the log goes
// by. The first is the genesis's; each one after it is endorsed by a majority
// of the replicas of the one before, so that no single replica brings in others
// or sends them away, or is voted by the members (Effect.SoleReplica).
type Roll struct {
	Number   int       `json:"number"`   // 0 for the genesis's, then 1, 2, 3…
	Replicas []Replica `json:"replicas"` // as the office lists them, each with its address
	// Rules is the version of the rules of the log. A build that knows only
	// older ones stops at a roll that raises it.
	Rules int `json:"rules"`
}

// FirstRules is what every federation begins with.
const FirstRules = 1

const maxAddress = 255

// Check reports the first field out of bounds.
func (r Roll) Check() error {
	if r.Number < 1 || r.Number > 1<<20 || r.Rules < FirstRules || r.Rules > 1<<20 {
		return fmt.Errorf("%w: a roll has a number and a version of the rules", ErrMalformed)
	}
	if err := checkReplicas(r.Replicas); err != nil {
		return err
	}
	addresses := map[string]bool{}
	for _, replica := range r.Replicas {
		if err := checkAddress(replica.Address); err != nil || addresses[replica.Address] {
			return fmt.Errorf("%w: each replica of a roll has an address of its own, host:port", ErrMalformed)
		}
		addresses[replica.Address] = true
	}
	return nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || len(address) > maxAddress {
		return fmt.Errorf("%w: an address is written host:port", ErrMalformed)
	}
	return nil
}

func checkReplicas(replicas []Replica) error {
	if len(replicas) < 1 || len(replicas) > MaxReplicas {
		return fmt.Errorf("%w: a coordinator has 1 to %d replicas", ErrMalformed, MaxReplicas)
	}
	seen, keys, hashes := map[ReplicaID]bool{}, map[key.Public[key.Replica]]bool{}, map[Hash]bool{}
	for _, r := range replicas {
		if err := r.ID.Check(); err != nil {
			return err
		}
		// One key under two names would have two voices.
		if r.Key.IsZero() || seen[r.ID] || keys[r.Key] {
			return fmt.Errorf("%w: each replica is listed once, with a key of its own", ErrMalformed)
		}
		seen[r.ID], keys[r.Key] = true, true
		if r.TLS.IsZero() || r.Authority.IsZero() {
			return fmt.Errorf("%w: each replica has a TLS key and a certificate authority", ErrMalformed)
		}
		// What two share would outlive the removal of one.
		for _, h := range []Hash{r.TLS, r.Authority, r.Former} {
			if !h.IsZero() && hashes[h] {
				return fmt.Errorf("%w: replicas share neither a TLS key nor an authority", ErrMalformed)
			}
			hashes[h] = true
		}
	}
	return nil
}

// Certifies reports whether certificates by that authority count.
func (r Roll) Certifies(authority Hash) bool {
	return !authority.IsZero() && slices.ContainsFunc(r.Replicas, func(r Replica) bool {
		return r.Authority == authority || r.Former == authority
	})
}

// Issues reports whether that authority is one that certificates come from now.
func (r Roll) Issues(authority Hash) bool {
	return slices.ContainsFunc(r.Replicas, func(r Replica) bool { return r.Authority == authority })
}

// Route is how to reach the roll's replicas, and what each shows.
func (r Roll) Route() Route {
	route := Route{Roll: r.Number}
	for _, replica := range r.Replicas {
		route.Addresses, route.Keys = append(route.Addresses, replica.Address), append(route.Keys, replica.TLS)
	}
	return route
}

// ID names a roll.
func (r Roll) ID() (Hash, error) {
	body, err := Canonical(r)
	if err != nil {
		return Hash{}, err
	}
	return HashOf(append([]byte(signatureDomain+"roll-body\x00"), body...)), nil
}

// Endorsement is a replica's consent to the next roll.
type Endorsement struct {
	Roll Hash `json:"roll"`
}

// Label implements [Document].
func (Endorsement) Label() Label { return LabelEndorsement }

// Role implements [Document].
func (Endorsement) Role() (r key.Replica) { return }

// Check implements [Document].
func (e Endorsement) Check() error { return checkRef("roll", e.Roll) }

// RollChange puts a roll in the place of the one before.
type RollChange struct {
	Roll         Roll                  `json:"roll"`
	Endorsements []Signed[Endorsement] `json:"endorsements"` // ascending by replica
}

// Label implements [Document].
func (RollChange) Label() Label { return LabelRoll }

// Role implements [Document].
func (RollChange) Role() (r key.Replica) { return }

// Check implements [Document].
func (c RollChange) Check() error {
	if err := c.Roll.Check(); err != nil {
		return err
	}
	if len(c.Endorsements) < 1 || len(c.Endorsements) > MaxReplicas {
		return fmt.Errorf("%w: a roll is endorsed by 1 to %d replicas", ErrMalformed, MaxReplicas)
	}
	for i, s := range c.Endorsements {
		if i > 0 && c.Endorsements[i-1].By >= s.By {
			return fmt.Errorf("%w: endorsements are in ascending order, one a replica", ErrMalformed)
		}
	}
	return nil
}
