package bench

import (
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
)

// profile writes a CPU profile of what follows, if it is wanted.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); file.Close() }, nil
}

// top is a profile as text: the functions in which the time is, by the names
// that the profile has; those of the stripped test program would be others.
func top(path string) (string, error) {
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=16", "-symbolize=none", path).Output()
	if err != nil {
		return "", err
	}
	_, table, _ := strings.Cut(string(out), "Duration:")
	return "Duration:" + strings.TrimRight(table, "\n"), nil
}
