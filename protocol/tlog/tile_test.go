package tlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"coulisse/protocol"

	"golang.org/x/mod/sumdb/tlog"
)

// kept is a log of n entries.
type entriesOf map[string]string

func (k entriesOf) Get(key string) (string, bool) { v, ok := k[key]; return v, ok }
func (k entriesOf) Set(key, value string)         { k[key] = value }

func longLog(t testing.TB, n int64) (entriesOf, [][]byte) {
	t.Helper()
	store, entries := entriesOf{}, [][]byte{}
	for seq := range n {
		entry := fmt.Appendf(nil, "entry %d", seq)
		if err := Append(store, seq, entry); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return store, entries
}

// mth is the Merkle tree hash of RFC 6962, section 2.1, as it is written there.
func mth(entries [][]byte) []byte {
	if len(entries) == 1 {
		h := sha256.Sum256(append([]byte{0}, entries[0]...))
		return h[:]
	}
	k := 1
	for 2*k < len(entries) {
		k *= 2
	}
	h := sha256.Sum256(append(append([]byte{1}, mth(entries[:k])...), mth(entries[k:])...))
	return h[:]
}

// Every tile, against the definition of C2SP tlog-tiles.
func TestTilesByTheBook(t *testing.T) {
	const size = 2*TileWidth*TileWidth + 3*TileWidth + 7
	if testing.Short() {
		t.Skip("hashes a large log")
	}
	store, entries := longLog(t, size)
	tiles := Tiles(size)
	count := map[int]int{}
	for _, tile := range tiles {
		if !tile.In(size) || tile.Width == 0 {
			t.Fatalf("%s is none of a log of %d", tile.Path(), size)
		}
		count[tile.Level]++
		if tile.Level == Lines || tile.Level == 0 && tile.N%50 != 0 && tile.Full() { // a sample of the many
			continue
		}
		data, err := ReadTile(store, tile)
		if err != nil || len(data) != tile.Width*sha256.Size {
			t.Fatal(tile.Path(), err)
		}
		below := 1
		for range tile.Level {
			below *= TileWidth
		}
		for i := range tile.Width {
			first := (int(tile.N)*TileWidth + i) * below
			if want := mth(entries[first : first+below]); string(want) != string(data[i*sha256.Size:][:sha256.Size]) {
				t.Fatalf("hash %d of %s", i, tile.Path())
			}
		}
	}
	// As the text counts them: 515 full ones and one of 7; 2 and one of 3; one of 2.
	if count[0] != 516 || count[Lines] != 516 || count[1] != 3 || count[2] != 1 || len(count) != 4 {
		t.Errorf("%v", count)
	}
}

// files reads tiles for the library's own client.
type files struct {
	t     *testing.T
	store Store
	size  int64
}

func (f files) Height() int { return tileHeight }

func (f files) ReadTiles(wanted []tlog.Tile) (all [][]byte, err error) {
	for _, w := range wanted {
		path := Tile{w.L, w.N, w.W}.Path()
		tile, err := ParseTile(path)
		if err != nil || !tile.In(f.size) {
			f.t.Errorf("%s is asked for and not there: %v", path, err)
		}
		data, err := ReadTile(f.store, tile)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

// The library's client knows a head, and proves all else from our tiles.
func TestOthersProveFromTiles(t *testing.T) {
	store, entries := longLog(t, 1000)
	for _, size := range []int64{1, 2, 255, 256, 257, 511, 512, 700, 1000} {
		head, err := HeadAt(store, size)
		if err != nil {
			t.Fatal(err)
		}
		tree := tlog.Tree{N: size, Hash: tlog.Hash(head.Root)}
		client := tlog.TileHashReader(tree, files{t, store, size})
		for seq := int64(0); seq < size; seq += 1 + size/13 {
			proof, err := tlog.ProveRecord(size, seq, client)
			if err != nil {
				t.Fatal(size, seq, err)
			}
			if err := tlog.CheckRecord(proof, size, tree.Hash, seq, tlog.RecordHash(entries[seq])); err != nil {
				t.Fatal(size, seq, err)
			}
			before, err := HeadAt(store, seq+1)
			if err != nil {
				t.Fatal(err)
			}
			growth, err := tlog.ProveTree(size, seq+1, client)
			if err != nil {
				t.Fatal(size, seq, err)
			}
			if err := tlog.CheckTree(growth, size, tree.Hash, seq+1, tlog.Hash(before.Root)); err != nil {
				t.Fatal(size, seq, err)
			}
		}
	}
}

func TestTilePaths(t *testing.T) {
	for path, want := range map[string]Tile{
		"tile/0/000":                     {0, 0, 256},
		"tile/0/000.p/1":                 {0, 0, 1},
		"tile/1/x001/x234/067":           {1, 1234067, 256},
		"tile/2/x001/067.p/112":          {2, 1067, 112},
		"tile/lines/x001/000.p/5":        {Lines, 1000, 5},
		"tile/lines/999":                 {Lines, 999, 256},
		"tile/6/000.p/255":               {6, 0, 255},
		"tile/0/x999/x999/x999/x999/999": {0, 999_999_999_999_999, 256},
	} {
		if got, err := ParseTile(path); err != nil || got != want || got.Path() != path {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/00", "tile/0/0000", "tile/0/1000", "tile/00/000", "tile/7/000", "tile/64/000",
		"tile/-1/000", "tile/data/000", "tile/entries/000", "tile/8/0/000", "/tile/0/000", "tile/0/000.p/0", "tile/0/000.p/256",
		"tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p", "tile/0/001/000", "tile/0/x000/001", "tile/0/../0/000", "tile/0/000/",
		"tile/0/x001/x234/067.p/-1", "tile/lines/", "tile/0/%30%30%30", "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
	} {
		if tile, err := ParseTile(path); !errors.Is(err, ErrTile) {
			t.Errorf("%q is read as %+v", path, tile)
		}
	}
}

func FuzzTilePath(f *testing.F) {
	f.Add("tile/0/x001/067.p/112", int64(300_000))
	f.Add("tile/lines/000", int64(3))
	f.Add("tile/6/x999/x999/x999/x999/999.p/255", int64(protocol.MaxSize))
	f.Fuzz(func(t *testing.T, path string, size int64) {
		tile, err := ParseTile(path)
		if err != nil {
			return
		}
		if tile.Path() != path || tile.Width < 1 || tile.Width > TileWidth || tile.N < 0 {
			t.Errorf("%q is read as %+v", path, tile)
		}
		if size < 1 || size > 1<<16 || tile.Level == Lines {
			return
		}
		listed := false
		for _, other := range Tiles(size) {
			listed = listed || other == tile || other.Level == tile.Level && other.N == tile.N && other.Width >= tile.Width
		}
		if listed != tile.In(size) {
			t.Errorf("%s of a log of %d: %v", path, size, tile.In(size))
		}
	})
}
