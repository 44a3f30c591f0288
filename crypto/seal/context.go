package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Context is what an envelope is for. Both ends state it, it is not sent, and an
// envelope opens under no other: so a relay cannot pass one off in another
// federation, round or step, or as from another sender.
type Context struct {
	// Label names the step, e.g. "round key": a constant of the protocol.
	Label string
	// Genesis is the hash of the federation's first document.
	Genesis [32]byte
	// Sender and Receiver name the two ends.
	Sender, Receiver string
	// Subject is what it belongs to, e.g. the manifest's hash. It may be empty.
	Subject []byte
}

// maxContextField bounds each part of a [Context].
const maxContextField = 256

// envelopeInfo opens the info of every envelope. The form, the suite or the
// fields of [Context] change only together with its number.
const envelopeInfo = "coulisse/1/envelope"

// info encodes the context so that no two contexts share an encoding: a fixed
// number of fields in a fixed order, each after its length in 4 bytes.
func (c Context) info() ([]byte, error) {
	if c.Label == "" || c.Sender == "" || c.Receiver == "" {
		return nil, errors.New("an envelope's context needs a label, a sender and a receiver")
	}
	var info []byte
	for _, field := range [][]byte{
		[]byte(envelopeInfo), []byte(c.Label), c.Genesis[:], []byte(c.Sender), []byte(c.Receiver), c.Subject,
	} {
		if len(field) > maxContextField {
			return nil, fmt.Errorf("a field of an envelope's context has more than %d bytes", maxContextField)
		}
		info = binary.BigEndian.AppendUint32(info, uint32(len(field)))
		info = append(info, field...)
	}
	return info, nil
}
