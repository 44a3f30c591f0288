// Package tilestest is somebody outside of Coulisse who reads a log's static
// resources: it has a replica's printed key and the libraries of the Go
// project, and none of our code. It is for tests.
package tilestest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Fetch reads a resource by its path.
type Fetch func(path string) ([]byte, error)

// ProveAll verifies the checkpoint with a replica's key, proves every entry of
// the log under it from the tiles, and that the log grew out of every earlier
// one. It returns how many entries there are.
func ProveAll(tb testing.TB, vkey string, fetch Fetch) int {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	key, err := note.NewVerifier(vkey)
	must(err)
	raw, err := fetch("checkpoint")
	must(err)
	n, err := note.Open(raw, note.VerifierList(key))
	must(err)
	_, body, _ := strings.Cut(n.Text, "\n")
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + body)) // the same but for its name
	must(err)
	entries := readEntries(tb, tree.N, fetch)
	hashes := tlog.TileHashReader(tree, reader{fetch})
	for seq, entry := range entries {
		proof, err := tlog.ProveRecord(tree.N, int64(seq), hashes)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(seq), tlog.RecordHash(entry)))
		before, err := tlog.TreeHash(int64(seq)+1, hashes)
		must(err)
		growth, err := tlog.ProveTree(tree.N, int64(seq)+1, hashes)
		must(err)
		must(tlog.CheckTree(growth, tree.N, tree.Hash, int64(seq)+1, before))
	}
	return len(entries)
}

// readEntries reads the entries, one a line.
func readEntries(tb testing.TB, size int64, fetch Fetch) (entries [][]byte) {
	tb.Helper()
	for first := int64(0); first < size; first += 256 {
		path := strings.Replace(tlog.Tile{H: 8, L: -1, N: first / 256, W: int(min(256, size-first))}.Path(), "tile/8/data/", "tile/lines/", 1)
		raw, err := fetch(path)
		if err != nil {
			tb.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
		entries = append(entries, lines...)
	}
	if int64(len(entries)) != size {
		tb.Fatalf("%d entries of %d", len(entries), size)
	}
	return entries
}

// reader implements tlog.TileReader. C2SP leaves the height out of the paths.
type reader struct{ fetch Fetch }

// Height implements tlog.TileReader.
func (reader) Height() int { return 8 }

// ReadTiles implements tlog.TileReader.
func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		raw, err := r.fetch(strings.Replace(t.Path(), "tile/8/", "tile/", 1))
		if err != nil {
			return nil, fmt.Errorf("read a tile: %w", err)
		}
		all = append(all, raw)
	}
	return all, nil
}

// SaveTiles implements tlog.TileReader.
func (reader) SaveTiles([]tlog.Tile, [][]byte) {}
