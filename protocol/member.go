package protocol

import (
	"fmt"
	"slices"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
)

// MemberKind is a kind of organisation. Policies speak of it.
type MemberKind string

// The kinds of organisation of a cultural co-operative.
const (
	KindHouse    MemberKind = "house"    // theatre, dance, concert or arts house
	KindFestival MemberKind = "festival" // present for part of the year
	KindMuseum   MemberKind = "museum"
	KindCompany  MemberKind = "company" // artists who sell their own tickets
	KindMedia    MemberKind = "media"   // local newspaper, radio, site
)

// Check reports whether the kind is known.
func (k MemberKind) Check() error {
	switch k {
	case KindHouse, KindFestival, KindMuseum, KindCompany, KindMedia:
		return nil
	}
	return fmt.Errorf("%w: a member is a house, festival, museum, company or media", ErrMalformed)
}

// Card is how an organisation presents itself: its names and its public keys.
// It is signed with the voting key in it, before the organisation belongs to
// any federation (so under the zero federation and head).
type Card struct {
	ID   MemberID   `json:"id"`
	Name Text       `json:"name"`
	Kind MemberKind `json:"kind"`
	// Group is who owns or runs the organisation. Roles that must not collude
	// go to different groups.
	Group    string               `json:"group"`
	Vote     key.Public[key.Vote] `json:"vote_key"`
	Node     key.Public[key.Node] `json:"node_key"`
	Envelope seal.EnvelopePublic  `json:"envelope_key"`
}

// Label implements [Document].
func (Card) Label() Label { return LabelCard }

// Role implements [Document].
func (Card) Role() (r key.Vote) { return }

// Check implements [Document].
func (c Card) Check() error {
	if err := c.ID.Check(); err != nil {
		return err
	}
	if err := c.Name.Check(); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := c.Kind.Check(); err != nil {
		return err
	}
	if err := checkSlug("group", c.Group); err != nil {
		return err
	}
	if c.Vote.IsZero() || c.Node.IsZero() {
		return fmt.Errorf("%w: a card needs a voting key and a node key", ErrMalformed)
	}
	return c.Envelope.Check()
}

// OpenCard verifies a card with the voting key that it carries: it proves that
// whoever made it holds that key.
func OpenCard(s Signed[Card]) (Card, error) {
	claimed, err := Peek(s)
	if err != nil {
		return Card{}, fmt.Errorf("open a card: %w", err)
	}
	card, err := Open(Hash{}, s, claimed.Vote)
	if err != nil {
		return Card{}, err
	}
	if PartyID(card.ID) != s.By {
		return Card{}, fmt.Errorf("%w: a card is signed by its own organisation", ErrMalformed)
	}
	return card, nil
}

// KeyChange gives a member new keys, and a new name if it likes. It is signed
// with the voting key that it replaces; a member that has lost that one needs a
// vote (Effect.ReplaceCard).
type KeyChange struct {
	Card Signed[Card] `json:"card"`
}

// Label implements [Document].
func (KeyChange) Label() Label { return LabelKeyChange }

// Role implements [Document].
func (KeyChange) Role() (r key.Vote) { return }

// Check implements [Document].
func (k KeyChange) Check() error {
	_, err := OpenCard(k.Card)
	return err
}

// Leave ends a membership at once. Nobody is asked.
type Leave struct {
	// Member is the signer, named again: nobody signs this by mistake.
	Member MemberID `json:"member"`
}

// Label implements [Document].
func (Leave) Label() Label { return LabelLeave }

// Role implements [Document].
func (Leave) Role() (r key.Vote) { return }

// Check implements [Document].
func (l Leave) Check() error { return l.Member.Check() }

// Renewal is what a node signs with its node key to renew its certificate: a
// copy of its folder from before a change of keys renews none.
func Renewal(federation Hash, request []byte) []byte {
	hash := HashOf(request)
	return slices.Concat([]byte(signatureDomain+"renewal\x00"), federation[:], hash[:])
}

// Replica is a coordinator replica.
type Replica struct {
	ID  ReplicaID               `json:"id"`
	Key key.Public[key.Replica] `json:"key"`
	// TLS is the [KeyHash] of the key that it shows on the wire. Whoever dials
	// knows it by this, and by no authority.
	TLS Hash `json:"tls"`
	// Authority is the SHA-256 of its certificate authority (DER), which
	// certifies members' nodes and the office. Former is the one before, which
	// counts until it is retired.
	Authority Hash `json:"authority"`
	Former    Hash `json:"former,omitzero"`
	// Address is where it is dialled, as host:port. The genesis has none: nodes
	// find the first replicas by their enrolment tokens.
	Address string `json:"address,omitempty"`
}
