package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// usage is what a process has used between two looks.
type usage struct {
	Name    string
	CPU     time.Duration
	Peak    int64 // bytes resident at most
	Read    int64 // bytes read and written by it, from and to files and sockets
	Written int64
}

// process is a child that serves until the test ends.
type process struct {
	name  string
	cmd   *exec.Cmd
	since usage
}

// buildProgram builds the shipped binary.
func buildProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coulisse")
	if out, err := exec.Command("go", "build", "-o", path, "coulisse").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func start(t *testing.T, name, program string, args ...string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own
	p := &process{name: name, cmd: exec.Command(program, args...)}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended, which Wait tells
		if err := p.cmd.Wait(); err != nil {
			text, _ := os.ReadFile(log.Name())
			t.Errorf("%s: %v\n%s", name, err, text[max(0, len(text)-2000):])
		}
	})
	return p
}

// reset begins a measurement.
func (p *process) reset(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(p.proc("clear_refs"), []byte("5"), 0); err != nil {
		t.Fatal(err) // the peak would be an earlier one
	}
	p.since = p.look(t)
}

// used is what it has used since.
func (p *process) used(t *testing.T) usage {
	t.Helper()
	now := p.look(t)
	now.CPU -= p.since.CPU
	now.Read -= p.since.Read
	now.Written -= p.since.Written
	return now
}

func (p *process) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, file)
}

func (p *process) look(t *testing.T) usage {
	t.Helper()
	read := func(file string) string {
		text, err := os.ReadFile(p.proc(file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	stat := strings.Fields(read("stat")[strings.LastIndex(read("stat"), ")"):])
	ticks := number(stat[12]) + number(stat[13]) // utime, stime; 10 ms each
	io, status := read("io"), read("status")
	return usage{
		Name: p.name, CPU: time.Duration(ticks) * 10 * time.Millisecond,
		Peak: field(status, "VmHWM:") << 10, Read: field(io, "rchar:"), Written: field(io, "wchar:"),
	}
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic("/proc has no number where it was: " + text)
	}
	return n
}

func field(text, name string) int64 {
	_, after, _ := strings.Cut(text, name)
	return number(strings.Fields(after)[0])
}

// child runs this program again in another role, and returns what it printed.
// What the kernel says of the memory of a child is not asked for: it counts its
// parent's, before it was another program.
func child(t *testing.T, role string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BENCH_ROLE="+role, "BENCH_ARGS="+strings.Join(args, "\n"))
	var said, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &trouble
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", role, err, trouble.String())
	}
	return said.Bytes()
}
