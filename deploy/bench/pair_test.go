package bench

import (
	"context"
	"crypto/sha512"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/deploy/load"
	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/importer"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// pair is two members who match all their people, each process on its own.
type pair struct {
	f     *rehearsal.Federation
	sizes [2]int // of their people; a tenth of the smaller are at both
	all   []*process
	asks  *api.Client
}

// pairRun is one round, from "run" to the published result.
type pairRun struct {
	wall      time.Duration
	stages    []stage
	processes []usage
	size      protocol.Figure
}

type stage struct {
	name string
	at   time.Duration
}

func (p *pair) shared() int { return min(p.sizes[0], p.sizes[1]) / 10 }

// people of a member: the second has the last of the first's and others.
func (p *pair) people(member int) iter.Seq[load.Person] {
	from := member * (p.sizes[0] - p.shared())
	return func(yield func(load.Person) bool) {
		for id := from; id < from+p.sizes[member]; id++ {
			if !yield(load.Person(id)) {
				return
			}
		}
	}
}

const pairPolicy = `@id("bench") @fr("Tout membre peut mesurer.") @en("Every member may measure.")
permit (principal is Member, action in [Action::"match", Action::"activate"], resource is Federation);`

// newPair founds the federation, gives the two their people and their tokens,
// and starts every party in a process.
func newPair(t *testing.T, sizes [2]int) *pair {
	t.Helper()
	charter := rehearsal.Charter()
	charter.Floors.MinParticipants = 2
	charter.Budget.Total = 10_000_000_000
	p := &pair{sizes: sizes}
	p.f = rehearsal.FoundIn(t, rehearsal.Setting{Charter: charter}, "alpha", "beta", "gamma")
	for i, m := range p.f.Members[:2] {
		var csv strings.Builder
		if err := load.WritePeople(&csv, 1, p.people(i)); err != nil {
			t.Fatal(err)
		}
		p.f.Import(m, importer.People, csv.String())
	}
	p.f.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "bench", Text: pairPolicy}})
	p.f.Decide(protocol.Effect{ElectStewards: &protocol.StewardRoll{Members: []protocol.MemberID{"alpha", "beta", "gamma"}, Threshold: 2}})
	var epoch protocol.Epoch
	for _, m := range p.f.Members {
		p.f.Eventually("the key at "+string(m.ID), func() bool {
			status, err := m.Node.Status(t.Context())
			epoch = status.Tokens.Epoch
			return err == nil && epoch != 0
		})
	}
	for _, m := range p.f.Members {
		p.f.StopNode(m)
	}
	for i := range 3 {
		p.f.StopReplica(i)
	}
	for _, m := range p.f.Members[:2] {
		fillCache(t, m.Folder.Dir, epoch)
	}
	p.startAll(t)
	return p
}

// fillCache gives everybody a token that depends on the identifier and nothing
// else, as a steward's does.
func fillCache(t *testing.T, dir string, epoch protocol.Epoch) {
	t.Helper()
	identity, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "tokens")); err != nil { // those that the stewards have begun
		t.Fatal(err)
	}
	cache, err := tokens.OpenCache(filepath.Join(dir, "tokens"), identity, epoch)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	house, err := warehouse.Open(t.Context(), warehouse.Config{Path: filepath.Join(dir, "warehouse.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	defer house.Close()
	var ids []warehouse.PersonID
	var made []oprf.Token
	put := func() {
		if err := cache.Put(cache.Sequence(), ids, made); err != nil {
			t.Fatal(err)
		}
		ids, made = ids[:0], made[:0]
	}
	for person, err := range house.Persons(t.Context(), protocol.PurposePooling, 0) {
		if err != nil {
			t.Fatal(err)
		}
		ids, made = append(ids, person.ID), append(made, oprf.Token(sha512.Sum512([]byte(person.Identifier.Reveal()))))
		if len(ids) == protocol.MaxBatch {
			put()
		}
	}
	put()
}

// startAll starts the shipped binary for every party and waits until all of them
// are ready for a round.
func (p *pair) startAll(t *testing.T) {
	t.Helper()
	program := buildProgram(t)
	for i := range 3 {
		name := fmt.Sprintf("replique-%d", i+1)
		p.all = append(p.all, start(t, name, program, "coordinator", "serve", filepath.Join(p.f.Dir, "coordinator", name)))
	}
	for _, m := range p.f.Members {
		p.all = append(p.all, start(t, string(m.ID), program, "node", "serve", "--dir", m.Folder.Dir))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, m := range p.f.Members {
		c := api.NewClient(filepath.Join(m.Folder.Dir, "node.sock"))
		p.f.Eventually(string(m.ID)+" ready", func() bool {
			status, err := c.Status(ctx)
			return err == nil && status.Tokens.Epoch != 0 && status.Tokens.Done == status.Tokens.Total
		})
	}
	p.asks = api.NewClient(filepath.Join(p.f.Members[0].Folder.Dir, "node.sock"))
}

// run has the first member ask how many people both know; the second is told
// which of its own.
func (p *pair) run(t *testing.T) (r pairRun) {
	t.Helper()
	d, err := p.asks.Draft(t.Context(), []byte(`{title: {fr: Tous, en: All}, definition: {}, houses: [alpha, beta],
		rule: {at_least: 2}, recipients: [beta], noise: {total: 400, sources: 1600}, deadline: 10m}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range p.all {
		process.reset(t)
	}
	began := time.Now()
	id, err := p.asks.Run(t.Context(), d.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	err = p.asks.Follow(t.Context(), string(id), func(now node.RoundProgress) error {
		if at := time.Since(began); !slices.ContainsFunc(r.stages, func(s stage) bool { return s.name == string(now.Stage) }) {
			r.stages = append(r.stages, stage{string(now.Stage), at})
		}
		if now.Stage == federation.Published && r.wall == 0 {
			r.wall = time.Since(began)
			for _, process := range p.all {
				r.processes = append(r.processes, process.used(t))
			}
		}
		if now.Size != nil {
			r.size = *now.Size
		}
		return nil
	})
	if err != nil || r.wall == 0 {
		t.Fatalf("no result was published: %v, %+v", err, r.stages)
	}
	return r
}
