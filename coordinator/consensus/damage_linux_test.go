package consensus

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestAFailedSyncHalts has the system fail under bbolt: the writes are taken by
// /dev/null, which cannot be synced, or refused by /dev/full, which has no room.
func TestAFailedSyncHalts(t *testing.T) {
	for _, device := range []string{"/dev/null", "/dev/full"} {
		t.Run(device, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			var reason error
			s, err := openStore(path, time.Minute, func(r error) { reason = r })
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.SetUint64([]byte(keyTerm), 1), s.StoreLogs(entries(1, 3, 1))); err != nil {
				t.Fatal(err)
			}
			back := replaceFile(t, path, device)
			err = s.StoreLogs(entries(4, 4, 1))
			if !errors.Is(err, ErrHalted) || !errors.Is(reason, ErrHalted) {
				t.Errorf("returned %v, halted for %v", err, reason)
			}
			t.Log(reason)
			back()
			if err := s.SetUint64([]byte(keyTerm), 2); !errors.Is(err, ErrHalted) {
				t.Errorf("a write after a failed sync: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again := testStore(t, path)
			defer again.Close()
			if first, last := bounds(t, again); first != 1 || last != 3 {
				t.Errorf("entries %d to %d are there", first, last)
			}
			if term, err := again.GetUint64([]byte(keyTerm)); term != 1 || err != nil {
				t.Errorf("term %d, %v", term, err)
			}
		})
	}
}

// replaceFile puts a device under every descriptor that this process has of a
// file, until back is called.
func replaceFile(t *testing.T, path, device string) (back func()) {
	t.Helper()
	other, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		t.Skip("this system has no ", device)
	}
	defer other.Close()
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var of []int
	for _, d := range descriptors {
		fd, err := strconv.Atoi(d.Name())
		if err != nil {
			t.Fatal(err)
		}
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", d.Name())); err == nil && target == path {
			of = append(of, fd)
		}
	}
	own := map[int]int{} // a copy of each
	for _, fd := range of {
		if own[fd], err = syscall.Dup(fd); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Dup3(int(other.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	if len(own) == 0 {
		t.Fatalf("%s is not open", path)
	}
	return func() {
		for fd, kept := range own {
			if err := syscall.Dup3(kept, fd, syscall.O_CLOEXEC); err != nil {
				t.Error(err)
			}
			syscall.Close(kept)
		}
	}
}
