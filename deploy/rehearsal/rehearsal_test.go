package rehearsal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/node/importer"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/record"
)

// public is an invented public: which people bought at which house.
type public struct {
	bought map[protocol.MemberID][]int
	reads  []int
}

// invent gives each of n people to some houses; a fifth of them read the paper.
func invent(n int, houses ...protocol.MemberID) public {
	p := public{bought: map[protocol.MemberID][]int{}}
	random := rand.New(rand.NewPCG(1, 2))
	for person := range n {
		for _, h := range houses {
			if random.IntN(3) == 0 {
				p.bought[h] = append(p.bought[h], person)
			}
		}
		if random.IntN(5) == 0 {
			p.reads = append(p.reads, person)
		}
	}
	return p
}

func address(person int) string { return fmt.Sprintf("personne.%d@example.org", person) }

func (p public) tickets(h protocol.MemberID) string {
	var csv strings.Builder
	csv.WriteString("email,order,event,discipline,venue,date,quantity,amount,pooling,activation\n")
	for i, person := range p.bought[h] {
		fmt.Fprintf(&csv, "%s,%d,Soir,Danse contemporaine,Salle,2026-03-0%d,2,40.00,yes,yes\n", address(person), i, 1+i%9)
	}
	return csv.String()
}

func (p public) readers() string {
	var csv strings.Builder
	csv.WriteString("email,pooling,activation\n")
	for _, person := range p.reads {
		fmt.Fprintf(&csv, "%s,yes,yes\n", address(person))
	}
	return csv.String()
}

// atLeast is the truth, by brute force.
func (p public) atLeast(t int) map[int]bool {
	count := map[int]int{}
	for _, people := range p.bought {
		for _, person := range people {
			count[person]++
		}
	}
	truth := map[int]bool{}
	for person, houses := range count {
		if houses >= t {
			truth[person] = true
		}
	}
	return truth
}

var houses = []protocol.MemberID{"agora", "moulin", "phare", "theatre"}

// stage is a federation that is ready for a round.
func stage(t *testing.T, people public) *rehearsal.Federation {
	t.Helper()
	f := rehearsal.Found(t, append(slices.Clone(houses), "journal")...)
	fill(f, people)
	prepare(f)
	return f
}

func fill(f *rehearsal.Federation, people public) {
	for _, m := range f.Members {
		if m.ID == "journal" {
			f.Import(m, importer.People, people.readers())
		} else {
			f.Import(m, importer.Tickets, people.tickets(m.ID))
		}
	}
}

// prepare has the members vote for what a round needs.
func prepare(f *rehearsal.Federation) {
	f.Decide(protocol.Effect{ElectStewards: &protocol.StewardRoll{Members: houses[:3], Threshold: 2}})
	for _, shipped := range policies.Shipped() {
		f.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: shipped.Name, Text: shipped.Text}})
	}
}

func audience() draft.Audience {
	return draft.Audience{
		Title:      protocol.Text{FR: "Amateurs de danse", EN: "Dance lovers"},
		Definition: &protocol.Definition{Name: "danse", Title: protocol.Text{FR: "Danse", EN: "Dance"}, Disciplines: []string{"dance.contemporary"}},
		Houses:     draft.Houses{All: true},
		Rule:       draft.Rule{AtLeast: 2},
		Recipients: []protocol.MemberID{"journal"},
	}
}

// run has the first member propose a round and waits until it ended.
func run(t *testing.T, f *rehearsal.Federation, a draft.Audience) (protocol.RoundID, node.RoundProgress) {
	t.Helper()
	id := propose(t, f, a)
	return id, ended(t, f, id)
}

func propose(t *testing.T, f *rehearsal.Federation, a draft.Audience) protocol.RoundID {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := f.Members[0].Node.DraftAudience(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Members[0].Node.RunAudience(ctx, d.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ended(t *testing.T, f *rehearsal.Federation, id protocol.RoundID) (last node.RoundProgress) {
	t.Helper()
	f.Eventually("the end of the round", func() bool {
		page, err := f.Members[0].Node.Round(t.Context(), string(id))
		if err != nil {
			return false
		}
		last = page.RoundProgress
		return last.Stage.Ended()
	})
	return last
}

func TestPooledAudience(t *testing.T) {
	people := invent(2000, houses...)
	f := stage(t, people)
	id, end := run(t, f, audience())
	if end.Stage != federation.Closed {
		t.Fatalf("the round ended %s: %s", end.Stage, end.Reason.EN)
	}
	checkSize(t, end, people)
	checkLabels(t, f, id, people)
	checkExport(t, f, id)
}

// checkSize: sigma is 20, so a sound result is more than 6 sigma off once in
// 500 million runs.
func checkSize(t *testing.T, end node.RoundProgress, people public) {
	t.Helper()
	truth := int64(len(people.atLeast(2)))
	if end.Size == nil || end.Size.Suppressed != "" {
		t.Fatal("no size was published")
	}
	if off := end.Size.Value - truth; off < -120 || off > 120 {
		t.Errorf("published %d, the truth is %d", end.Size.Value, truth)
	}
	t.Logf("published %d [%d, %d], truth %d", end.Size.Value, end.Size.Low, end.Size.High, truth)
}

// checkLabels: a recipient learns exactly who of its own belongs.
func checkLabels(t *testing.T, f *rehearsal.Federation, id protocol.RoundID, people public) {
	t.Helper()
	truth, want := people.atLeast(2), []string{}
	for _, person := range people.reads {
		if truth[person] {
			want = append(want, address(person))
		}
	}
	paper := f.Members[len(f.Members)-1].Node
	labelled, err := paper.LabelledPeople(context.Background(), string(id))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for who, err := range labelled {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, who.Reveal())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the recipient got %d labels, the truth is %d", len(got), len(want))
	}
}

func checkExport(t *testing.T, f *rehearsal.Federation, id protocol.RoundID) {
	t.Helper()
	files, err := f.Members[2].Node.ExportAudience(context.Background(), string(id))
	if err != nil {
		t.Fatal(err)
	}
	statement, err := record.Verify(f.ID, files.Proof.Content, files.CSV, files.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if statement.Manifest.Round != id || len(statement.Accepted) != len(f.Members) {
		t.Error("the record is of another round, or lacks an acknowledgement")
	}
	altered := files.CSV
	altered.Content = append(slices.Clone(altered.Content), '\n')
	if _, err := record.Verify(f.ID, files.Proof.Content, altered, files.JSON); err == nil {
		t.Error("an altered file was verified")
	}
}
