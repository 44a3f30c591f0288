package steward

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// needed are the attempts whose shares still serve: those of the keys in use,
// of which two serve while members move from one to the other, and the attempt
// under way.
func (s *Steward) needed(tx federation.Tx, c federation.Ceremony) []protocol.Attempt {
	var attempts []protocol.Attempt
	for _, key := range federation.Keys(tx) {
		attempts = append(attempts, key.Attempt)
	}
	if underWay(c) {
		attempts = append(attempts, c.Attempt)
	}
	return attempts
}

func underWay(c federation.Ceremony) bool { return !c.Done && !c.Failed }

// forget deletes what must not outlive its attempt: shares of retired keys, of
// earlier sharings and of attempts that failed, t of which would be the key, and
// the envelope keys under which subshares lie in the log.
//
// Nothing of an attempt that this node's log does not know yet is touched: a
// node that reads its log again, after its copy was lost, passes by every
// ceremony of the past, and must not lose the share of the last one.
func (s *Steward) forget(c federation.Ceremony, needed []protocol.Attempt) error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if durable.IsTemporary(entry.Name()) { // a crash left it, with a secret in it
			if err := os.Remove(filepath.Join(s.cfg.Dir, entry.Name())); err != nil {
				return err
			}
			continue
		}
		kind, attempt, ok := parseName(entry.Name())
		if !ok || after(attempt, c.Attempt) {
			continue
		}
		if kind == kindCeremony && attempt == c.Attempt && underWay(c) || kind == kindShare && slices.Contains(needed, attempt) {
			continue
		}
		if err := os.Remove(filepath.Join(s.cfg.Dir, entry.Name())); err != nil {
			return err
		}
	}
	s.forgetHeld(needed)
	return nil
}

// forgetHeld drops the shares in memory with their files.
func (s *Steward) forgetHeld(needed []protocol.Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.shares, func(a protocol.Attempt, _ *held) bool { return !slices.Contains(needed, a) })
}

// Kinds of secret.
const (
	kindCeremony = "ceremony" // the envelope key of an attempt
	kindShare    = "share"    // what this steward got in it
)

func attemptName(kind string, a protocol.Attempt) string {
	return fmt.Sprintf("%s-%d-%d-%d.age", kind, a.Epoch, a.Roll, a.Number)
}

// parseName reads what attemptName wrote, and nothing else.
func parseName(name string) (kind string, a protocol.Attempt, ok bool) {
	for _, kind := range []string{kindCeremony, kindShare} {
		var a protocol.Attempt
		if _, err := fmt.Sscanf(name, kind+"-%d-%d-%d.age", &a.Epoch, &a.Roll, &a.Number); err == nil && name == attemptName(kind, a) {
			return kind, a, true
		}
	}
	return "", protocol.Attempt{}, false
}

// after reports whether a began after b. Rolls count through all epochs, and a
// roll is handed the key in use before it makes the next.
func after(a, b protocol.Attempt) bool {
	return cmp.Or(cmp.Compare(a.Roll, b.Roll), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Number, b.Number)) > 0
}
