package checkpoint

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/governance"

	"golang.org/x/mod/sumdb/note"
)

// Types of signature of C2SP signed-note.
const (
	typeEd25519     = 0x01
	typeCosignature = 0x04 // timestamped, tlog-cosignature
)

// verifier is a key under its name. It implements note.Verifier.
type verifier struct {
	name   string
	kind   byte
	point  []byte
	accept func(text, sig []byte) bool
}

// Name implements note.Verifier.
func (v verifier) Name() string { return v.name }

// KeyHash implements note.Verifier.
func (v verifier) KeyHash() uint32 {
	h := sha256.New()
	h.Write([]byte(v.name + "\n"))
	h.Write([]byte{v.kind})
	h.Write(v.point)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// Verify implements note.Verifier.
func (v verifier) Verify(text, sig []byte) bool { return v.accept(text, sig) }

// vkey is the key as C2SP tools are given it.
func (v verifier) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", v.name, v.KeyHash(), base64.StdEncoding.EncodeToString(append([]byte{v.kind}, v.point...)))
}

// signer is a private key under its name. It implements note.Signer; the key
// itself stays where it is.
type signer[R key.Role] struct {
	verifier
	sign func(text []byte) []byte
}

// Sign implements note.Signer.
func (s signer[R]) Sign(text []byte) ([]byte, error) { return s.sign(text), nil }

func replicaKey(o Origin, k key.Public[key.Replica]) verifier {
	return verifier{string(o), typeEd25519, k.Bytes(), k.Verify}
}

func cosignerKey(o Origin, id protocol.MemberID, k key.Public[key.Node]) verifier {
	return verifier{o.cosigner(id), typeCosignature, k.Bytes(), func(text, sig []byte) bool {
		if len(sig) < stampSize {
			return false
		}
		seconds := binary.BigEndian.Uint64(sig)
		return seconds <= maxSeconds && k.Verify(cosigned(int64(seconds), text), sig[stampSize:])
	}}
}

const (
	stampSize  = 8
	maxSeconds = uint64(protocol.MaxInstant / 1000)
)

// cosigned is what a cosignature covers. The first line parts it from a note
// and, as a note, from every document: it holds no zero byte.
func cosigned(seconds int64, text []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", seconds), text...)
}

// stampOf reads the time of a verified cosignature.
func stampOf(line note.Signature) protocol.Millis {
	raw, err := base64.StdEncoding.DecodeString(line.Base64)
	if err != nil || len(raw) < 4+stampSize {
		return 0 // it would not have been verified
	}
	return protocol.Millis(1000 * binary.BigEndian.Uint64(raw[4:]))
}

// identity is how a signature names its key.
type identity struct {
	name string
	hash uint32
}

// party is whose key it is: a replica's or a member's.
type party struct {
	verifier
	replica protocol.ReplicaID
	member  protocol.MemberID
}

// keys are those who may sign. It implements note.Verifiers.
type keys map[identity]party

func keysOf(v governance.View) keys {
	o, k := OriginOf(v), keys{}
	for _, r := range v.Roll.Replicas {
		v := replicaKey(o, r.Key)
		k[identity{v.name, v.KeyHash()}] = party{verifier: v, replica: r.ID}
	}
	for _, m := range v.Roster() {
		v := cosignerKey(o, m.Card.ID, m.Card.Node)
		k[identity{v.name, v.KeyHash()}] = party{verifier: v, member: m.Card.ID}
	}
	return k
}

// Verifier implements note.Verifiers.
func (k keys) Verifier(name string, hash uint32) (note.Verifier, error) {
	if p, ok := k[identity{name, hash}]; ok {
		return p, nil
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// Key is a verification key in the text form of C2SP tools.
type Key struct {
	Party protocol.PartyID `json:"party"`
	VKey  string           `json:"vkey"`
}

// ReplicaKeys are the keys under which checkpoints of this log are signed.
func ReplicaKeys(v governance.View) []Key {
	list := []Key{}
	for _, r := range v.Roll.Replicas {
		list = append(list, Key{protocol.PartyID(r.ID), replicaKey(OriginOf(v), r.Key).vkey()})
	}
	return list
}

// CosignerKeys are those of the members in good standing.
func CosignerKeys(v governance.View) []Key {
	list := []Key{}
	for _, m := range v.Roster() {
		list = append(list, Key{protocol.PartyID(m.Card.ID), cosignerKey(OriginOf(v), m.Card.ID, m.Card.Node).vkey()})
	}
	return list
}
