package seal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// WriteFile seals plaintext into the file at path, mode 0600, replacing what was
// there. After a crash the file is the old one or the new one, never a part.
func WriteFile(path string, recipients []Recipient, plaintext []byte) error {
	f, err := Create(path, recipients...)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(plaintext); err != nil {
		return err
	}
	return f.Commit()
}

// ReadFile opens the sealed file at path, whole. Content beyond maxBytes is
// refused with [ErrTooLarge]; a missing file is [fs.ErrNotExist].
func ReadFile(path string, identity *Identity, maxBytes int64) ([]byte, error) {
	f, err := OpenFile(path, identity)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plaintext, err := io.ReadAll(io.LimitReader(f, maxBytes))
	if err != nil {
		return nil, err
	}
	// Only the end of the file says that nothing was cut off.
	if _, err := io.ReadFull(f, make([]byte, 1)); err == nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Base(path), ErrTooLarge)
	} else if err != io.EOF {
		return nil, err
	}
	return plaintext, nil
}

// File is a sealed file being written. It appears under its name at [File.Commit],
// whole and on disk; until then, and after a crash, its name is what it was.
type File struct {
	temp   *tempFile
	sealed io.WriteCloser
}

// Create begins a sealed file for one or more recipients. The caller defers
// [File.Discard] and ends with [File.Commit].
func Create(path string, recipients ...Recipient) (*File, error) {
	temp, err := createTemp(path)
	if err != nil {
		return nil, fmt.Errorf("creating a sealed file: %w", err)
	}
	sealed, err := NewWriter(temp.file, recipients...)
	if err != nil {
		temp.discard()
		return nil, err
	}
	return &File{temp: temp, sealed: sealed}, nil
}

// Write seals p. It is buffered to chunks of 64 KiB.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.sealed.Write(p)
	if err != nil {
		return n, fmt.Errorf("writing a sealed file: %w", err)
	}
	return n, nil
}

// Commit ends the file and gives it its name. If it fails, the name still leads
// to what was there before, save that a failed sync of the folder leaves either.
func (f *File) Commit() error {
	if err := f.sealed.Close(); err != nil {
		return fmt.Errorf("ending a sealed file: %w", err)
	}
	if err := f.temp.commit(os.Rename); err != nil {
		return fmt.Errorf("putting a sealed file in place: %w", err)
	}
	return nil
}

// Discard removes what was written, unless it was committed.
func (f *File) Discard() { f.temp.discard() }

// OpenedFile reads a sealed file. See [NewReader] on what may be trusted when.
type OpenedFile struct {
	io.Reader
	file *os.File
}

// OpenFile opens the sealed file at path for reading as a stream.
func OpenFile(path string, identity *Identity) (*OpenedFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a sealed file: %w", err)
	}
	r, err := NewReader(file, identity)
	if err != nil {
		_ = file.Close() // only read
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return &OpenedFile{Reader: r, file: file}, nil
}

// Close closes the file.
func (f *OpenedFile) Close() error { return f.file.Close() }

// tempFile is written beside its final name, then moved there.
type tempFile struct {
	file *os.File
	path string
	done bool
}

func createTemp(path string) (*tempFile, error) {
	// CreateTemp opens with mode 0600 and never follows or reuses a name.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, err
	}
	return &tempFile{file: file, path: path}, nil
}

// IsTemporary reports whether a name is that of a file that was being written
// when a process ended. It is sealed, and of no use: its folder's owner deletes
// it.
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// commit makes the content durable before its name, and then the name. In any
// other order a crash could leave the name on an empty file.
func (t *tempFile) commit(place func(from, to string) error) error {
	if t.done {
		return errors.New("the file is already committed or discarded")
	}
	if err := t.file.Sync(); err != nil {
		return err
	}
	if err := t.file.Close(); err != nil {
		return err
	}
	if err := place(t.file.Name(), t.path); err != nil {
		return err
	}
	t.discard() // of a rename nothing is left; of a link, the second name
	return syncFolder(filepath.Dir(t.path))
}

func (t *tempFile) discard() {
	if t.done {
		return
	}
	t.done = true
	_ = t.file.Close()           // its content is not wanted
	_ = os.Remove(t.file.Name()) // what is left is sealed, or an identity never used
}

// syncFolder makes a new name survive a crash. Windows cannot and need not.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
