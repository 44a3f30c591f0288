// Package post seals and opens the letters that nodes send each other through
// the coordinator's relay (protocol.md section 7): signed by the sender's node
// key, sealed to the addressee's envelope key, bound to both names and to the
// federation. The relay learns who writes to whom, and how much.
package post

import (
	"errors"
	"fmt"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/wire"

	"google.golang.org/protobuf/proto"
)

// ErrLetter: a parcel does not open, or its letter is not the sender's. It was
// altered, or is for somebody else; the sender will repeat what matters.
var ErrLetter = errors.New("the parcel holds no letter from its sender to this node")

// label separates a letter's signature from every document's.
const label = "coulisse/1/letter\x00"

const signatureSize = 64

// Desk writes and reads a node's letters.
type Desk struct {
	Federation protocol.Hash
	Self       protocol.MemberID
	Signing    key.Private[key.Node]
	Envelope   *seal.EnvelopeKey
}

// Write signs a letter and seals it to its addressee.
func (d *Desk) Write(to protocol.Card, letter *wire.Letter) ([]byte, error) {
	content, err := proto.Marshal(letter)
	if err != nil {
		return nil, fmt.Errorf("write a letter: %w", err)
	}
	sig := d.Signing.Sign(d.signed(d.Self, to.ID, content))
	sealed, err := seal.Seal(to.Envelope, d.context(d.Self, to.ID), append(sig, content...))
	if err != nil {
		return nil, fmt.Errorf("write a letter: %w", err)
	}
	return sealed, nil
}

// Read opens a parcel that the relay says is from a member.
func (d *Desk) Read(from protocol.Card, sealed []byte) (*wire.Letter, error) {
	opened, err := seal.Open(d.Envelope, d.context(from.ID, d.Self), sealed)
	if err != nil || len(opened) < signatureSize {
		return nil, ErrLetter
	}
	sig, content := opened[:signatureSize], opened[signatureSize:]
	if !from.Node.Verify(d.signed(from.ID, d.Self, content), sig) {
		return nil, ErrLetter
	}
	letter := new(wire.Letter)
	if err := proto.Unmarshal(content, letter); err != nil {
		return nil, ErrLetter
	}
	return letter, nil
}

func (d *Desk) signed(from, to protocol.MemberID, content []byte) []byte {
	m := append([]byte(label), d.Federation[:]...)
	m = append(m, from...)
	m = append(m, 0)
	m = append(m, to...)
	m = append(m, 0)
	return append(m, content...)
}

func (d *Desk) context(from, to protocol.MemberID) seal.Context {
	return seal.Context{Label: "letter", Genesis: d.Federation, Sender: string(from), Receiver: string(to)}
}
