package tiles

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/tlog"
)

// Verify replays the entries of a tree from the genesis, as archive.Verify does
// a copy's, and holds every tile against them: so that whoever proves something
// from the tiles proves it of this log.
func Verify(tree fs.FS, federationID protocol.Hash) (archive.Statement, error) {
	note, size, err := stated(tree)
	if err != nil {
		return archive.Statement{}, err
	}
	first, err := archive.Header(note, size)
	if err != nil {
		return archive.Statement{}, fmt.Errorf("%w: %w", archive.ErrArchive, err)
	}
	// Not a list of files: the size is only claimed so far.
	entries := &bundles{tree: tree, left: size}
	defer entries.close()
	s, log, err := archive.Read(io.MultiReader(bytes.NewReader(first), entries), federationID)
	if err != nil {
		return s, err
	}
	if s.Head != s.Checkpoint.Head {
		return s, fmt.Errorf("%w: it has %d entries, and its checkpoint %d", archive.ErrArchive, s.Head.Size, s.Checkpoint.Head.Size)
	}
	for _, t := range tlog.Tiles(size) {
		want, err := read(log, t)
		if err != nil {
			return s, err
		}
		got, err := content(tree, t.Path(), len(want))
		if err != nil {
			return s, err
		}
		if !bytes.Equal(got, want) {
			return s, fmt.Errorf("%w: %s is not of its entries", archive.ErrArchive, t.Path())
		}
	}
	return s, nil
}

// stated reads both checkpoints, still unverified: the one that others are
// given must be of what the one with all cosignatures is of.
func stated(tree fs.FS) (note []byte, size int64, err error) {
	short, err := content(tree, Checkpoint, checkpoint.MaxNote)
	if err != nil {
		return nil, 0, err
	}
	if note, err = content(tree, All, checkpoint.MaxNote); err != nil {
		return nil, 0, err
	}
	text := func(note []byte) []byte { text, _, _ := bytes.Cut(note, []byte("\n\n")); return text }
	if !bytes.Equal(text(short), text(note)) {
		return nil, 0, fmt.Errorf("%w: %s and %s are of two logs", archive.ErrArchive, Checkpoint, All)
	}
	if size, err = checkpoint.SizeOf(note); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", archive.ErrArchive, err)
	}
	return note, size, nil
}

// content is a bounded file.
func content(tree fs.FS, path string, limit int) ([]byte, error) {
	file, err := tree.Open(path)
	if err != nil {
		return nil, missing(path, err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(raw) > limit {
		return nil, fmt.Errorf("%w: %s is too long", archive.ErrArchive, path)
	}
	return raw, nil
}

func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the file %s is missing", archive.ErrArchive, path)
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// bundles reads the entries, one file after the other, each opened when it is
// its turn.
type bundles struct {
	tree fs.FS
	next int64 // the file after this one
	left int64 // entries that are not in this one nor before
	file fs.File
}

// Read implements io.Reader.
func (b *bundles) Read(p []byte) (int, error) {
	for {
		if b.file == nil {
			if b.left == 0 {
				return 0, io.EOF
			}
			if err := b.open(); err != nil {
				return 0, err
			}
		}
		n, err := b.file.Read(p)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if err != nil {
			b.close()
		}
	}
}

func (b *bundles) open() error {
	t := tlog.Tile{Level: tlog.Lines, N: b.next, Width: int(min(b.left, tlog.TileWidth))}
	file, err := b.tree.Open(t.Path())
	if err != nil {
		return missing(t.Path(), err)
	}
	b.file, b.next, b.left = file, b.next+1, b.left-int64(t.Width)
	return nil
}

func (b *bundles) close() {
	if b.file != nil {
		_ = b.file.Close() // it was only read
		b.file = nil
	}
}
