package protocol

import (
	"encoding/binary"
	"fmt"

	"coulisse/crypto/key"

	"github.com/go-json-experiment/json/jsontext"
)

// Label names a type of document, in its signature and in the log.
type Label string

// PartyID names whoever signed: a [MemberID] or a [ReplicaID], as the
// document's role says.
type PartyID string

// Head is a log as its signer last saw it: so many entries, with this root
// (RFC 6962). It is in every signature, so that two members who were shown
// different logs find out as soon as one reads what the other signed.
type Head struct {
	Root Hash  `json:"root"`
	Size int64 `json:"size"`
}

// A Document is something that a party in role R signs.
type Document[R key.Role] interface {
	Label() Label
	// Check reports the first field that breaks the form or a bound.
	Check() error
	// Role is the kind of key that signs it; only its type matters.
	Role() R
}

// Signed is a document under its signature. Body is kept as the signer wrote
// it, in canonical form, and never encoded again.
type Signed[T any] struct {
	Body jsontext.Value `json:"body"`
	By   PartyID        `json:"by"`
	Head Head           `json:"head"`
	Sig  []byte         `json:"sig"`
}

// signatureDomain opens every signed message; the label follows.
const signatureDomain = "coulisse/1/"

// message is what the signature covers, and its hash is the document's
// identity: no document of one federation, label or author passes for another.
// Every part before the body has a fixed length or ends in a zero byte.
func (s Signed[T]) message(federation Hash, label Label) []byte {
	m := make([]byte, 0, len(signatureDomain)+len(label)+len(s.By)+len(s.Body)+2+2*len(federation)+8)
	m = append(m, signatureDomain...)
	m = append(m, label...)
	m = append(m, 0)
	m = append(m, federation[:]...)
	m = append(m, s.By...)
	m = append(m, 0)
	m = binary.BigEndian.AppendUint64(m, uint64(s.Head.Size))
	m = append(m, s.Head.Root[:]...)
	return append(m, s.Body...)
}

const (
	// maxBody leaves room for the envelope within MaxDocument.
	maxBody = MaxDocument - 1024
	// maxParty is the longest name of a member or replica.
	maxParty = 40
)

// Signer is a party that can sign in role R within one federation.
type Signer[R key.Role] struct {
	Federation Hash // of the genesis; zero for a member's card, which precedes it
	By         PartyID
	Key        key.Private[R]
}

// Sign checks a document and signs it under the given head.
func Sign[R key.Role, T Document[R]](s Signer[R], head Head, doc T) (Signed[T], error) {
	if err := doc.Check(); err != nil {
		return Signed[T]{}, fmt.Errorf("sign a %s: %w", doc.Label(), err)
	}
	body, err := Canonical(doc)
	if err != nil {
		return Signed[T]{}, fmt.Errorf("sign a %s: %w", doc.Label(), err)
	}
	if len(body) > maxBody {
		return Signed[T]{}, fmt.Errorf("sign a %s: %w: at most %d bytes", doc.Label(), ErrMalformed, maxBody)
	}
	// What others will read must be what was meant.
	if _, err := Decode[T](body); err != nil {
		return Signed[T]{}, fmt.Errorf("sign a %s: %w", doc.Label(), err)
	}
	signed := Signed[T]{By: s.By, Head: head, Body: body}
	signed.Sig = s.Key.Sign(signed.message(s.Federation, doc.Label()))
	return signed, nil
}

// Open verifies the signature and returns the document, decoded strictly and
// checked.
func Open[R key.Role, T Document[R]](federation Hash, s Signed[T], pub key.Public[R]) (T, error) {
	var doc T
	if len(s.By) > maxParty || len(s.Body) > maxBody {
		return doc, fmt.Errorf("open a %s: %w: its author has at most %d bytes and its body %d", doc.Label(), ErrMalformed, maxParty, maxBody)
	}
	if !pub.Verify(s.message(federation, doc.Label()), s.Sig) {
		return doc, fmt.Errorf("open a %s: %w", doc.Label(), ErrSignature)
	}
	doc, err := Decode[T](s.Body)
	if err != nil {
		return doc, fmt.Errorf("open a %s: %w", doc.Label(), err)
	}
	if err := doc.Check(); err != nil {
		return doc, fmt.Errorf("open a %s: %w", doc.Label(), err)
	}
	return doc, nil
}

// Claim is what [Open] will verify of a document, under the key that keyOf has
// for its author. It looks at nothing else.
func Claim[R key.Role](federation Hash, label Label, document []byte, keyOf func(PartyID) (key.Public[R], bool)) (key.Claim[R], bool) {
	var s Signed[jsontext.Value]
	if !s.recognise(document) || len(s.By) > maxParty {
		return key.Claim[R]{}, false
	}
	pub, ok := keyOf(s.By)
	return key.Claim[R]{Key: pub, Message: s.message(federation, label), Sig: s.Sig}, ok
}

// Peek decodes a document without verifying it, to learn what it refers to.
// Nothing may be decided on what it returns.
func Peek[T any](s Signed[T]) (T, error) { return Decode[T](s.Body) }

// ID is the identity of a signed document: the hash of what was signed.
func ID[R key.Role, T Document[R]](federation Hash, s Signed[T]) Hash {
	var doc T
	return HashOf(s.message(federation, doc.Label()))
}

// Author reads who claims to have signed a document, before anything in it is
// verified.
func Author(document []byte) (PartyID, error) {
	s, err := Decode[Signed[jsontext.Value]](document)
	return s.By, err
}
