package seal

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"coulisse/crypto/durable"
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
	file   *durable.File
	sealed io.WriteCloser
}

// Create begins a sealed file for one or more recipients. The caller defers
// [File.Discard] and ends with [File.Commit].
func Create(path string, recipients ...Recipient) (*File, error) {
	file, err := durable.Create(path)
	if err != nil {
		return nil, fmt.Errorf("creating a sealed file: %w", err)
	}
	sealed, err := NewWriter(file, recipients...)
	if err != nil {
		file.Discard()
		return nil, err
	}
	return &File{file: file, sealed: sealed}, nil
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
func (f *File) Commit() error { return f.end((*durable.File).Commit) }

// CommitNew is a Commit that never replaces a file: it fails with
// [fs.ErrExist] if the name is taken.
func (f *File) CommitNew() error { return f.end((*durable.File).CommitNew) }

func (f *File) end(commit func(*durable.File) error) error {
	if err := f.sealed.Close(); err != nil {
		return fmt.Errorf("ending a sealed file: %w", err)
	}
	if err := commit(f.file); err != nil {
		return fmt.Errorf("putting a sealed file in place: %w", err)
	}
	return nil
}

// Discard removes what was written, unless it was committed.
func (f *File) Discard() { f.file.Discard() }

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
