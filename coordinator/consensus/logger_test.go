package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestRaftLogsThroughSlog(t *testing.T) {
	var out bytes.Buffer
	handler := slog.NewJSONHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	var l hclog.Logger = newRaftLogger(slog.New(handler), new(atomic.Bool))
	l.Debug("not shown", "x", 1)
	l.Named("net").With("peer", "b").Warn("slow", "for", hclog.Fmt("%d s", 3), "error", errors.New("late"), "odd")
	l.StandardLogger(nil).Print("plain")
	want := `{"level":"WARN","msg":"slow","peer":"b","part":"raft.net","for":"3 s","error":"late","extra":"odd"}
{"level":"INFO","msg":"plain"}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if l.IsDebug() || !l.IsInfo() || l.GetLevel() != hclog.Info {
		t.Error("the level is not slog's")
	}
}

// The end of a connection is no error, a peer that cannot be reached is one
// unless this replica is stopping, and a failing disk always is.
func TestAnOrderlyStopLogsNoError(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, c := range []struct {
		err             error
		running, ending string
	}{
		{io.EOF, "DEBUG", "DEBUG"},
		{fmt.Errorf("read: %w", net.ErrClosed), "DEBUG", "DEBUG"},
		{refused, "ERROR", "DEBUG"},
		{io.ErrUnexpectedEOF, "ERROR", "DEBUG"},
		{&fs.PathError{Op: "write", Path: "log.db", Err: syscall.ENOSPC}, "ERROR", "ERROR"},
	} {
		var ending atomic.Bool
		for _, want := range []string{c.running, c.ending} {
			var out bytes.Buffer
			l := newRaftLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), &ending)
			l.Named("net").Error("failed to decode incoming command", "error", c.err)
			if !strings.Contains(out.String(), "level="+want+" ") {
				t.Errorf("%v, stopping %v: %s", c.err, ending.Load(), out.String())
			}
			ending.Store(true)
		}
	}
}
