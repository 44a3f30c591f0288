//go:build unix

package torture

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/consensus"
	"coulisse/protocol"
)

// timing bears 200 ms each way, and elects within two seconds.
var timing = consensus.Timing{
	Heartbeat: 600 * time.Millisecond, Election: 600 * time.Millisecond, Lease: 500 * time.Millisecond,
	Commit: 5 * time.Millisecond, Exchange: 3 * time.Second,
	SnapshotCheck: 20 * time.Second, SnapshotAfter: 1500, Trailing: 1000,
}

// How this test's own program is told to be a replica.
const (
	envDir      = "TORTURE_REPLICA_DIR"
	envListen   = "TORTURE_REPLICA_LISTEN"
	envFounding = "TORTURE_REPLICA_FOUNDING"
	envClock    = "TORTURE_REPLICA_CLOCK"
)

func TestMain(m *testing.M) {
	if os.Getenv(envDir) != "" {
		if err := beReplica(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beReplica is the child: it serves until SIGTERM. Each line of its input says
// how many milliseconds its clock is ahead; its input ends with the parent.
func beReplica() error {
	text, err := os.ReadFile(os.Getenv(envFounding))
	if err != nil {
		return err
	}
	founding, err := protocol.DecodeFile[protocol.Founding](text)
	if err != nil {
		return err
	}
	var ahead atomic.Int64
	set := func(ms string) {
		if n, err := strconv.ParseInt(ms, 10, 64); err == nil {
			ahead.Store(n)
		}
	}
	set(os.Getenv(envClock))
	// Until the replica has looked at its clock a jump would be a clock that is
	// wrong from the start. Two of those, alike, are a majority, and are believed.
	looked, look := context.WithCancel(context.Background())
	go func() {
		<-looked.Done()
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			set(lines.Text())
		}
		os.Exit(3)
	}()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	replica, err := coordinator.Open(coordinator.Config{
		Dir: os.Getenv(envDir), Listen: os.Getenv(envListen), Founding: &founding, Version: "torture", Timing: timing,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Now: func() time.Time {
			defer look()
			return time.Now().Add(time.Duration(ahead.Load()) * time.Millisecond)
		},
	})
	if err != nil {
		return err
	}
	return replica.Run(ctx)
}

// replica is a child process, in as many lives as it takes.
type replica struct {
	id                    protocol.ReplicaID
	dir, listen, founding string
	program               string // this one if empty
	// fallen hears of a life that ended without being told to.
	fallen func(protocol.ReplicaID, error)

	// mu guards the present life.
	mu    sync.Mutex
	cmd   *exec.Cmd // nil while it does not run
	clock io.WriteCloser
	ended chan struct{}
	told  bool
	ahead time.Duration
}

func (r *replica) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		return nil
	}
	log, err := os.OpenFile(r.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(cmp.Or(r.program, os.Args[0]))
	cmd.Env = append(os.Environ(), envDir+"="+r.dir, envListen+"="+r.listen, envFounding+"="+r.founding,
		fmt.Sprintf("%s=%d", envClock, r.ahead.Milliseconds()))
	cmd.Stdout, cmd.Stderr = log, log
	if r.clock, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", r.id, err)
	}
	r.cmd, r.told, r.ended = cmd, false, make(chan struct{})
	go r.watch(cmd, r.ended)
	return nil
}

func (r *replica) watch(cmd *exec.Cmd, ended chan struct{}) {
	err := cmd.Wait()
	r.mu.Lock()
	told := r.told
	r.cmd = nil
	r.mu.Unlock()
	if !told {
		r.fallen(r.id, err)
	}
	close(ended)
}

// end ends the process with a signal, and waits for it.
func (r *replica) end(signal syscall.Signal) {
	r.mu.Lock()
	if r.cmd == nil {
		r.mu.Unlock()
		return
	}
	r.told = true
	_ = r.cmd.Process.Signal(signal) // it may have ended meanwhile
	process, ended := r.cmd.Process, r.ended
	r.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		_ = process.Kill()
		<-ended
	}
}

// signal freezes the process, or lets it go on.
func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(s)
	}
}

// jump puts the replica's clock so far ahead of the machine's.
func (r *replica) jump(ahead time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead = ahead
	if r.cmd != nil {
		fmt.Fprintln(r.clock, ahead.Milliseconds())
	}
}
