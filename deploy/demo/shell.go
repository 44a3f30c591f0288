package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// shell runs the commands of members and of the co-operative's office, and
// keeps a list of them for whoever wants to do the same by hand.
type shell struct {
	dir     string // where they are run
	program string
	env     []string
	starter *starter

	// mu guards the list.
	mu   sync.Mutex
	list *os.File
	last string
}

// The names of the list of commands, and of the program in the demonstration's
// folder, where the commands are run.
const (
	fileCommands = "commands.txt"
	fileProgram  = "coulisse"
)

// CommandError is a command that did not succeed: it refused, or failed.
type CommandError struct {
	Line string // as one types it
	Exit int    // 1 refused or failed, 2 wrongly used
	Said string // on its standard error
}

// Error implements error.
func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.Line, e.Exit, strings.TrimSpace(e.Said))
}

func newShell(dir, program, lang string, s *starter) (*shell, error) {
	list, err := os.OpenFile(filepath.Join(dir, fileCommands), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	// A short name for the commands to try; without it they are longer.
	_ = os.Symlink(program, filepath.Join(dir, fileProgram))
	return &shell{dir: dir, program: program, env: environment(lang), starter: s, list: list}, nil
}

// environment is the user's, in the demonstration's language, without what
// would send a command elsewhere.
func environment(lang string) []string {
	env := []string{"LC_ALL=" + text("fr_CA.UTF-8", "en_CA.UTF-8").In(lang)}
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "COULISSE_") && !strings.HasPrefix(entry, "LC_ALL=") {
			env = append(env, entry)
		}
	}
	return env
}

func (s *shell) close() error { return s.list.Close() }

// patience is how long a command that was interrupted may take to end.
const patience = 3 * time.Second

// run runs a command to its end and returns what it printed. Lines of its
// standard error go to heard, if given, as they come.
func (s *shell) run(ctx context.Context, heard func(string), args ...string) (string, error) {
	line := s.line(args)
	if err := s.note(line); err != nil {
		return "", err
	}
	return s.quietly(ctx, heard, line, args)
}

// into runs a command and puts what it printed into a file.
func (s *shell) into(ctx context.Context, file string, args ...string) error {
	line := s.line(args)
	if err := s.note(line + " > " + quoted(file)); err != nil {
		return err
	}
	out, err := s.quietly(ctx, nil, line, args)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, file), []byte(out), 0o600)
}

func (s *shell) quietly(ctx context.Context, heard func(string), line string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, s.env, apart()
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, patience
	var out bytes.Buffer
	said := &listener{heard: heard}
	cmd.Stdout, cmd.Stderr = &out, said
	if err := s.starter.start(cmd); err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	err := cmd.Wait()
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.As(err, &failed):
		return out.String(), &CommandError{Line: line, Exit: failed.ExitCode(), Said: said.all.String()}
	case err != nil:
		return "", fmt.Errorf("%s: %w", line, err)
	}
	return out.String(), nil
}

// note adds a line to the list, unless it says the same as the one before.
func (s *shell) note(line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line == s.last {
		return nil
	}
	s.last = line
	_, err := fmt.Fprintln(s.list, line)
	return err
}

// line is a command as one types it in the demonstration's folder.
func (s *shell) line(args []string) string {
	words := []string{"./" + fileProgram}
	for _, arg := range args {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// quoted is an argument as a shell reads it.
func quoted(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// listener keeps what a command says, and passes each line on when it is whole.
// A line that is written over, after a carriage return, counts as one.
type listener struct {
	heard func(string)
	all   bytes.Buffer
	line  []byte
}

// most bytes that are kept of what a command says.
const maxSaid = 64 << 10

// Write implements io.Writer.
func (l *listener) Write(p []byte) (int, error) {
	l.all.Write(p[:min(len(p), max(0, maxSaid-l.all.Len()))])
	for _, c := range p {
		if c != '\n' && c != '\r' {
			l.line = append(l.line, c)
			continue
		}
		if l.heard != nil && len(l.line) > 0 {
			l.heard(string(l.line))
		}
		l.line = l.line[:0]
	}
	return len(p), nil
}
