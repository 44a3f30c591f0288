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
	"strings"
	"sync"
	"testing"
	"time"
)

// crashDirectory names the environment variable that makes this test binary the
// child of [TestAcknowledgedSurvivesKill].
const crashDirectory = "COULISSE_CONSENSUS_CRASH"

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
		acknowledged = append(acknowledged, untilKilled(t, dir)...)
	}
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
	if len(acknowledged) < 100 {
		t.Error("the children did too little to tell anything")
	}
}

// untilKilled runs a child for a random while after its first acknowledgement
// and returns all of them.
func untilKilled(t *testing.T, dir string) (acknowledged []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashDirectory+"="+dir)
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
		if len(acknowledged) == 0 {
			timer.Reset(rand.N(400 * time.Millisecond))
		}
		acknowledged = append(acknowledged, command)
	}
	timer.Stop()
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
