// Package checkpoint states heads of the federation's log in the form that
// tools outside of Coulisse read: signed notes (C2SP signed-note and
// tlog-checkpoint), signed by a coordinator replica and cosigned by the nodes
// of members (C2SP tlog-cosignature). It implements section 9 of
// protocol.md.
//
// It signs and reads; who signs what, and when, is up to the packages that
// hold the keys.
package checkpoint

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/governance"

	"golang.org/x/mod/sumdb/note"
)

// ErrCheckpoint: a text is not a checkpoint of this federation's log that one
// of its replicas has signed. It proves nothing, against nobody.
var ErrCheckpoint = errors.New("not a checkpoint of this federation's log")

// Bounds of a note. Tools read at most 100 signatures of one.
const (
	// MaxNote is in bytes.
	MaxNote       = 64 << 10
	maxSignatures = 100
)

// Origin names the log: the first line of its checkpoints, and the name of its
// replicas' keys. It holds the whole hash of the genesis, so that a checkpoint
// of one federation is none of another.
type Origin string

// OriginOf names a federation's log.
func OriginOf(v governance.View) Origin {
	return Origin(fmt.Sprintf("coulisse/%s/%s", v.Charter.Namespace, v.Federation))
}

// cosigner is the name of a member's key.
func (o Origin) cosigner(id protocol.MemberID) string { return string(o) + "/" + string(id) }

// text is the note that is signed. No document of package protocol is signed
// under the same bytes: those hold a zero byte, and a note none.
func (o Origin) text(h protocol.Head) string {
	return fmt.Sprintf("%s\n%d\n%s\n", o, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// parse reads a note's text and nothing that [Origin.text] does not write.
func (o Origin) parse(text string) (h protocol.Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return h, fmt.Errorf("%w: it has not three lines", ErrCheckpoint)
	}
	if _, err := fmt.Sscanf(lines[1], "%d", &h.Size); err != nil || h.Size < 1 || h.Size > protocol.MaxSize {
		return h, fmt.Errorf("%w: its size is out of range", ErrCheckpoint)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(h.Root) {
		return h, fmt.Errorf("%w: its root is no hash", ErrCheckpoint)
	}
	copy(h.Root[:], root)
	if o.text(h) != text {
		return h, fmt.Errorf("%w: it is of another log, or spelled otherwise", ErrCheckpoint)
	}
	return h, nil
}

// Cosignature is a member's statement that its node has verified the log up to
// the checkpoint.
type Cosignature struct {
	Member protocol.MemberID `json:"member"`
	At     protocol.Millis   `json:"at_ms"` // to the second
	line   note.Signature
}

// Checkpoint is a verified one.
type Checkpoint struct {
	Head protocol.Head
	// Replicas are those who signed it: one or more.
	Replicas []protocol.ReplicaID
	// Cosigned are the members in good standing whose nodes signed it too.
	Cosigned []Cosignature
	note     *note.Note
}

// String is the note, with the signatures that were verified.
func (c Checkpoint) String() string {
	raw, err := note.Sign(c.note)
	if err != nil {
		return "" // it came out of a note
	}
	return string(raw)
}

// Sign states a head as a replica.
func Sign(o Origin, head protocol.Head, k key.Private[key.Replica]) ([]byte, error) {
	if head.Size < 1 || head.Size > protocol.MaxSize {
		return nil, fmt.Errorf("sign a checkpoint: %w: a log has 1 entry or more", protocol.ErrMalformed)
	}
	return note.Sign(&note.Note{Text: o.text(head)}, signer[key.Replica]{replicaKey(o, k.Public()), k.Sign})
}

// Open verifies a checkpoint: a replica of the federation has signed it, and
// no signature by a replica or a member in it is wrong. Others' signatures are
// left out.
func Open(raw []byte, v governance.View) (Checkpoint, error) {
	o := OriginOf(v)
	if len(raw) > MaxNote {
		return Checkpoint{}, fmt.Errorf("%w: it has more than %d bytes", ErrCheckpoint, MaxNote)
	}
	k := keysOf(v)
	n, err := note.Open(raw, k)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	n.UnverifiedSigs = nil
	c := Checkpoint{note: n}
	if c.Head, err = o.parse(n.Text); err != nil {
		return Checkpoint{}, err
	}
	for _, line := range n.Sigs {
		switch id := k[identity{line.Name, line.Hash}]; {
		case id.replica != "":
			c.Replicas = append(c.Replicas, id.replica)
		default:
			c.Cosigned = append(c.Cosigned, Cosignature{Member: id.member, At: stampOf(line), line: line})
		}
	}
	if len(c.Replicas) == 0 {
		return Checkpoint{}, fmt.Errorf("%w: none of its replicas has signed it", ErrCheckpoint)
	}
	return c, nil
}

// Cosigner finds a member's cosignature.
func (c Checkpoint) Cosigner(id protocol.MemberID) (Cosignature, bool) {
	for _, s := range c.Cosigned {
		if s.Member == id {
			return s, true
		}
	}
	return Cosignature{}, false
}

// Cosign adds a member's cosignature of that instant, or replaces its earlier
// one. Its node has verified the log up to this head: the caller knows it.
func (c Checkpoint) Cosign(o Origin, id protocol.MemberID, k key.Private[key.Node], at time.Time) ([]byte, error) {
	sign := func(text []byte) []byte {
		seconds := at.Unix()
		stamp := binary.BigEndian.AppendUint64(nil, uint64(seconds))
		return append(stamp, k.Sign(cosigned(seconds, text))...)
	}
	return note.Sign(c.note, signer[key.Node]{cosignerKey(o, id, k.Public()), sign})
}

// With is the note with cosignatures that were verified over the same head,
// as many as tools read.
func (c Checkpoint) With(cosignatures []Cosignature) ([]byte, error) {
	n := &note.Note{Text: c.note.Text}
	for _, line := range c.note.Sigs {
		if len(n.Sigs) < maxSignatures {
			n.Sigs = append(n.Sigs, line)
		}
	}
	for _, s := range cosignatures {
		if len(n.Sigs) < maxSignatures {
			n.Sigs = append(n.Sigs, s.line)
		}
	}
	return note.Sign(n)
}
