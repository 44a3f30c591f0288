package demo

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Linux tells both figures in files; elsewhere there are none, and both are
// unknown.

// peakMemory is the most that a process has held at once, in bytes; 0 if that
// is not known.
func peakMemory(pid int) int64 {
	value := field(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:")
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// loopbackBytes is what this machine has sent to itself since it started; 0 if
// that is not known.
func loopbackBytes() int64 {
	received, _, _ := strings.Cut(field("/proc/net/dev", "lo:"), " ")
	n, err := strconv.ParseInt(received, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// field is what follows a name at the beginning of a line; "" if no line
// begins so.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
