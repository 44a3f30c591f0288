package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// FileAt reads a sealed file at any place. It is opened only if its end is its
// own, so that nothing was cut off; every byte that ReadAt returns was
// authenticated together with its place. Any number may read at once.
type FileAt struct {
	opened io.ReaderAt
	file   *os.File
	size   int64
}

// ChunkSize is how many bytes are authenticated together: reading one byte
// costs as much as reading its chunk.
const ChunkSize = 64 << 10

// OpenFileAt opens the sealed file at path.
func OpenFileAt(path string, identity *Identity) (*FileAt, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a sealed file: %w", err)
	}
	f := &FileAt{file: file}
	info, err := file.Stat()
	if err == nil {
		f.opened, f.size, err = age.DecryptReaderAt(file, info.Size(), identity.age)
	}
	if err != nil {
		_ = file.Close() // only read
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), explainAt(err))
	}
	return f, nil
}

// Size is the content's, in bytes.
func (f *FileAt) Size() int64 { return f.size }

// ReadAt implements io.ReaderAt.
func (f *FileAt) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > f.size {
		return 0, fmt.Errorf("%s: no place %d in a sealed file of %d bytes", filepath.Base(f.file.Name()), off, f.size)
	}
	n, err := f.opened.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", filepath.Base(f.file.Name()), explainAt(err))
	}
	return n, err
}

// Close closes the file.
func (f *FileAt) Close() error { return f.file.Close() }

// explainAt is what [source.explain] is to a stream: the system's errors have a
// path in them, and whatever else there is, is about the content.
func explainAt(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return fmt.Errorf("reading a sealed file: %w", system)
	}
	return (&source{}).explain(err)
}
