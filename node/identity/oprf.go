package identity

import (
	"strconv"

	"coulisse/protocol"
)

// label separates these inputs from anything else the key is ever used for.
const label = "coulisse/1"

// OPRFInput returns the bytes that an identifier's token is made of under the
// key of an epoch:
//
//	coulisse/1|<namespace>|<epoch>|norm/1|<email|phone>|<one zero byte>|<identifier>
//
// The namespace has passed its Check, so no part before the zero byte holds a
// bar, and no two identifiers, kinds, epochs or federations share an input. It
// panics for a zero identifier: a token of nobody would match everywhere.
func OPRFInput(namespace protocol.Namespace, epoch protocol.Epoch, id Identifier) []byte {
	if id.IsZero() {
		panic("identity: a token needs an identifier")
	}
	b := make([]byte, 0, len(label)+len(namespace)+len(Profile)+len(id.Kind)+len(id.value)+17)
	b = append(b, label...)
	b = append(b, '|')
	b = append(b, namespace...)
	b = append(b, '|')
	b = strconv.AppendUint(b, uint64(epoch), 10)
	b = append(b, '|')
	b = append(b, Profile...)
	b = append(b, '|')
	b = append(b, id.Kind...)
	b = append(b, '|', 0, '|')
	return append(b, id.value...)
}
