// Package backup is the form of a replica's backup: the federation's log, which
// verifies by itself, and the files of the replica's folder, which are all that
// the log does not say. It writes and reads the form, and verifies the log each
// time; it knows neither a running replica nor what is done with a backup.
//
// A backup is a tar of a manifest, of the folder's files and of a copy of the
// log (package archive). It holds keys: whoever calls this package seals it.
package backup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
)

// Format names this form of backup.
const Format = "coulisse-backup/1"

// ErrBackup: the content is not a backup that holds together. Take another one,
// and keep this one.
var ErrBackup = errors.New("the backup does not hold together")

// Manifest is what a backup says of itself; all of it is checked but when and
// by which version it was made.
type Manifest struct {
	Format     string             `json:"format"`
	Replica    protocol.ReplicaID `json:"replica"`
	Federation protocol.Hash      `json:"federation"`
	At         protocol.Millis    `json:"at_ms"`
	Version    string             `json:"version"`
	Head       protocol.Head      `json:"head"`
	// State digests what the log leads to under the rules of that version.
	State protocol.Hash `json:"state_hash"`
}

// Backup is one, verified.
type Backup struct {
	Manifest
	// Files are those of the replica's folder, by name.
	Files     map[string][]byte
	Statement archive.Statement
	Log       *federation.Memory
	// Compared says that the state was compared: the backup is of the version
	// that reads it. Another one may keep the same log otherwise.
	Compared bool
}

// Bounds of a backup. The log's entries have theirs in package archive.
const (
	maxManifest = 64 << 10
	maxFiles    = 64
	// MaxFile bounds a file of the folder, in bytes: the founding holds every
	// founder's card.
	MaxFile = 16 << 20
)

// Names in the tar.
const (
	nameManifest = "backup.json"
	nameLog      = "log.jsonl"
	prefixFolder = "folder/"
)

// Make is a backup of a replica's folder, with its log up to a checkpoint.
func Make(m Manifest, files map[string][]byte, log *federation.Memory) (b Backup, err error) {
	m.Format, m.State = Format, state.HashOf(log)
	if m.Head, err = federation.Head(log); err != nil {
		return b, err
	}
	if len(files) > maxFiles {
		return b, fmt.Errorf("%w: a folder has at most %d files", ErrBackup, maxFiles)
	}
	return Backup{Manifest: m, Files: files, Log: log}, nil
}

// Write writes the backup, with a checkpoint of its log.
func (b Backup) Write(w io.Writer, c checkpoint.Checkpoint) error {
	out := tar.NewWriter(w)
	manifest, err := protocol.Indented(b.Manifest)
	if err != nil {
		return err
	}
	if err := b.add(out, nameManifest, int64(len(manifest)), whole(manifest)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		if err := b.add(out, prefixFolder+name, int64(len(b.Files[name])), whole(b.Files[name])); err != nil {
			return err
		}
	}
	copyLog := func(w io.Writer) error {
		return archive.Write(w, c, func(fn func(federation.Tx) error) error { return fn(b.Log) })
	}
	var size counter // a tar wants to know before
	if err := copyLog(&size); err != nil {
		return err
	}
	if err := b.add(out, nameLog, int64(size), copyLog); err != nil {
		return err
	}
	return out.Close()
}

func whole(content []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(content); return err }
}

type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (b Backup) add(out *tar.Writer, name string, size int64, write func(io.Writer) error) error {
	err := out.WriteHeader(&tar.Header{
		Name: name, Mode: 0o600, Size: size, ModTime: b.At.Time().Truncate(time.Second), Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	return write(out)
}

// Read reads a backup to its end and verifies it: the log is replayed from the
// genesis, and must be what the manifest states. version is the reader's.
func Read(r io.Reader, version string) (Backup, error) {
	b := Backup{Files: map[string][]byte{}}
	in := tar.NewReader(r)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return b, broken(err)
		}
		if err := b.take(header, in); err != nil {
			return b, err
		}
	}
	if b.Log == nil {
		return b, fmt.Errorf("%w: it ends before its log", ErrBackup)
	}
	// Only its end says that nothing of what was sealed is missing.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return b, err
	}
	return b, b.check(version)
}

// broken keeps the words of whoever sealed the content, if the fault is there.
func broken(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is no tar, or ends too early", ErrBackup)
	}
	return err
}

// take reads the next part. The manifest comes first and the log last.
func (b *Backup) take(header *tar.Header, content io.Reader) (err error) {
	name, inFolder := strings.CutPrefix(header.Name, prefixFolder)
	switch {
	case header.Typeflag != tar.TypeReg || b.Log != nil || (header.Name == nameManifest) == (b.Format != ""):
		return fmt.Errorf("%w: its parts are not those of a backup", ErrBackup)
	case header.Name == nameManifest:
		text, err := readPart(content, maxManifest)
		if err != nil {
			return err
		}
		if b.Manifest, err = protocol.DecodeFile[Manifest](text); err != nil || b.Format != Format {
			return fmt.Errorf("%w: it is not a %s", ErrBackup, Format)
		}
	case header.Name == nameLog:
		if b.Statement, b.Log, err = archive.Read(content, b.Federation); err != nil {
			return broken(err)
		}
	case inFolder && plain(name) && len(b.Files) < maxFiles:
		if b.Files[name], err = readPart(content, MaxFile); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: a part of it has no place in a replica's folder", ErrBackup)
	}
	return nil
}

// plain reports whether a name stays within a folder, on any system.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) < 100 && !strings.ContainsAny(name, "/\\:\x00")
}

func readPart(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, broken(err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%w: a part of it is too large", ErrBackup)
	}
	return content, nil
}

// check holds the manifest against what was read.
func (b *Backup) check(version string) error {
	if b.Statement.Head != b.Head {
		return fmt.Errorf("%w: its log has %d entries, its manifest states %d", ErrBackup, b.Statement.Head.Size, b.Head.Size)
	}
	b.Compared = b.Version == version
	if b.Compared && state.HashOf(b.Log) != b.State {
		return fmt.Errorf("%w: its log, replayed, does not lead to the state that it states", ErrBackup)
	}
	return nil
}
