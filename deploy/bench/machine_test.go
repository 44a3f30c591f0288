package bench

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// machine is where and when it was measured.
type machine struct {
	CPU, Memory, Kernel, Go, Commit, Load, Day string
	Cores                                      int
	// hashing is what one core hashes of 64-byte blocks in a second, and copying
	// what it copies in memory, in bytes: the limits that a round could reach.
	hashing, copying float64
}

func lookAround(t *testing.T) machine {
	t.Helper()
	m := machine{Go: runtime.Version(), Cores: runtime.NumCPU(), Day: time.Now().UTC().Format(time.DateOnly)}
	m.CPU = strings.TrimSpace(after(t, "/proc/cpuinfo", "model name", ":"))
	m.Memory = fmt.Sprintf("%.0f GiB", float64(field(read(t, "/proc/meminfo"), "MemTotal:"))/(1<<20))
	m.Kernel = strings.TrimSpace(read(t, "/proc/sys/kernel/osrelease"))
	m.Load = strings.Join(strings.Fields(read(t, "/proc/loadavg"))[:3], " ")
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		t.Fatal(err)
	}
	m.Commit = strings.TrimSpace(string(out))
	m.hashing, m.copying = hashing(), copying()
	return m
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func after(t *testing.T, path, name, sign string) string {
	t.Helper()
	_, rest, _ := strings.Cut(read(t, path), name)
	_, rest, _ = strings.Cut(rest, sign)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// best is the most that a second saw of a few: others use the machine too.
func best(bytes int, work func()) float64 {
	most := 0.0
	for range 10 {
		began := time.Now()
		work()
		most = max(most, float64(bytes)/time.Since(began).Seconds())
	}
	return most
}

func hashing() float64 {
	block := make([]byte, 64<<20)
	return best(len(block), func() { sha256.Sum256(block) })
}

func copying() float64 {
	from, to := make([]byte, 256<<20), make([]byte, 256<<20)
	return best(len(from), func() { copy(to, from) })
}
