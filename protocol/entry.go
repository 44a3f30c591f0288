package protocol

import (
	"bytes"
	"fmt"
	"strconv"

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

// Encode is the entry in canonical form, as [Canonical] would give it. Its
// document is in that form already: it is taken as it is.
func (e Entry) Encode() []byte {
	raw := make([]byte, 0, len(e.Doc)+96)
	raw = append(raw, `{"at":`...)
	raw = strconv.AppendInt(raw, int64(e.At), 10)
	raw = append(raw, `,"doc":`...)
	raw = append(raw, e.Doc...)
	raw = append(raw, `,"label":"`...)
	raw = append(raw, e.Label...) // one that Apply knows: nothing in it to escape
	raw = append(raw, `","seq":`...)
	raw = strconv.AppendInt(raw, e.Seq, 10)
	return append(raw, '}')
}

// ReadEntry finds the label and the document of an entry as [Entry.Encode] writes
// it. It verifies nothing.
func ReadEntry(raw []byte) (label Label, document []byte, ok bool) {
	_, rest, begins := bytes.Cut(raw, []byte(`,"doc":`))
	end := bytes.LastIndex(rest, []byte(`,"label":"`))
	if !begins || end < 0 {
		return "", nil, false
	}
	name, _, ends := bytes.Cut(rest[end+len(`,"label":"`):], []byte(`","seq":`))
	return Label(name), rest[:end], ends
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
