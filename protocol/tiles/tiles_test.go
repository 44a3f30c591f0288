package tiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/tiles/tilestest"
	"coulisse/protocol/tlog"
)

// long is a town whose log has more entries than a tile, one member having
// cosigned its head.
func long(t testing.TB) (*Town, checkpoint.Checkpoint) {
	t.Helper()
	town := Found(t, 60)
	for range 5 {
		town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 5}})
	}
	return town, vouched(t, town)
}

func vouched(t testing.TB, town *Town) checkpoint.Checkpoint {
	t.Helper()
	o := checkpoint.OriginOf(town.View())
	raw, err := checkpoint.Sign(o, town.Head(), town.Replica)
	town.Must(err)
	c, err := checkpoint.Open(raw, town.View())
	town.Must(err)
	raw, err = c.Cosign(o, town.Members[0].ID, town.Members[0].Node, time.Unix(1_763_900_000, 0))
	town.Must(err)
	c, err = checkpoint.Open(raw, town.View())
	town.Must(err)
	return c
}

func written(t testing.TB, town *Town, c checkpoint.Checkpoint, dir string) {
	t.Helper()
	town.Must(Write(dir, c, func(fn func(federation.Tx) error) error { return fn(&town.Log) }))
}

// Somebody who has a replica's key and the folder, and none of our code.
func TestOthersReadTheFolder(t *testing.T) {
	town, c := long(t)
	dir := t.TempDir()
	written(t, town, c, dir)
	key := checkpoint.ReplicaKeys(town.View())[0].VKey
	n := tilestest.ProveAll(t, key, func(path string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
	})
	if n != len(town.Entries) || n <= 256 {
		t.Errorf("%d entries of %d", n, len(town.Entries))
	}
}

func TestAFolderVerifies(t *testing.T) {
	town, c := long(t)
	dir := t.TempDir()
	written(t, town, c, dir)
	s, err := Verify(os.DirFS(dir), town.Federation)
	if err != nil || s.Head != town.Head() || s.View.Decisions != 5 || len(s.Checkpoint.Cosigned) != 1 {
		t.Fatalf("%+v, %v", s.Head, err)
	}
	// It grows in the same place, and nothing that was full is written again.
	full := filepath.Join(dir, "tile", "lines", "000")
	before, err := os.Stat(full)
	town.Must(err)
	for range 5 {
		town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 6}})
	}
	written(t, town, vouched(t, town), dir)
	if s, err = Verify(os.DirFS(dir), town.Federation); err != nil || s.Head != town.Head() || s.View.Decisions != 10 {
		t.Fatalf("%+v, %v", s.Head, err)
	}
	if after, err := os.Stat(full); err != nil || !os.SameFile(before, after) {
		t.Error("a full tile was written again", err)
	}
}

func TestAlteredFolders(t *testing.T) {
	town, c := long(t)
	dir := t.TempDir()
	written(t, town, c, dir)
	other := Found(t, 3)
	foreign := vouched(t, other)
	for name, alter := range map[string]func(fstest.MapFS){
		"no checkpoint":         func(f fstest.MapFS) { delete(f, Checkpoint) },
		"no cosignatures":       func(f fstest.MapFS) { delete(f, All) },
		"two checkpoints":       func(f fstest.MapFS) { f[Checkpoint] = &fstest.MapFile{Data: []byte(foreign.Short())} },
		"another's checkpoints": func(f fstest.MapFS) { put(f, foreign.Short(), foreign.String()) },
		"an enormous log": func(f fstest.MapFS) {
			put(f, "x\n9007199254740991\ny\n\nz\n", "x\n9007199254740991\ny\n\nz\n")
		},
		"no size":                func(f fstest.MapFS) { put(f, "x\ny\nz\n", "x\ny\nz\n") },
		"a bundle missing":       func(f fstest.MapFS) { delete(f, "tile/lines/000") },
		"a tile missing":         func(f fstest.MapFS) { delete(f, "tile/0/000") },
		"a ballot turned":        func(f fstest.MapFS) { turn(f, "tile/lines/000", `"choice":"for"`, `"choice":"not"`) },
		"a hash of the entries":  func(f fstest.MapFS) { flip(f, "tile/0/000") },
		"a hash above":           func(f fstest.MapFS) { flip(f, "tile/1/000.p/1") },
		"a tile cut":             func(f fstest.MapFS) { f["tile/0/000"].Data = f["tile/0/000"].Data[:32] },
		"a tile with more in it": func(f fstest.MapFS) { f["tile/0/000"].Data = append(f["tile/0/000"].Data, 0) },
	} {
		files := fstest.MapFS{}
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			files[filepath.ToSlash(rel)] = &fstest.MapFile{Data: raw}
			return err
		})
		town.Must(err)
		alter(files)
		if _, err := Verify(files, town.Federation); !errors.Is(err, archive.ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Verify(os.DirFS(dir), other.Federation); !errors.Is(err, archive.ErrArchive) {
		t.Error("another federation's:", err)
	}
}

func put(f fstest.MapFS, short, all string) {
	f[Checkpoint], f[All] = &fstest.MapFile{Data: []byte(short)}, &fstest.MapFile{Data: []byte(all)}
}

func turn(f fstest.MapFS, path, from, to string) {
	f[path].Data = []byte(strings.Replace(string(f[path].Data), from, to, 1))
}

func flip(f fstest.MapFS, path string) { f[path].Data[5] ^= 1 }

func TestReadingOneResource(t *testing.T) {
	town, _ := long(t)
	size := federation.Size(&town.Log)
	for _, tile := range tlog.Tiles(size) {
		if raw, err := Read(&town.Log, tile.Path()); err != nil || len(raw) == 0 {
			t.Error(tile.Path(), err)
		}
	}
	for path, want := range map[string]error{
		"tile/0/000.p/255": nil, "tile/0/002": federation.ErrNotFound, "tile/1/000.p/2": federation.ErrNotFound,
		"tile/5/000.p/1": federation.ErrNotFound, "tile/lines/001": federation.ErrNotFound,
		"tile/0/x999/x999/x999/999": federation.ErrNotFound, "checkpoint": tlog.ErrTile, "tile/9/000": tlog.ErrTile, "": tlog.ErrTile,
	} {
		if _, err := Read(&town.Log, path); !errors.Is(err, want) {
			t.Errorf("%q: %v", path, err)
		}
	}
}
