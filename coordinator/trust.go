package coordinator

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// known is what a replica's folder keeps of the roll, so that the replica finds
// the others before it has read the log again.
type known struct {
	Roll protocol.Roll `json:"roll"`
	// Departed are off the roll, and consensus still counted on them then.
	Departed []protocol.Replica `json:"departed"`
}

// trust is whom a replica believes on the wire: the roll in its log or, before
// it has read that, the one in its folder. It is asked at every handshake and
// every call, so a change of the roll counts at once.
type trust struct {
	dir  string
	self protocol.ReplicaID
	key  protocol.Hash                         // its own TLS key
	view func(func(federation.Tx) error) error // nil if the replica does not run

	// mu guards kept.
	mu   sync.Mutex
	kept known
}

// openTrust reads what the folder keeps; the genesis's roll if that is all there
// has been.
func openTrust(dir string, self protocol.ReplicaID, key protocol.Hash, genesis protocol.Genesis) (*trust, error) {
	t := &trust{dir: dir, self: self, key: key, kept: known{Roll: firstRoll(genesis)}}
	text, err := os.ReadFile(filepath.Join(dir, fileRoll))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		t.kept, err = protocol.DecodeFile[known](text)
	}
	if err != nil {
		return nil, damaged(fileRoll, err)
	}
	return t, nil
}

func firstRoll(g protocol.Genesis) protocol.Roll {
	return protocol.Roll{Replicas: g.Replicas, Rules: protocol.FirstRules}
}

func (t *trust) keeps() known {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept
}

// roll is the newest that this replica knows.
func (t *trust) roll() protocol.Roll {
	current := t.keeps().Roll
	if t.view != nil {
		_ = t.view(func(tx federation.Tx) error { // an empty log has no view
			view, err := federation.View(tx)
			if err == nil && view.Roll.Number >= current.Number {
				current = view.Roll
			}
			return err
		})
	}
	return current
}

// replica finds whose TLS key it is. One that has just left the roll is found
// too: consensus goes on with it until it is let go. Its own it knows before it
// has read of itself on the roll: commands on its machine call with that.
func (t *trust) replica(key protocol.Hash) (protocol.ReplicaID, bool) {
	if key == t.key {
		return t.self, true
	}
	kept := t.keeps()
	for _, list := range [][]protocol.Replica{t.roll().Replicas, kept.Roll.Replicas, kept.Departed} {
		for _, r := range list {
			if r.TLS == key {
				return r.ID, true
			}
		}
	}
	return "", false
}

func (t *trust) isReplica(key protocol.Hash) bool {
	_, ok := t.replica(key)
	return ok
}

// names tells whether the log names a member's certificate as the one that its
// node shows, or the one before.
func (t *trust) names(member protocol.MemberID, certificate protocol.Hash) (named bool) {
	if t.view == nil {
		return false
	}
	_ = t.view(func(tx federation.Tx) error { // an empty log names none
		enrolment, ok := federation.Enrolled(tx, member)
		named = ok && (enrolment.Certificate == certificate || enrolment.Renews == certificate)
		return nil
	})
	return named
}

// of is the trust as package authority asks for it.
func (t *trust) of(namespace protocol.Namespace) authority.Trust {
	return authority.Trust{
		Namespace: namespace, Replica: t.replica, Names: t.names,
		Certifies: func(h protocol.Hash) bool { return t.roll().Certifies(h) },
	}
}

// own is this replica's own place on the roll.
func (t *trust) own() (protocol.Replica, bool) {
	replicas := t.roll().Replicas
	i := slices.IndexFunc(replicas, func(r protocol.Replica) bool { return r.ID == t.self })
	if i < 0 {
		return protocol.Replica{}, false
	}
	return replicas[i], true
}

// hear takes the roll that the running replica of this folder has told a command
// beside it.
func (t *trust) hear(current protocol.Roll) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if current.Number > t.kept.Roll.Number {
		t.kept.Roll = current
	}
}

// keep stores the roll in the log, once it is newer than the one in the folder,
// and forgets who has departed as soon as consensus has let them go: their keys
// may be anybody's from then on.
func (t *trust) keep(members []consensus.Member) error {
	current, before := t.roll(), t.keeps()
	next := known{Roll: current, Departed: []protocol.Replica{}}
	for _, r := range append(slices.Clone(before.Roll.Replicas), before.Departed...) {
		counted := slices.ContainsFunc(members, func(m consensus.Member) bool { return m.ID == r.ID })
		if counted && !onRoll(current, r.ID) {
			next.Departed = append(next.Departed, r)
		}
	}
	if current.Number <= before.Roll.Number && len(next.Departed) == len(before.Departed) {
		return nil
	}
	if err := writeKnown(t.dir, next); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = next
	return nil
}

func writeKnown(dir string, k known) error {
	text, err := protocol.Indented(k)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, fileRoll), text)
}
