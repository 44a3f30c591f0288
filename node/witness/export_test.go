package witness

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// BreakFile puts a file that cannot be written in the place of the log's.
func (w *Witness) BreakFile() {
	file, err := os.Open(filepath.Join(w.dir, fileLog)) // read only
	if err != nil {
		panic(err)
	}
	w.file.Close()
	w.file = file
}

// MendFile undoes BreakFile.
func (w *Witness) MendFile(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(w.dir, fileLog), os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	w.file = file
}

// SetClock gives the witness another clock.
func (w *Witness) SetClock(now time.Time) { w.now = func() time.Time { return now } }

// Abandon is the sudden end of its process.
func (w *Witness) Abandon() { w.file.Close() }

// Covered is how many entries its snapshot covers.
func (w *Witness) Covered() int64 { return w.snapshots.covered }

// Differs names a key under which two witnesses have not the same.
func (w *Witness) Differs(other *Witness) string {
	difference := ""
	compare := func(a, b *Witness) {
		a.memory.Ascend("", func(key, value string) bool {
			if theirs, ok := b.memory.Get(key); !ok || theirs != value {
				difference = key
			}
			return difference == ""
		})
	}
	compare(w, other)
	compare(other, w)
	return difference
}

// AnotherBuild makes the program another one until the test ends.
func AnotherBuild(t *testing.T) {
	before := program
	program = func() (string, error) { return os.DevNull, nil }
	t.Cleanup(func() { program = before })
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
