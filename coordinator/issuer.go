package coordinator

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/crypto/durable"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/refusal"
)

// issuer is a replica's certificate authority and, while a rotation is under
// way, the next one: its key is on the disk before anybody hears of it, and
// takes the place of the present one once the roll lists it. So a crash at any
// point leaves the replica with the key that the roll asks for.
type issuer struct {
	dir       string
	namespace protocol.Namespace
	identity  *seal.Identity

	// mu guards current and the two files.
	mu      sync.Mutex
	current *authority.Authority
}

func openIssuer(dir string, namespace protocol.Namespace, identity *seal.Identity) (*issuer, error) {
	i := &issuer{dir: dir, namespace: namespace, identity: identity}
	var err error
	if i.current, err = i.read(fileAuthority); err != nil {
		return nil, damaged(fileAuthority, err)
	}
	return i, nil
}

func (i *issuer) read(file string) (*authority.Authority, error) {
	text, err := seal.ReadFile(filepath.Join(i.dir, file), i.identity, maxKeyFile)
	if err != nil {
		return nil, err
	}
	return authority.Open(i.namespace, text)
}

func sealAuthority(dir, file string, identity *seal.Identity, ca *authority.Authority) error {
	text, err := ca.Reveal()
	if err != nil {
		return err
	}
	return sealFile(dir, file, identity, text)
}

// errNotIssuing: after a restoration from a backup that is older than the last
// rotation, for instance.
var errNotIssuing = protocol.Refuse(refusal.ErrUnavailable,
	"cette réplique n'a pas la clé de l'autorité que la liste lui connaît; le bureau lui en fait une autre avec `coulisse coordinator authority rotate`",
	"this replica does not have the key of the authority that the roll lists for it; the office has it make another with `coulisse coordinator authority rotate`")

// by returns the authority of that name, which the roll lists for this replica.
// The next one takes the place of the present one here.
func (i *issuer) by(listed protocol.Hash) (*authority.Authority, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.current.Hash() == listed {
		return i.current, nil
	}
	next, err := i.read(fileNext)
	switch {
	case err == nil && next.Hash() == listed:
		if err := os.Rename(filepath.Join(i.dir, fileNext), filepath.Join(i.dir, fileAuthority)); err != nil {
			return nil, err
		}
		if err := durable.SyncFolder(i.dir); err != nil {
			return nil, err
		}
		i.current = next
		return next, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, damaged(fileNext, err)
	}
	// A command on this machine may have done the same a moment ago.
	if again, err := i.read(fileAuthority); err == nil && again.Hash() == listed {
		i.current = again
		return again, nil
	}
	return nil, errNotIssuing
}

// prepare makes the next authority, or returns the one that was made and not
// put on the roll yet: whoever asks twice gets the same.
func (i *issuer) prepare(now time.Time) (*authority.Authority, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	next, err := i.read(fileNext)
	if err == nil {
		return next, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(fileNext, err)
	}
	if next, err = authority.Create(i.namespace, now); err != nil {
		return nil, err
	}
	return next, sealAuthority(i.dir, fileNext, i.identity, next)
}
