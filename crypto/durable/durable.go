// Package durable writes files that are there whole or not at all, after a
// crash or a power cut too, and that only their owner reads. Keys and whatever
// a party has promised are kept so.
//
// It knows nothing of what it writes, nor of cryptography: it stands here
// because the first files that must never be half there are keys. What grows
// entry by entry is not for it: the logs have their own files.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// WriteFile puts content at path, mode 0600, in the place of what was there.
func WriteFile(path string, content []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Commit()
}

// File is a file being written. It appears under its name at [File.Commit],
// whole and on disk; until then, and after a crash, its name is what it was.
type File struct {
	file *os.File
	path string
	done bool
}

// Create begins a file, mode 0600, beside its name. The caller defers
// [File.Discard] and ends with [File.Commit] or [File.CommitNew].
func Create(path string) (*File, error) {
	// CreateTemp opens with mode 0600 and never follows or reuses a name.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, err
	}
	return &File{file: file, path: path}, nil
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) { return f.file.Write(p) }

// Publish lets everybody on the machine read the file. A file is its owner's
// alone otherwise.
func (f *File) Publish() error { return f.file.Chmod(0o644) }

// Commit ends the file and gives it its name. If it fails, the name still leads
// to what was there before, save that a failed sync of the folder leaves either.
func (f *File) Commit() error { return f.commit(os.Rename) }

// CommitNew is a Commit that never replaces a file: it fails with
// [fs.ErrExist] if the name is taken by then.
func (f *File) CommitNew() error { return f.commit(link) }

// link gives a name that must be free. Some file systems, such as those of USB
// sticks, have no links; there the look and the rename are two steps.
func link(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

// commit makes the content durable before its name, and then the name. In any
// other order a crash could leave the name on an empty file.
func (f *File) commit(place func(from, to string) error) error {
	if f.done {
		return errors.New("the file is already committed or discarded")
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	if err := f.file.Close(); err != nil {
		return err
	}
	if err := place(f.file.Name(), f.path); err != nil {
		return err
	}
	f.Discard() // of a rename nothing is left; of a link, the second name
	return SyncFolder(filepath.Dir(f.path))
}

// Discard removes what was written, unless it was committed.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	_ = f.file.Close()           // its content is not wanted
	_ = os.Remove(f.file.Name()) // gone already, if it was renamed
}

// IsTemporary reports whether a name is that of a file that was being written
// when a process ended. It is of no use: its folder's owner deletes it.
func IsTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// SyncFolder makes new names in a folder survive a power cut. Windows cannot
// and need not.
func SyncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
