package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coulisse/deploy/load"
	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/importer"
	"coulisse/protocol"
)

// tokenised is a member that has its people tokenised, from the start of its
// process to the last token, by two of three stewards; each is a process.
type tokenised struct {
	people    int
	wall      time.Duration
	idle      float64 // of all cores' time, which others may have used too
	processes []usage
	// estimate compares the time left that the node said in the middle of the
	// run with what it took: the median, and the worst either way.
	estimate, low, high float64
	// profiles as text
	member, steward string
}

const (
	tokenisedPeople = 200_000
	largestMember   = 3_000_000
)

// measureTokenising runs it. The coordinator is the shipped binary; nodes are
// this program in the role of one, since theirs is to be profiled.
func measureTokenising(t *testing.T, people int) (r tokenised) {
	t.Helper()
	r.people = people
	profiles := t.TempDir()
	t.Run("a member has its people tokenised", func(t *testing.T) { r.run(t, profiles) })
	if t.Failed() {
		t.FailNow()
	}
	r.member = mustTop(t, filepath.Join(profiles, "member.prof"))
	r.steward = mustTop(t, filepath.Join(profiles, r.busiest()+".prof"))
	return r
}

func (r *tokenised) run(t *testing.T, profiles string) {
	f := newTokenising(t, r.people)
	program := buildProgram(t)
	var all []*process
	for i := range 3 {
		name := fmt.Sprintf("replique-%d", i+1)
		all = append(all, start(t, name, program, "coordinator", "serve", filepath.Join(f.Dir, "coordinator", name)))
	}
	for _, m := range f.Members[1:] {
		all = append(all, startNode(t, m, profiles))
		asks := api.NewClient(m.Folder.Socket())
		f.Eventually(string(m.ID)+" ready", func() bool {
			status, err := asks.Status(t.Context())
			return err == nil && status.Tokens.Epoch != 0
		})
	}
	for _, process := range all {
		process.reset(t)
	}
	r.follow(t, api.NewClient(f.Members[0].Folder.Socket()), append(all, startNode(t, f.Members[0], profiles)))
}

// newTokenising founds the federation, elects the stewards, and gives the member
// people that it asks nobody about yet.
func newTokenising(t *testing.T, people int) *rehearsal.Federation {
	t.Helper()
	f := rehearsal.FoundIn(t, rehearsal.Setting{Charter: rehearsal.Charter()}, "member", "steward-1", "steward-2", "steward-3")
	var csv strings.Builder
	invented := func(yield func(load.Person) bool) {
		for id := 0; id < people && yield(load.Person(id)); id++ {
		}
	}
	if err := load.WritePeople(&csv, 1, invented); err != nil {
		t.Fatal(err)
	}
	member := f.Members[0]
	f.Import(member, importer.People, csv.String())
	var roll protocol.StewardRoll
	for _, m := range f.Members[1:] {
		roll.Members = append(roll.Members, m.ID)
	}
	roll.Threshold = 2
	id := f.Propose(protocol.Effect{ElectStewards: &roll})
	f.Vote(member, id, protocol.For)
	f.StopNode(member)
	for _, m := range f.Members[1:] {
		f.Vote(m, id, protocol.For)
	}
	f.Decided(id)
	for _, m := range f.Members[1:] {
		f.Eventually("the key at "+string(m.ID), func() bool {
			status, err := m.Node.Status(t.Context())
			return err == nil && status.Tokens.Epoch != 0
		})
	}
	for _, m := range f.Members[1:] {
		f.StopNode(m)
	}
	for i := range 3 {
		f.StopReplica(i)
	}
	return f
}

func startNode(t *testing.T, m *rehearsal.Member, profiles string) *process {
	t.Helper()
	args, err := json.Marshal(job{Folder: m.Folder.Dir, Profile: filepath.Join(profiles, string(m.ID)+".prof")})
	if err != nil {
		t.Fatal(err)
	}
	return start(t, string(m.ID), "env", "BENCH_ROLE=node", "BENCH_ARGS="+string(args), os.Args[0])
}

