package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"coulisse/crypto/durable"

	"filippo.io/age"
)

// Recipient is whom a file is sealed for, in the text form of age: "age1pq1…".
type Recipient string

// maxKeyText bounds a recipient or identity line (about 2,000 and 80 bytes).
const maxKeyText = 4096

// Check reports whether files can be sealed for the recipient.
func (r Recipient) Check() error {
	_, err := r.age()
	return err
}

// age parses the recipient. Only the hybrid type is accepted: age refuses to mix
// it with others in a file, since one classical recipient would undo it for all.
func (r Recipient) age() (*age.HybridRecipient, error) {
	if len(r) <= maxKeyText {
		if parsed, err := age.ParseHybridRecipient(string(r)); err == nil {
			return parsed, nil
		}
	}
	return nil, fmt.Errorf("%w: a recipient begins with age1pq1 and is made by age-keygen -pq", ErrKey)
}

// Identity opens what is sealed for its [Recipient].
type Identity struct {
	hidden
	age *age.HybridIdentity
}

// NewIdentity draws an identity that is stored nowhere.
func NewIdentity() (*Identity, error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, fmt.Errorf("drawing an identity: %w", err)
	}
	return &Identity{age: id}, nil
}

// Recipient returns whom to seal for, so that this identity can open.
func (i *Identity) Recipient() Recipient { return Recipient(i.age.Recipient().String()) }

// LoadOrCreateIdentity reads the identity file at path, and makes one, readable
// by its owner only, if there is none. Of two processes that start at once, one
// makes it and both return it.
func LoadOrCreateIdentity(path string) (*Identity, error) {
	id, err := LoadIdentity(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if id, err = NewIdentity(); err != nil {
		return nil, err
	}
	if err = id.create(path); errors.Is(err, fs.ErrExist) {
		return LoadIdentity(path)
	}
	if err != nil {
		return nil, fmt.Errorf("writing a new identity: %w", err)
	}
	return id, nil
}

// create writes the identity in the form of age-keygen. It never replaces a
// file: everything sealed for that one would be lost.
func (i *Identity) create(path string) error {
	file, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := fmt.Fprintf(file, "# public key: %s\n%s\n", i.Recipient(), i.age.String()); err != nil {
		return err
	}
	return file.CommitNew()
}

// LoadIdentity reads an identity file, in the form of age-keygen -pq with one
// key. It refuses a file that others on the machine can read. An error that is
// [fs.ErrNotExist] says that there is none.
func LoadIdentity(path string) (*Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the identity: %w", err)
	}
	defer f.Close()
	if err := private(f); err != nil {
		return nil, err
	}
	id, err := readIdentity(f)
	if err != nil {
		return nil, fmt.Errorf("reading the identity %s: %w", filepath.Base(path), err)
	}
	return id, nil
}

// ParseIdentity reads the text of an identity file that was kept elsewhere, in a
// backup for instance.
func ParseIdentity(text []byte) (*Identity, error) { return readIdentity(bytes.NewReader(text)) }

// private checks the open file, not its name, which could change in between.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("checking the identity: %w", err)
	}
	// Windows has no such mode: its folders' access lists decide there.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the identity file can be read by others on this machine: run `chmod 600 %s`, and make a new identity if it may have been copied", f.Name())
	}
	return nil
}

// readIdentity returns the only key of an identity file. It never passes on the
// parser's error, which may quote the line.
func readIdentity(r io.Reader) (*Identity, error) {
	var found *Identity
	lines := bufio.NewScanner(io.LimitReader(r, 4*maxKeyText))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := age.ParseHybridIdentity(line)
		if err != nil || found != nil {
			return nil, fmt.Errorf("%w: an identity file holds one line that begins with AGE-SECRET-KEY-PQ-1, as age-keygen -pq makes it", ErrKey)
		}
		found = &Identity{age: id}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("%w: the file holds no key", ErrKey)
	}
	return found, nil
}
