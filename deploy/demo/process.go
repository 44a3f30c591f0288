package demo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child that serves until it is told to stop: a replica of the
// coordinator, or a member's node.
type Process struct {
	Name string
	// Log is the file that its standard error goes to.
	Log  string
	args []string

	// mu guards the running child and its past.
	mu    sync.Mutex
	child *child
	peak  int64 // memory of those that have ended
}

// child is one life of a process.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how, once it has
	// told says that it was asked to end.
	told bool
}

// FallenError is a process that ended without being told to.
type FallenError struct {
	Name string
	Log  string
	Last []string // lines of its log
	Err  error
}

// Error implements error.
func (e *FallenError) Error() string {
	return fmt.Sprintf("%s stopped by itself: %v", e.Name, e.Err)
}

// ExitCode is the demonstration's own, whatever the process's was.
func (e *FallenError) ExitCode() int { return 1 }

// errEnded: the process ended as if it had nothing more to do.
var errEnded = errors.New("it ended without an error")

// start runs the process. fallen hears of its end if nobody told it to.
func (p *Process) start(s *starter, program, dir string, env []string, fallen func(error)) error {
	log, err := os.OpenFile(filepath.Join(dir, p.Log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(program, p.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, env, log, log, apart()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && !p.child.ended() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	if err := s.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.child = &child{cmd: cmd, done: make(chan struct{})}
	go p.watch(p.child, filepath.Join(dir, p.Log), fallen)
	return nil
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (p *Process) watch(c *child, log string, fallen func(error)) {
	err := c.cmd.Wait()
	p.mu.Lock()
	told := c.told
	c.err = err
	p.mu.Unlock()
	close(c.done)
	if !told {
		fallen(&FallenError{Name: p.Name, Log: p.Log, Last: lastLines(log), Err: cmp.Or(err, errEnded)})
	}
}

// end tells the process to end, and returns its life; nil if it has none.
func (p *Process) end(signal os.Signal) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.child
	if c == nil || c.ended() {
		return nil
	}
	p.peak = max(p.peak, peakMemory(c.cmd.Process.Pid))
	c.told = true
	_ = c.cmd.Process.Signal(signal) // it may have ended meanwhile
	return c
}

// kill ends the process as a power cut would.
func (p *Process) kill() {
	if c := p.end(os.Kill); c != nil {
		<-c.done
	}
}

// stop lets the process finish what it is doing, but not for ever.
func (p *Process) stop(patience time.Duration) {
	var signal os.Signal = syscall.SIGTERM
	if runtime.GOOS == "windows" {
		signal = os.Kill // there is no other
	}
	c := p.end(signal)
	if c == nil {
		return
	}
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill() // it may have ended meanwhile
		<-c.done
	}
}

// Pid is the process's number; 0 when it does not run.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil || p.child.ended() {
		return 0
	}
	return p.child.cmd.Process.Pid
}

// Peak is the most memory that it has held, in bytes; 0 if that is not known.
func (p *Process) Peak() int64 {
	pid := p.Pid()
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.peak, peakMemory(pid))
}

// What is kept of a log must fit a message to people.
const (
	lastKept  = 8
	lastBytes = 1000
)

// lastLines reads the end of a log.
func lastLines(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	content = bytes.TrimSpace(content[max(0, len(content)-lastBytes):])
	if len(content) == 0 {
		return nil
	}
	lines := strings.Split(string(content), "\n")
	return lines[max(0, len(lines)-lastKept):]
}

// starter starts every child from one thread that lives as long as it does:
// the kernel ends a child with the thread that started it, not with the
// process, and Go ends threads as it likes.
type starter struct {
	wanted chan func()
	closed chan struct{}
}

var errClosed = errors.New("the demonstration is over")

func newStarter() *starter {
	s := &starter{wanted: make(chan func()), closed: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for {
			select {
			case start := <-s.wanted:
				start()
			case <-s.closed:
				return
			}
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	select {
	case s.wanted <- func() { started <- cmd.Start() }:
		return <-started
	case <-s.closed:
		return errClosed
	}
}

// close ends the thread, and whatever it started that still runs.
func (s *starter) close() { close(s.closed) }
