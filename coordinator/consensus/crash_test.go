package consensus

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crashDirectory names the environment variable that makes this test binary the
// child of [TestAcknowledgedSurvivesKill].
const crashDirectory = "COULISSE_CONSENSUS_CRASH"

// crashBoundary has the child die when it has reached a [boundary] so many
// times: "12 after entries are on disk".
const crashBoundary = "COULISSE_CONSENSUS_CRASH_AT"

// dieAt kills this process at a boundary.
func dieAt(where string) {
	count, name, _ := strings.Cut(where, " ")
	left, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return
	}
	var remaining atomic.Int64
	remaining.Store(left)
	reach = func(b boundary) {
		if string(b) == name && remaining.Add(-1) == 0 {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			fmt.Println("error", err)
			select {} // nothing happens after the boundary
		}
	}
}

// quick is a timing for replicas in one process.
var quick = Timing{
	Heartbeat: 50 * time.Millisecond, Election: 50 * time.Millisecond, Lease: 40 * time.Millisecond, Commit: 5 * time.Millisecond,
	SnapshotCheck: 30 * time.Millisecond, SnapshotAfter: 100, Trailing: 20,
}

// threeReplicas runs a coordinator in one process until stop is called.
func threeReplicas(dir string, timing Timing, halt func(error)) (nodes []*Node, states []*ledger, stop func(), err error) {
	net, peers := newNetwork(), []Peer{{"replica-a", "a:1"}, {"replica-b", "b:1"}, {"replica-c", "c:1"}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	stop = func() { cancel(); running.Wait() }
	for _, p := range peers {
		state := &ledger{}
		n, err := New(Config{
			ID: p.ID, Dir: filepath.Join(dir, string(p.ID)), Peers: peers, Streams: net.listen(p.Address),
			State: state, Logger: slog.New(slog.DiscardHandler), Timing: timing, Halt: halt,
		})
		if err != nil {
			stop()
			return nil, nil, nil, err
		}
		nodes, states = append(nodes, n), append(states, state)
		running.Go(func() { n.Run(ctx) })
	}
	return nodes, states, stop, nil
}

// crashingChild applies numbered commands and prints each one once it is
// acknowledged, until it is killed.
func crashingChild(dir string) {
	dieAt(os.Getenv(crashBoundary))
	nodes, _, _, err := threeReplicas(dir, quick, nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	leaders := make(chan *Node)
	for _, n := range nodes {
		go n.RunAsLeader(context.Background(), func(ctx context.Context) { leaders <- n; <-ctx.Done() })
	}
	for leader := range leaders {
		run := time.Now().UnixNano()
		var clients sync.WaitGroup
		for client := range 8 {
			clients.Go(func() {
				for i := 0; ; i++ {
					command := fmt.Sprintf("%d-%d-%d", run, client, i)
					if _, _, err := leader.Apply(context.Background(), []byte(command)); err != nil {
						return
					}
					fmt.Printf("done %s\n", command) // one write: never torn
				}
			})
		}
		clients.Wait()
	}
}

// TestAcknowledgedSurvivesKill kills a process with three replicas in it, again
// and again, and looks for every command that it had acknowledged.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for range 6 {
		acknowledged = append(acknowledged, untilKilled(t, dir, "")...)
	}
	verifyKept(t, dir, acknowledged)
	if len(acknowledged) < 100 {
		t.Error("the children did too little to tell anything")
	}
}

// TestAcknowledgedSurvivesKillAtEveryBoundary has the process die exactly where
// a crash could leave half of something done, early in its life and later.
func TestAcknowledgedSurvivesKillAtEveryBoundary(t *testing.T) {
	for _, b := range []boundary{
		beforeEntries, afterEntries, beforeStable, afterStable, beforeSnapshot, afterSnapshot, beforeExecuted, afterExecuted,
	} {
		t.Run(string(b), func(t *testing.T) {
			dir, acknowledged := t.TempDir(), []string{}
			rare := b == beforeStable || b == afterStable || b == beforeSnapshot || b == afterSnapshot
			if rare { // something to lose, before it dies in an election
				acknowledged = untilKilled(t, dir, "")
			}
			for run := range 3 {
				times := 1 + rand.N(4)
				if !rare && run > 0 {
					times = 1 + rand.N(400)
				}
				acknowledged = append(acknowledged, untilKilled(t, dir, fmt.Sprintf("%d %s", times, b))...)
			}
			verifyKept(t, dir, acknowledged)
		})
	}
}

// verifyKept starts the replicas again and looks for every command, once.
func verifyKept(t *testing.T, dir string, acknowledged []string) {
	t.Helper()
	nodes, states, stop, err := threeReplicas(dir, quick, func(reason error) { t.Errorf("halted: %v", reason) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	reader := awaitReader(t, nodes)
	kept := states[slices.Index(nodes, reader)].commands()
	t.Logf("%d acknowledged, %d kept", len(acknowledged), len(kept))
	found := map[string]int{}
	for _, command := range kept {
		found[command]++
	}
	for _, command := range acknowledged {
		if found[command] != 1 {
			t.Fatalf("command %s was acknowledged and is there %d times", command, found[command])
		}
	}
}

// untilKilled runs a child for a random while after its first acknowledgement,
// or until it dies at a boundary, and returns what it has acknowledged.
func untilKilled(t *testing.T, dir, at string) (acknowledged []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDirectory+"="+dir, crashBoundary+"="+at)
	var complaints bytes.Buffer
	child.Stderr = &complaints
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { child.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		command, ok := strings.CutPrefix(lines.Text(), "done ")
		if !ok {
			t.Errorf("the child says %q", lines.Text())
		}
		if len(acknowledged) == 0 && at == "" {
			timer.Reset(rand.N(400 * time.Millisecond))
		}
		acknowledged = append(acknowledged, command)
	}
	if !timer.Stop() && at != "" {
		t.Errorf("the child never died %s", at)
	}
	child.Wait()
	if complaints.Len() > 0 {
		t.Errorf("the child died of something else: %s", &complaints)
	}
	return acknowledged
}

func awaitReader(t testing.TB, nodes []*Node) *Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		for _, n := range nodes {
			if n.Read(ctx) == nil {
				return n
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	t.Fatalf("no leader: %+v", func() (all []Status) {
		for _, n := range nodes {
			all = append(all, n.Status())
		}
		return all
	}())
	return nil
}
