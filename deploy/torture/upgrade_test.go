//go:build unix

package torture

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// envOlder tells the program of a version to come where its predecessor is.
const envOlder = "TORTURE_OLDER"

// election bounds how long one may hold members up on a busy machine.
const election = 5 * time.Second

// TestUpgrade upgrades replica after replica by one version, and downgrades
// them again, while members vote. The version to come is another build of this
// test, which differs in the rules that it knows; it does the rest itself,
// since its members have to know them too.
func TestUpgrade(t *testing.T) {
	if older := os.Getenv(envOlder); older != "" {
		upgrade(t, older)
		return
	}
	newer := filepath.Join(t.TempDir(), "torture.test")
	build := exec.Command("go", "test", "-c", "-tags", "nextrules", "-o", newer, ".")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the version to come does not build: %s", said)
	}
	test := exec.Command(newer, "-test.v", "-test.run=^TestUpgrade$", "-test.timeout=3m")
	test.Env = append(os.Environ(), envOlder+"="+os.Args[0])
	said, err := test.CombinedOutput()
	t.Logf("%s", said)
	must(t, err)
}

func upgrade(t *testing.T, older string) {
	tw := &town{t: t, plain: true, program: older}
	tw.found(3)
	newer, b := os.Args[0], newBoard(len(tw.members))
	for _, way := range []struct {
		name, program string
		rules         int
	}{{"up", newer, governance.Rules}, {"down", older, governance.Rules - 1}, {"up again", newer, governance.Rules}} {
		began := time.Now()
		tw.vote(b, func() {
			for i := range tw.replicas {
				tw.replace(i, way.program, way.rules)
			}
		})
		t.Logf("%s: %s for three replicas", way.name, time.Since(began).Round(10*time.Millisecond))
	}
	gap, _ := tw.history.gap()
	t.Logf("longest time without an acknowledgement: %s", gap.Round(10*time.Millisecond))
	if gap > election {
		t.Errorf("nothing was acknowledged for %s", gap)
	}
	tw.raise(b, older, newer)
	all := tw.settle()
	for i := range all {
		tw.compare(i, all[0].LogSize)
	}
	n, ballots := tw.checkAcknowledged(all[0].LogSize), tw.checkVotes(b)
	t.Logf("%d documents acknowledged, %d ballots in %d votes", n, ballots, len(b.cast))
}

// vote has the members vote while something is done, and a little longer.
func (tw *town) vote(b *board, do func()) {
	tw.t.Helper()
	ctx, cancel := context.WithTimeout(tw.t.Context(), time.Minute)
	defer cancel()
	b.reopen()
	var work sync.WaitGroup
	for i := range tw.members {
		work.Go(func() { tw.work(ctx, b, i, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	do()
	pause(ctx, time.Second)
	b.close()
	work.Wait()
	if !b.done() {
		tw.t.Error("the members could not finish their votes")
	}
}

// replace stops a replica as an upgrade does, and waits for the other program
// to have caught up.
func (tw *town) replace(i int, program string, rules int) {
	tw.t.Helper()
	r := tw.replicas[i]
	r.end(syscall.SIGTERM)
	r.program = program
	must(tw.t, r.start())
	ctx, cancel := context.WithTimeout(tw.t.Context(), 20*time.Second)
	defer cancel()
	for goal := tw.members[0].witness.Size(); ctx.Err() == nil; pause(ctx, 50*time.Millisecond) {
		if s := tw.office.Status(ctx)[i]; s.Error == "" && s.Rules == rules && s.LogSize >= goal {
			return
		}
	}
	tw.t.Fatalf("%s does not come up with rules %d: %s", r.id, rules, lastOf(r.dir+".log"))
}

// raise puts the newer rules in force. One replica is then downgraded: it says
// why it does not go on, and the two others do.
func (tw *town) raise(b *board, older, newer string) {
	t := tw.t
	t.Helper()
	roll, err := tw.office.RaiseRules(t.Context())
	must(t, err)
	if roll.Rules != governance.Rules {
		t.Errorf("rules %d are in force", roll.Rules)
	}
	tw.vote(b, func() {})
	r, fell := tw.replicas[0], make(chan error, 1)
	r.end(syscall.SIGTERM)
	r.fallen = func(_ protocol.ReplicaID, err error) { fell <- err }
	r.program = older
	must(t, r.start())
	select {
	case err := <-fell:
		if err == nil {
			t.Error("an older replica ends as if all were well")
		}
	case <-time.After(20 * time.Second):
		t.Error("an older replica goes on under rules that it does not know")
	}
	log, err := os.ReadFile(r.dir + ".log")
	must(t, err)
	if words := "this version knows rules 1 only; upgrade it, nothing is lost"; !strings.Contains(string(log), words) {
		t.Errorf("an older replica does not say “%s”: %s", words, lastOf(r.dir+".log"))
	}
	tw.vote(b, func() {}) // without it
	r.fallen = func(id protocol.ReplicaID, err error) { t.Errorf("replica %s ended by itself: %v", id, err) }
	tw.replace(0, newer, governance.Rules)
}
