package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"coulisse/crypto/durable"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// Resume is [Open] for the node whose key this is: it goes on from the snapshot
// that the node made last, and makes others.
func Resume(dir string, id protocol.Hash, own key.Private[key.Node]) (*Witness, error) {
	build, err := buildOf()
	if err != nil {
		return Open(dir, id) // the program's file was replaced: the next start finds the new one
	}
	return open(dir, id, &snapshots{key: own, build: build})
}

// errSnapshot: there is a snapshot, and it is not to be used.
var errSnapshot = errors.New("not a snapshot of this log by this node")

// recall begins from the snapshot, if there is one that serves.
func (w *Witness) recall() {
	if w.snapshots == nil {
		return
	}
	w.snapshots.at = w.now()
	w.sweep()
	said, state, err := w.readSnapshot()
	if err != nil {
		return
	}
	if err := w.adopt(said, state); err != nil {
		w.memory, w.whole = federation.Memory{}, 0
		w.digest.Reset()
		return
	}
	w.snapshots.covered = said.Head.Size
}

// sweep deletes what was being written when a process ended.
func (w *Witness) sweep() {
	entries, _ := os.ReadDir(w.dir) // restore looks again, and tells
	for _, e := range entries {
		if durable.IsTemporary(e.Name()) {
			_ = os.Remove(filepath.Join(w.dir, e.Name())) // the next start tries again
		}
	}
}

// readSnapshot returns what this node says of the snapshot, and the state.
func (w *Witness) readSnapshot() (said statement, state string, err error) {
	file, err := os.Open(filepath.Join(w.dir, fileSnapshot))
	if err != nil {
		return said, "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return said, "", err
	}
	content, err := readString(file, info.Size(), io.Discard)
	if err != nil {
		return said, "", err
	}
	if said, state, err = w.openSnapshot(content); err != nil {
		return said, "", err
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, strings.NewReader(state)); err != nil {
		return said, "", err
	}
	if sum(digest) != said.State {
		return said, "", errSnapshot
	}
	return said, state, nil
}

// openSnapshot checks whose it is.
func (w *Witness) openSnapshot(content string) (said statement, state string, err error) {
	if len(content) < 4 {
		return said, "", errSnapshot
	}
	content, length := content[:len(content)-4], binary.BigEndian.Uint32([]byte(content[len(content)-4:]))
	if length > maxStatement || len(content) < int(length)+ed25519.SignatureSize {
		return said, "", errSnapshot
	}
	content, signature := content[:len(content)-ed25519.SignatureSize], []byte(content[len(content)-ed25519.SignatureSize:])
	state, text := content[:len(content)-int(length)], []byte(content[len(content)-int(length):])
	if !w.snapshots.key.Public().Verify(append([]byte(signedAs), text...), signature) {
		return said, "", errSnapshot
	}
	if said, err = protocol.Decode[statement](text); err != nil {
		return said, "", err
	}
	if said.Federation != w.federation || said.Build != w.snapshots.build {
		return said, "", errSnapshot
	}
	return said, state, nil
}

// adopt takes the state for that of the log's beginning, if this is the log.
func (w *Witness) adopt(said statement, state string) error {
	beginning, err := readString(io.NewSectionReader(w.file, 0, said.LogBytes), said.LogBytes, w.digest)
	if err != nil {
		return err
	}
	if sum(w.digest) != said.Log || !strings.HasSuffix(beginning, "\n") {
		return errSnapshot
	}
	entries := strings.Split(beginning[:len(beginning)-1], "\n")
	if err := w.memory.Load(entries, pairs(state)); err != nil {
		return err
	}
	head, err := federation.Head(&w.memory)
	if err != nil {
		return err
	}
	if head != said.Head {
		return errSnapshot
	}
	w.whole = said.LogBytes
	return nil
}

// readString reads so many bytes, and copies them to also.
func readString(r io.Reader, size int64, also io.Writer) (string, error) {
	var b strings.Builder
	b.Grow(int(size))
	n, err := io.CopyBuffer(io.MultiWriter(&b, also), io.LimitReader(r, size), make([]byte, 1<<20))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return b.String(), err
}

// pairs are the keys and values of a state. They end early if it does not
// decode, which leaves it without the size that it must have.
func pairs(state string) func(func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		for len(state) > 0 {
			var key, value string
			var whole bool
			if key, state, whole = cutString(state); !whole {
				return
			}
			if value, state, whole = cutString(state); !whole || !yield(key, value) {
				return
			}
		}
	}
}

func cutString(s string) (first, rest string, whole bool) {
	length, n := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
	if n <= 0 || length > uint64(len(s)-n) {
		return "", "", false
	}
	return s[n : n+int(length)], s[n+int(length):], true
}