// serveNode is a node, until it is told to end.
func serveNode(j job) (r report, err error) {
	ctx, end := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer end()
	stop, err := profile(j.Profile)
	if err != nil {
		return r, err
	}
	defer stop()
	folder, err := node.Open(j.Folder)
	if err != nil {
		return r, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	n, err := node.New(ctx, node.Config{Folder: folder, Logger: logger})
	if err != nil {
		return r, err
	}
	listener, err := api.Listen(folder.Socket())
	if err != nil {
		return r, errors.Join(err, n.Close())
	}
	answered := make(chan error, 1)
	go func() { answered <- api.Serve(ctx, listener, n, logger) }()
	return r, errors.Join(n.Run(ctx), <-answered, n.Close())
}

// moment is what the node said of its progress.
type moment struct {
	at   time.Time
	done int64
	left time.Duration
}

// follow looks at the member until everybody has a token.
func (r *tokenised) follow(t *testing.T, asks *api.Client, all []*process) {
	t.Helper()
	began, rested := time.Now(), idling(t)
	var said []moment
	for done := int64(0); done < int64(r.people); {
		time.Sleep(500 * time.Millisecond) // between two looks at it
		status, err := asks.Status(t.Context())
		if err != nil {
			if time.Since(began) > time.Minute && done == 0 {
				t.Fatalf("the member does not answer: %v", err)
			}
			continue
		}
		done = status.Tokens.Done
		said = append(said, moment{time.Now(), done, time.Duration(status.Tokens.Left) * time.Millisecond})
	}
	r.wall = time.Since(began)
	r.idle = (idling(t) - rested).Seconds() / r.wall.Seconds() / float64(runtime.NumCPU())
	for _, process := range all {
		r.processes = append(r.processes, process.used(t))
	}
	r.judge(said)
	t.Logf("%d people in %s, %.0f %% idle; %.2f, %.2f to %.2f of the time left", r.people, r.wall, 100*r.idle, r.estimate, r.low, r.high)
	for _, u := range r.processes {
		t.Logf("%-12s %6.1f µs CPU, %5.0f B read, %5.0f B written a person, %d MiB", u.Name, float64(u.CPU.Microseconds())/float64(r.people),
			float64(u.Read)/float64(r.people), float64(u.Written)/float64(r.people), u.Peak>>20)
	}
}

// idling is how long this machine's cores have had nothing to do.
func idling(t *testing.T) time.Duration {
	line, _, _ := strings.Cut(read(t, "/proc/stat"), "\n")
	return time.Duration(number(strings.Fields(line)[4])) * 10 * time.Millisecond
}

// judge holds what was said in the middle half of the run against what followed.
func (r *tokenised) judge(said []moment) {
	end := said[len(said)-1].at
	var ratios []float64
	for _, m := range said {
		if share := float64(m.done) / float64(r.people); share >= 0.25 && share <= 0.75 {
			ratios = append(ratios, m.left.Seconds()/end.Sub(m.at).Seconds())
		}
	}
	if len(ratios) == 0 {
		return // it was over before anybody looked
	}
	slices.Sort(ratios)
	r.low, r.estimate, r.high = ratios[0], ratios[len(ratios)/2], ratios[len(ratios)-1]
}

func (r *tokenised) busiest() string {
	stewards := slices.DeleteFunc(slices.Clone(r.processes), func(u usage) bool { return !strings.HasPrefix(u.Name, "steward") })
	return slices.MaxFunc(stewards, func(a, b usage) int { return int(a.CPU - b.CPU) }).Name
}

// TestTokeniseSmall is the same in small, in every run of the tests.
func TestTokeniseSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts seven processes")
	}
	measureTokenising(t, 5_000).sayTokenising(t.Logf)
}
