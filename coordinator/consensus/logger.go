package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// raftLogger hands what raft logs to slog, at the same level, values as
// attributes; but that a connection ended is not an error, since replicas stop
// and start, and what is wrong with one that stays away raft says by itself.
type raftLogger struct {
	to      *slog.Logger
	ending  *atomic.Bool // this replica is stopping
	name    string
	implied []any
}

func newRaftLogger(to *slog.Logger, ending *atomic.Bool) *raftLogger {
	return &raftLogger{to: to, ending: ending, name: "raft"}
}

// ended reports whether an error only says that a connection is over or, while
// this replica is stopping, that one cannot be had: its peers may be stopping
// too.
func (l *raftLogger) ended(err error) bool {
	for _, end := range []error{net.ErrClosed, io.EOF, raft.ErrTransportShutdown, raft.ErrRaftShutdown} {
		if errors.Is(err, end) {
			return true
		}
	}
	var network *net.OpError // net.Error would be a full disk too
	return l.ending.Load() && (errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF))
}

// levelOf is where a message belongs.
func (l *raftLogger) levelOf(level hclog.Level, args []any) hclog.Level {
	if level != hclog.Error {
		return level
	}
	for _, arg := range args {
		if err, ok := arg.(error); ok && l.ended(err) {
			return hclog.Debug
		}
	}
	return level
}

func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Info, hclog.NoLevel:
		return slog.LevelInfo
	case hclog.Debug:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}

func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	ctx, at := context.Background(), slogLevel(l.levelOf(level, args))
	if level == hclog.Off || !l.to.Enabled(ctx, at) {
		return
	}
	attrs := make([]any, 0, len(args)+1)
	attrs = append(attrs, slog.String("part", l.name))
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			attrs = append(attrs, slog.String("extra", printable(args[i])))
			break
		}
		attrs = append(attrs, slog.String(fmt.Sprint(args[i]), printable(args[i+1])))
	}
	l.to.Log(ctx, at, msg, attrs...)
}

// printable renders a value now: raft passes pointers to structures that it goes
// on changing, and a handler may walk them later.
func printable(v any) string {
	if f, ok := v.(hclog.Format); ok && len(f) > 0 {
		if format, ok := f[0].(string); ok {
			return fmt.Sprintf(format, f[1:]...)
		}
	}
	return fmt.Sprint(v)
}

func (l *raftLogger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLogger) enabled(level hclog.Level) bool {
	return l.to.Enabled(context.Background(), slogLevel(level))
}

func (l *raftLogger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *raftLogger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *raftLogger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *raftLogger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *raftLogger) IsError() bool { return l.enabled(hclog.Error) }

func (l *raftLogger) ImpliedArgs() []any { return l.implied }
func (l *raftLogger) Name() string       { return l.name }

func (l *raftLogger) With(args ...any) hclog.Logger {
	attrs := make([]any, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		attrs = append(attrs, slog.String(fmt.Sprint(args[i]), printable(args[i+1])))
	}
	return &raftLogger{l.to.With(attrs...), l.ending, l.name, append(l.implied[:len(l.implied):len(l.implied)], args...)}
}

func (l *raftLogger) Named(name string) hclog.Logger { return l.ResetNamed(l.name + "." + name) }

func (l *raftLogger) ResetNamed(name string) hclog.Logger {
	return &raftLogger{l.to, l.ending, name, l.implied}
}

// SetLevel does nothing: slog's handler decides.
func (l *raftLogger) SetLevel(hclog.Level) {}

func (l *raftLogger) GetLevel() hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn} {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Error
}

func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.to.Handler(), slog.LevelInfo)
}

func (l *raftLogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(o).Writer()
}
