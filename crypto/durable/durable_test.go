package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func write(t *testing.T, path, content string) *File {
	t.Helper()
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	return f
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("it holds %q, not %q: %v", got, want, err)
	}
}

func TestTheOldOrTheNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "settings")
	for _, content := range []string{"", "old"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, content)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	f := write(t, path, "new")
	holds(t, path, "old")
	// What a crash would leave here is told from a file by its name.
	if left := names(t, dir); len(left) != 2 || !IsTemporary(left[0]) || IsTemporary(left[1]) {
		t.Errorf("beside it: %v", left)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new")
	if err := f.Commit(); err == nil {
		t.Error("committed twice")
	}
	f = write(t, path, "unwanted")
	f.Discard()
	f.Discard()
	if err := f.Commit(); err == nil {
		t.Error("a discarded file was committed")
	}
	holds(t, path, "new")
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestANameThatIsTaken(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "backup")
	f := write(t, path, "first")
	if err := f.CommitNew(); err != nil {
		t.Fatal(err)
	}
	f = write(t, path, "second")
	if err := f.CommitNew(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it replaced a file: %v", err)
	}
	f.Discard()
	holds(t, path, "first")
	if left := names(t, dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "by a folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(taken, []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if err := WriteFile(filepath.Join(dir, "nowhere", "x"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if left := names(t, dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

func TestIsTemporary(t *testing.T) {
	for _, name := range []string{"share.age", "x.tmp", ".hidden", "log.db"} {
		if IsTemporary(name) {
			t.Errorf("%s is taken for a file that was not finished", name)
		}
	}
}
