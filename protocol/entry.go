package protocol

import (
	"fmt"

	"coulisse/crypto/key"

	"github.com/go-json-experiment/json/jsontext"
)

// Entry is one record of the log: a document, when the coordinator accepted
// it, and where.
type Entry struct {
	Seq   int64          `json:"seq"` // from 0, the genesis
	At    Millis         `json:"at"`  // stamped by the leader; never goes back
	Label Label          `json:"label"`
	Doc   jsontext.Value `json:"doc"` // a Signed document, or the Founding
}

// MaxSize bounds the entries of a log: the integers that JSON keeps exactly.
const MaxSize = 1<<53 - 1

// Heading is a head that a replica vouches for: the anchor of a proof that
// something is in the log. Its own signature's head is the same one.
type Heading struct {
	Head Head   `json:"head"`
	At   Millis `json:"at"`
}

// Label implements [Document].
func (Heading) Label() Label { return LabelHead }

// Role implements [Document].
func (Heading) Role() (r key.Replica) { return }

// Check implements [Document].
func (h Heading) Check() error {
	if h.Head.Size < 1 || h.Head.Size > MaxSize || h.Head.Root.IsZero() {
		return fmt.Errorf("%w: a head has a size and a root", ErrMalformed)
	}
	return h.At.check("a heading's time")
}
