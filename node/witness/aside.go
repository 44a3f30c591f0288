package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// asidePrefix begins the names of what was taken for evidence.
const asidePrefix = "set-aside-"

var errOnlyTried = errors.New("the entry was only tried")

// setAside reports whether what was kept as evidence is none by the rules of
// this build, and renames it if so: an earlier build refused by mistake, or did
// not know, what this one takes as the next entry of the same log. A fork stays
// evidence, and so does what is refused still.
func (w *Witness) setAside(name string) (bool, error) {
	var size int64
	if _, err := fmt.Sscanf(name, evidencePrefix+"%d-", &size); err != nil || size == 0 || size != federation.Size(&w.memory) {
		return false, nil // a fork, or of another place in the log
	}
	path := filepath.Join(w.dir, name)
	if info, err := os.Stat(path); err != nil || info.Size() > maxEntry {
		return false, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("read the evidence: %w", err)
	}
	entry, err := protocol.Decode[protocol.Entry](raw)
	if err != nil {
		return false, nil
	}
	err = federation.Whole(&w.memory, func(tx federation.Tx) error {
		if err := federation.Apply(tx, entry); err != nil {
			return err
		}
		return errOnlyTried // and leaves nothing behind
	})
	if !errors.Is(err, errOnlyTried) {
		return false, nil
	}
	w.aside = filepath.Join(w.dir, asidePrefix+strings.TrimPrefix(name, evidencePrefix))
	return true, os.Rename(path, w.aside)
}

// Aside is where this node has put, as it was opened, what an earlier build
// took for evidence; empty if nothing.
func (w *Witness) Aside() string { return w.aside }
