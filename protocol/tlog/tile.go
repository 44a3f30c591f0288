package tlog

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileWidth is how many hashes a full tile holds (C2SP tlog-tiles).
const TileWidth = 1 << tileHeight

const tileHeight = 8

// Lines is the level of the entries themselves.
const Lines = -1

// Tile is a run of hashes of the tree: number N of level Level. Level 0 holds
// the hashes of the entries, every other one those of full tiles below it. A
// tile of level [Lines] is as many entries.
type Tile struct {
	Level int
	N     int64
	Width int // 1 to TileWidth
}

// ErrTile: a path names no tile.
var ErrTile = errors.New("not the path of a tile")

// maxLevel is the highest level of a tree of [protocol.MaxSize] entries.
const maxLevel = 6

func (t Tile) inner() tlog.Tile { return tlog.Tile{H: tileHeight, L: t.Level, N: t.N, W: t.Width} }

// The library's paths begin with the height, and call the entries data.
const (
	ours, theirs           = "tile/", "tile/8/"
	oursLines, theirsLines = "tile/lines/", "tile/8/data/"
)

// Path is the tile's place under a prefix: tile/0/x001/067 or, while it is not
// full, tile/0/x001/067.p/112; and tile/lines/x001/067 for the entries. They
// are not at tile/entries, since an entry may be longer than the 65535 bytes
// that C2SP has room for there.
func (t Tile) Path() string {
	path := t.inner().Path()
	if rest, ok := strings.CutPrefix(path, theirsLines); ok {
		return oursLines + rest
	}
	return ours + strings.TrimPrefix(path, theirs)
}

// ParseTile reads what [Tile.Path] writes and nothing else.
func ParseTile(path string) (Tile, error) {
	if len(path) > maxTilePath || !strings.HasPrefix(path, ours) {
		return Tile{}, ErrTile
	}
	given := theirs + strings.TrimPrefix(path, ours)
	if rest, ok := strings.CutPrefix(path, oursLines); ok {
		given = theirsLines + rest
	}
	inner, err := tlog.ParseTilePath(given)
	t := Tile{inner.L, inner.N, inner.W}
	if err != nil || t.N < 0 || t.Level > maxLevel || t.Path() != path {
		return Tile{}, ErrTile
	}
	return t, nil
}

const maxTilePath = 64

// In reports whether a log of that size has the tile.
func (t Tile) In(size int64) bool {
	for range t.Level {
		size /= TileWidth
	}
	return t.N <= size/TileWidth && t.N*TileWidth+int64(t.Width) <= size
}

// Full reports whether the tile never grows wider.
func (t Tile) Full() bool { return t.Width == TileWidth }

// Tiles are all tiles of a log of that size, those that are not full included,
// and those of the entries themselves.
func Tiles(size int64) []Tile {
	all := []Tile{}
	for _, t := range tlog.NewTiles(tileHeight, 0, size) {
		all = append(all, Tile{t.L, t.N, t.W})
		if t.L == 0 {
			all = append(all, Tile{Lines, t.N, t.W})
		}
	}
	return all
}

// ReadTile is the hashes of a tile that the log has, one after the other.
func ReadTile(store Store, t Tile) ([]byte, error) {
	data, err := tlog.ReadTileData(t.inner(), reader{store})
	if err != nil {
		return nil, fmt.Errorf("read a tile of the log: %w", err)
	}
	return data, nil
}
