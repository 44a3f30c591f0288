// Package tiles lays the federation's log out as static resources, which any
// web server can hand out and any C2SP tool can prove from: a checkpoint, tiles
// of hashes (C2SP tlog-tiles), and the entries themselves (protocol.md section
// 9). It reads a single resource out of the log, writes the whole tree into a
// folder, and verifies such a folder as package archive does a copy.
//
// It serves nothing and knows nobody: who may read is the server's to say.
package tiles

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coulisse/crypto/durable"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/tlog"
)

// Names of the resources that are not tiles.
const (
	// Checkpoint is the newest one, with as many signatures as tools read.
	Checkpoint = "checkpoint"
	// All is the same with every cosignature.
	All = "checkpoint.all"
)

// Read is the content of a tile: hashes, or entries one a line. The error is
// [tlog.ErrTile], or federation.ErrNotFound for a tile that the log does not
// have yet.
func Read(tx federation.Tx, path string) ([]byte, error) {
	t, err := tlog.ParseTile(path)
	if err != nil {
		return nil, err
	}
	if !t.In(federation.Size(tx)) {
		return nil, fmt.Errorf("%w: %s", federation.ErrNotFound, path)
	}
	return read(tx, t)
}

func read(tx federation.Tx, t tlog.Tile) ([]byte, error) {
	if t.Level != tlog.Lines {
		return tlog.ReadTile(tx, t)
	}
	var lines bytes.Buffer
	for i := range t.Width {
		raw, ok := federation.EntryBytes(tx, t.N*tlog.TileWidth+int64(i))
		if !ok {
			return nil, fmt.Errorf("%w: %s", federation.ErrNotFound, t.Path())
		}
		lines.Write(raw)
		lines.WriteByte('\n')
	}
	return lines.Bytes(), nil
}

// Write writes the tree of the log up to a checkpoint of it, or brings up to
// date one that was written before: full tiles never change, and the checkpoint
// comes last, so that whoever reads meanwhile finds what it is of. view runs a
// function over the log, once a tile, so that the log goes on meanwhile.
func Write(dir string, c checkpoint.Checkpoint, view func(func(federation.Tx) error) error) error {
	for _, t := range tlog.Tiles(c.Head.Size) {
		path := filepath.Join(dir, filepath.FromSlash(t.Path()))
		if _, err := os.Stat(path); err == nil {
			continue // under this name there is only ever this
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var content []byte
		err := view(func(tx federation.Tx) (err error) { content, err = read(tx, t); return err })
		if err == nil {
			err = publish(path, content)
		}
		if err != nil {
			return err
		}
	}
	if err := publish(filepath.Join(dir, All), []byte(c.String())); err != nil {
		return err
	}
	return publish(filepath.Join(dir, Checkpoint), []byte(c.Short()))
}

// publish writes a file that a web server may read.
func publish(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Publish(); err != nil {
		return err
	}
	return file.Commit()
}
