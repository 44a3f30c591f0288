package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// program builds the program as a stranger does, once.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("the demonstration starts ten processes")
	}
	if built.path == "" && built.err == nil {
		built.build()
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

var built building

type building struct {
	dir, path string
	err       error
}

func (b *building) build() {
	if b.dir, b.err = os.MkdirTemp("", "coulisse-built-"); b.err != nil {
		return
	}
	path := filepath.Join(b.dir, "coulisse")
	build := exec.Command("go", "build", "-o", path, "coulisse")
	if said, err := build.CombinedOutput(); err != nil {
		b.err = errors.New("go build coulisse: " + string(said))
		return
	}
	b.path = path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// limit is several times what a whole story takes on two busy cores.
const limit = 4 * time.Minute

// limited is a test's context, which ends a story that hangs with a word on it.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("the demonstration is not over after %s", limit))
	t.Cleanup(cancel)
	return ctx
}

// play runs the demonstration and requires that it comes to its end.
func play(t *testing.T, o Options) (Outcome, string) {
	t.Helper()
	var told bytes.Buffer
	o.Program, o.Out = program(t), &told
	if testing.Verbose() {
		o.Out = io.MultiWriter(&told, os.Stdout)
	}
	outcome, err := Run(limited(t), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	return outcome, told.String()
}

// compare holds an outcome against the truth. The noise of a sound federation
// is beyond six standard deviations once in five hundred million runs, so a
// failure is not bad luck; the labels are exact.
func compare(t *testing.T, o Outcome) {
	t.Helper()
	size := o.Result.Size
	if size.Suppressed != "" {
		t.Fatalf("the size is not published (%s), where %d people are true", size.Suppressed, o.Truth)
	}
	sigma := math.Sqrt(float64(size.Variance))
	if off := math.Abs(float64(size.Value - int64(o.Truth))); off > 6*sigma {
		t.Errorf("the federation found %d people and %d are true: %.1f standard deviations", size.Value, o.Truth, off/sigma)
	}
	if o.Labels != o.TrueLabels {
		t.Errorf("the newspaper learnt %+v, and %+v is true", o.Labels, o.TrueLabels)
	}
	for _, part := range o.Result.Sources {
		if part.Source != protocol.SourceName(newspaper) {
			continue
		}
		sigma := math.Sqrt(float64(part.Figure.Variance))
		if off := math.Abs(float64(part.Figure.Value - int64(o.TrueLabels.Pooled))); part.Figure.Suppressed == "" && off > 6*sigma {
			t.Errorf("the newspaper's part is %d, and %d is true", part.Figure.Value, o.TrueLabels.Pooled)
		}
	}
}

// The demonstration tells its whole story, in both languages, and leaves
// nothing behind.
func TestStory(t *testing.T) {
	for _, lang := range []string{"fr", "en"} {
		t.Run(lang, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			outcome, told := play(t, Options{Lang: lang, Dir: dir})
			compare(t, outcome)
			if exists(dir) {
				t.Error("the folder is still there")
			}
			for _, line := range strings.Split(told, "\n") {
				if length(line) > widest && !strings.Contains(line, "./coulisse ") {
					t.Errorf("a line of %d characters: %s", length(line), line)
				}
				if strings.Contains(line, "%!") || strings.Contains(line, "\x1b") {
					t.Errorf("badly written: %q", line)
				}
			}
		})
	}
}

// A replica that loses its power between any two steps, and comes back, stops
// nothing.
func TestReplicasFallInTurn(t *testing.T) {
	turn := 0
	outcome, _ := play(t, Options{Lang: "en", Between: func(step string, f *Federation) error {
		if f.Replicas[0].Pid() == 0 {
			return nil // none has started
		}
		replica := f.Replicas[turn%len(f.Replicas)]
		turn++
		f.Kill(replica)
		return f.Start(replica)
	}})
	compare(t, outcome)
	if turn < 9 {
		t.Errorf("only %d falls", turn)
	}
}

// The leader loses its power in the middle of a vote, and the next one in the
// middle of the audience, when uploads are under way. Each stays away until the
// act is over: two replicas of three go on.
func TestLeaderFallsInTheMiddle(t *testing.T) {
	var leader *Process
	fallen := make(chan error, 1)
	outcome, _ := play(t, Options{Lang: "fr", Between: func(step string, f *Federation) (err error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		switch step {
		case "policies":
			leader, err = leading(ctx, f)
			go func() {
				defer cancel()
				fallen <- errors.Join(ballotsComeIn(ctx, f), killed(f, leader))
			}()
			return err
		case "pool/run":
			leader, err = leading(ctx, f)
			go func() {
				defer cancel()
				fallen <- errors.Join(uploadsComeIn(ctx, f), killed(f, leader))
			}()
			return err
		case "pool/propose":
			err = errors.Join(<-fallen, f.Start(leader))
		case "check":
			err = <-fallen
		}
		cancel()
		return err
	}})
	compare(t, outcome)
}

func leading(ctx context.Context, f *Federation) (leader *Process, err error) {
	err = await(ctx, func(ctx context.Context) (bool, error) {
		leader, err = f.Leader(ctx)
		return leader != nil, err
	})
	return leader, err
}

func killed(f *Federation, p *Process) error {
	f.Kill(p)
	return nil
}

// ballotsComeIn returns when a vote is open and some have voted.
func ballotsComeIn(ctx context.Context, f *Federation) error {
	return await(ctx, func(ctx context.Context) (bool, error) {
		list, err := f.ask(newspaper).Proposals(ctx)
		return len(list) > 0 && list[0].State == federation.ProposalOpen && list[0].Tally.For > 0, err
	})
}

// uploadsComeIn returns when some sources of a round have sent theirs.
func uploadsComeIn(ctx context.Context, f *Federation) error {
	var round protocol.RoundID
	err := await(ctx, func(ctx context.Context) (bool, error) {
		list, err := f.ask(newspaper).Audiences(ctx)
		if len(list) > 0 {
			round = list[0].Round
		}
		return len(list) > 0, err
	})
	if err != nil {
		return err
	}
	errNow := errors.New("now")
	err = f.ask(newspaper).Follow(ctx, string(round), func(r node.RoundProgress) error {
		if r.Uploaded > 0 && r.Uploaded < r.Sources {
			return errNow
		}
		return nil
	})
	if errors.Is(err, errNow) {
		return nil
	}
	return errors.Join(err, errors.New("the round was over before the leader could fall"))
}

// A process that stops by itself ends the story with its last words, and the
// rest of it.
func TestFallenNodeEndsTheStory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	_, err := Run(limited(t), Options{Dir: dir, Program: program(t), Out: io.Discard, Between: func(step string, f *Federation) error {
		if step != "import" {
			return nil
		}
		process, err := os.FindProcess(f.Nodes[3].Pid())
		if err != nil {
			return err
		}
		return process.Kill()
	}})
	var fallen *FallenError
	var coded interface{ ExitCode() int }
	if !errors.As(err, &fallen) || fallen.Name != "moulin-vert" || len(fallen.Last) == 0 || !errors.As(err, &coded) || coded.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if exists(dir) {
		t.Error("the folder is still there")
	}
}

// TestFindingsFit checks the last table as it is one time in twenty.
func TestFindingsFit(t *testing.T) {
	for _, lang := range []string{"fr", "en"} {
		for name, size := range map[string]protocol.Figure{
			"missed": {Value: 123_456, Low: 123_400, High: 123_500}, "withheld": {Suppressed: protocol.BelowFloor},
		} {
			var out strings.Builder
			s := &story{screen: newScreen(&out, lang), outcome: Outcome{Truth: 1280}}
			s.outcome.Result = protocol.Result{Size: size, Sources: []protocol.SourceFigure{{Source: protocol.SourceName(newspaper), Figure: size}}}
			s.screen.table(s.findings())
			for _, line := range strings.Split(out.String(), "\n") {
				if length(line) > widest {
					t.Errorf("%s, %s: a line of %d characters: %s", lang, name, length(line), line)
				}
			}
		}
	}
}
