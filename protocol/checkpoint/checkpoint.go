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
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// Bounds of a note. A federation may have more members than the 100 signatures
// that tools read of one: [Open] reads them all, and [Checkpoint.Short] is what
// others are given.
const (
	// MaxNote is in bytes: every member of the largest federation.
	MaxNote       = 384 << 10
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

// SizeOf reads of how many entries a note claims to be the checkpoint, before
// anything in it is verified: to know what to hold it against.
func SizeOf(raw []byte) (int64, error) {
	lines := bytes.SplitN(raw, []byte("\n"), 3)
	if len(lines) < 3 {
		return 0, fmt.Errorf("%w: it has not three lines", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(string(lines[1]), 10, 64)
	if err != nil || size < 1 || size > protocol.MaxSize {
		return 0, fmt.Errorf("%w: its size is out of range", ErrCheckpoint)
	}
	return size, nil
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

// String is the note, with all the signatures that were verified.
func (c Checkpoint) String() string { return string(written(c.note)) }

// Short is the note with no more signatures than tools read: the replicas' and,
// if those of the members are too many, the earliest of them.
func (c Checkpoint) Short() string {
	n, cosigned := c.replicas(), slices.Clone(c.Cosigned)
	if len(n.Sigs)+len(cosigned) > maxSignatures {
		slices.SortStableFunc(cosigned, func(a, b Cosignature) int { return cmp.Compare(a.At, b.At) })
		cosigned = cosigned[:max(0, maxSignatures-len(n.Sigs))]
	}
	for _, s := range cosigned {
		n.Sigs = append(n.Sigs, s.line)
	}
	return string(written(n))
}

// Only is the note with the replicas' signatures and one member's, if it has
// that: what the member hands in.
func (c Checkpoint) Only(id protocol.MemberID) []byte {
	n := c.replicas()
	if s, ok := c.Cosigner(id); ok {
		n.Sigs = append(n.Sigs, s.line)
	}
	return written(n)
}

// replicas is the note with the replicas' signatures.
func (c Checkpoint) replicas() *note.Note {
	n := &note.Note{Text: c.note.Text}
	for _, line := range c.note.Sigs {
		if !slices.ContainsFunc(c.Cosigned, func(s Cosignature) bool { return s.line == line }) {
			n.Sigs = append(n.Sigs, line)
		}
	}
	return n
}

// written is a note that came out of one, without a new signature.
func written(n *note.Note) []byte {
	raw, err := note.Sign(n)
	if err != nil {
		return nil // its lines were read from a note
	}
	return raw
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
	n, err := open(raw, k)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
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

// open is note.Open of a note with any number of signatures: of as many notes
// over the same text as it takes. What is not verified is left out.
func open(raw []byte, k keys) (*note.Note, error) {
	end := bytes.LastIndex(raw, []byte("\n\n")) // the text ends with the first
	if end < 0 {
		return note.Open(raw, k) // says what is wrong
	}
	text, lines := raw[:end+2], bytes.SplitAfter(raw[end+2:], []byte("\n"))
	if lines = lines[:len(lines)-1]; len(lines) == 0 || !bytes.HasSuffix(raw, []byte("\n")) {
		return note.Open(raw, k)
	}
	var whole *note.Note
	for part := range slices.Chunk(lines, maxSignatures) {
		n, err := note.Open(append(bytes.Clone(text), bytes.Join(part, nil)...), k)
		var unknown *note.UnverifiedNoteError
		switch {
		case errors.As(err, &unknown):
			continue // none of these is a key of ours
		case err != nil:
			return nil, err
		case whole == nil:
			whole = &note.Note{Text: n.Text}
		}
		for _, line := range n.Sigs {
			if !slices.ContainsFunc(whole.Sigs, func(s note.Signature) bool { return s.Name == line.Name && s.Hash == line.Hash }) {
				whole.Sigs = append(whole.Sigs, line)
			}
		}
	}
	if whole == nil {
		return nil, errors.New("nobody who is known has signed it")
	}
	return whole, nil
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

// With is the checkpoint with other cosignatures, which were verified over the
// same head.
func (c Checkpoint) With(cosignatures []Cosignature) Checkpoint {
	n := c.replicas()
	for _, s := range cosignatures {
		n.Sigs = append(n.Sigs, s.line)
	}
	c.note, c.Cosigned = n, cosignatures
	return c
}
