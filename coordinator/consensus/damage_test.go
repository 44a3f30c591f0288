package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestDamageAnywhereInTheFolder changes the files of whole replicas, one place
// at a time, and starts each: it says what is wrong, or has all that it had.
// One of the replicas has taken in a snapshot of the leader, and nothing since.
func TestDamageAnywhereInTheFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, smallSnapshots)
		leader := c.leader()
		lagging := c.others(leader)[0]
		for i := range 50 {
			c.apply(leader, strings.Repeat("x", i))
		}
		c.isolate(lagging)
		for i := range 60 {
			c.apply(leader, strings.Repeat("y", i))
		}
		c.await("a log that begins after the other's", func() bool { return leader.Status().First > lagging.Status().Last })
		c.join(lagging)
		want := c.converge()
		dirs := []string{leader.cfg.Dir, lagging.cfg.Dir}
		c.stopAll()
		random, found := rand.New(rand.NewPCG(5, 6)), map[bool]int{}
		for n := range 400 {
			copied := filepath.Join(t.TempDir(), fmt.Sprint(n))
			if err := os.CopyFS(copied, os.DirFS(dirs[n%2])); err != nil {
				t.Fatal(err)
			}
			what := spoil(t, copied, random)
			found[detected(t, copied, what, want)]++
			os.RemoveAll(copied)
		}
		t.Logf("%d of 400 were found, %d did no harm", found[true], found[false])
		if found[true] == 0 || found[false] == 0 {
			t.Error("the damage tells nothing")
		}
	})
}

// spoil damages one file, in one of the ways that disks do.
func spoil(t *testing.T, dir string, random *rand.Rand) (what string) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	path := files[random.IntN(len(files))]
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := random.IntN(len(raw))
	for raw[at] == 0 && random.IntN(20) > 0 { // much is unused
		at = random.IntN(len(raw))
	}
	switch random.IntN(4) {
	case 0:
		what, raw = "cut", raw[:max(at, 1)]
	case 1:
		what = "a lost sector"
		start := at &^ 511
		clear(raw[start:min(start+512, len(raw))])
	default:
		what, raw[at] = "a bit", raw[at]^1<<random.IntN(8)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s at %d of %s", what, at, strings.TrimPrefix(path, dir))
}

// detected starts a replica in the folder, alone, and reports whether it refused.
// If not, its snapshot and its log must be what was agreed on.
func detected(t *testing.T, dir, what string, want []string) bool {
	t.Helper()
	n, err := New(Config{ID: "replica-x", Dir: dir, Streams: newNetwork().listen("x:1"), State: &ledger{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
		return true
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	var kept ledger
	if err := Salvage(dir, &kept, func() error { return nil }); err != nil {
		t.Errorf("%s: it opened, and then: %v", what, err)
		return true
	}
	if got := kept.commands(); !slices.Equal(got, want) {
		t.Errorf("%s: it goes on with %d commands instead of %d", what, len(got), len(want))
	}
	return false
}
