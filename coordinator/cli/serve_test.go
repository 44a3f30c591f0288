package cli

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coulisse/protocol"
)

// run runs the program and wants it to succeed.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// healthy waits until the replica says that it is well.
func healthy(t *testing.T, address string) {
	t.Helper()
	for range 400 {
		reply, err := http.Get("http://" + address + "/healthz")
		if err == nil {
			reply.Body.Close()
			if reply.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the replica never was well")
}

// measured looks for a figure of the replica's.
func measured(t *testing.T, address, line string) {
	t.Helper()
	reply, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK || !strings.Contains(string(text), "\n"+line+"\n") {
		t.Errorf("GET /metrics: status %d, no line %q in %d bytes, %v", reply.StatusCode, line, len(text), err)
	}
}

// What systemd does to a service: start, watch, SIGTERM; and what a power cut
// does: SIGKILL, then start again.
func TestServeUnderSignals(t *testing.T) {
	dir, health := t.TempDir(), freeAddress(t)
	run(t, dir, "coulisse", "coordinator", "init", "co", "--namespace", "culture", "--replica", "r1="+freeAddress(t))
	run(t, dir, "founders", "card", "alpha", "beta", "gamma")
	run(t, dir, "coulisse", "charter", "draft", "--coordinator", "co/coordinator.json", "alpha.card.json", "beta.card.json", "gamma.card.json")
	run(t, dir, "founders", "assent", "genesis.json", "alpha", "beta", "gamma")
	run(t, dir, "coulisse", "charter", "found", "genesis.json", "alpha.assent.json", "beta.assent.json", "gamma.assent.json")
	for i, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.Command("coulisse", "coordinator", "serve", filepath.Join("co", "r1"), "--health", health)
		if i == 0 {
			cmd.Args = append(cmd.Args, "--founding", "founding.json")
		}
		var log bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		healthy(t, health)
		measured(t, health, `coulisse_raft_state{state="leader"} 1`)
		run(t, dir, "coulisse", "coordinator", "token", "alpha", "--dir", "co/operator")
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); (err == nil) == (signal == syscall.SIGKILL) {
			t.Fatalf("after %v: %v\n%s", signal, err, &log)
		}
	}
	if _, err := readFile[protocol.Founding](filepath.Join(dir, "co/operator/founding.json")); err != nil {
		t.Error("the office did not keep the founding:", err)
	}
}
