//go:build unix

package checkup

import (
	"io/fs"
	"os"
	"syscall"
)

// FreeBytes are those that this account may still take.
func FreeBytes(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}

func openFiles() (uint64, bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true
}

// owned finds what belongs to another account. root may do everything, and
// what it looks at is some service's.
func owned(path string, info fs.FileInfo) Report {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() == 0 || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return Report{strange(path)}
}
