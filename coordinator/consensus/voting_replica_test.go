//go:build linux

package consensus_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/protocol"
)

// Names of environment variables that make this test binary a replica, and
// have it write a profile of its processor time.
const (
	replicaFolder  = "COULISSE_BENCH_REPLICA"
	replicaProfile = "COULISSE_BENCH_PROFILE" // a folder
)

func init() {
	if dir := os.Getenv(replicaFolder); dir != "" {
		if err := serveReplica(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// serveReplica runs a replica until the standard input ends.
func serveReplica(dir string) error {
	act, err := os.ReadFile(filepath.Join(dir, "..", "founding.json"))
	if err != nil {
		return err
	}
	founding, err := protocol.Decode[protocol.Founding](act)
	if err != nil {
		return err
	}
	if folder := os.Getenv(replicaProfile); folder != "" {
		file, err := os.Create(filepath.Join(folder, filepath.Base(dir)+".prof"))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r, err := coordinator.Open(coordinator.Config{
		Dir: dir, Founding: &founding, Version: "test",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends
		cancel()
	}()
	return r.Run(ctx)
}

// replica is a replica's process.
type replica struct {
	*exec.Cmd
	stdin io.Closer
}

func startReplica(b *testing.B, dir string) *replica {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaFolder+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return &replica{cmd, stdin}
}

// time is the processor time that the process has used: fields 14 and 15 of
// proc_pid_stat(5), in hundredths of a second.
func (r *replica) time() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.Process.Pid))
	if err != nil {
		return 0 // it has ended, which the calls to it will tell
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
