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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
