package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"

	"github.com/anishathalye/porcupine"
)

var floors = protocol.Floors{MinMembers: 3, MinParticipants: 3, MinSize: 60, MinVariance: 200, MaxRoundCost: 10_000_000}

// enrolAll gives every founder its certificate.
func (c *cluster) enrolAll() (clients []*client) {
	c.t.Helper()
	for _, m := range c.members {
		clients = append(clients, c.enrol(m))
	}
	return clients
}

func TestAVoteIsClosedWhenEverybodyHasVoted(t *testing.T) {
	c := found(t, 3)
	c.decide(c.enrolAll(), protocol.Effect{SetFloors: &floors})
	view, err := federation.View(c.log())
	if err != nil || view.Charter.Floors != floors {
		t.Fatal("the decision changed nothing:", err)
	}
}

func TestAVoteIsClosedWhenItsTimeIsUp(t *testing.T) {
	c := found(t, 3)
	clients := c.enrolAll()
	id := c.open(clients, protocol.Effect{SetFloors: &floors})
	for _, p := range clients[:2] {
		vote(p, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))
	}
	c.ahead.Add(int64(25 * time.Hour))
	log := c.until("the vote is closed", func(log *federation.Memory) bool { return len(federation.Decisions(log, 0)) == 1 })
	if d := federation.Decisions(log, 0)[0]; !d.Carried || d.Tally.For != 2 {
		t.Fatalf("the decision: %+v", d.Tally)
	}
}

// A ballot that was acknowledged is in the log, whoever leads next.
func TestNoBallotIsLostWithTheLeader(t *testing.T) {
	c := found(t, 5)
	clients := c.enrolAll()
	var ids []protocol.Hash
	for range 8 {
		id := protocol.ID(c.id, vote(clients[0], c.proposal(fmt.Sprint("Proposition ", len(ids)), protocol.Effect{SetFloors: &floors})))
		vote(clients[1], protocol.Cosign{Proposal: id})
		ids = append(ids, id)
	}
	head, leader := c.head(), c.leader()
	var voting sync.WaitGroup
	half := make(chan struct{}, len(clients)*len(ids))
	for _, p := range clients {
		voting.Go(func() {
			for _, id := range ids {
				s := sign(c, p.member, p.member.Vote, head, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.Against}))
				if _, err := send(p, s); err != nil {
					t.Errorf("a ballot of %s: %v", p.member.ID, err)
				}
				half <- struct{}{}
			}
		})
	}
	for range cap(half) / 3 {
		<-half
	}
	c.stop(leader)
	voting.Wait()
	log := c.until("every vote is closed", func(log *federation.Memory) bool { return len(federation.Decisions(log, 0)) == len(ids) })
	for _, d := range federation.Decisions(log, 0) {
		if d.Tally.Against != len(clients) {
			t.Errorf("decision %d counts %+v", d.Number, d.Tally)
		}
	}
	// It comes back and catches up.
	if err := c.start(leader); err != nil {
		t.Fatal(err)
	}
	c.settle()
	all := c.status()
	for _, s := range all[1:] {
		if s.GetLogRoot() != all[0].GetLogRoot() || s.GetStateHash() != all[0].GetStateHash() {
			t.Errorf("%s and %s do not agree", s.GetReplica(), all[0].GetReplica())
		}
	}
}

// operation is what porcupine sees: a submission, or a look at the log.
type operation struct {
	document string // "" for a look
}

// answered is where a document went, or the documents that a look saw.
type answered struct {
	seq int64
	saw []string
}

// logModel is a log whose submissions are linearizable. A look at it from any
// replica sees a beginning of it, as long as all that its own client was told
// to be there.
var logModel = porcupine.Model{
	Init: func() any { return []string{} },
	Step: func(state, input, output any) (bool, any) {
		log, in, out := state.([]string), input.(operation), output.(answered)
		if in.document == "" {
			return len(out.saw) <= len(log) && slices.Equal(out.saw, log[:len(out.saw)]), state
		}
		if i := slices.Index(log, in.document); i >= 0 {
			return int64(i) == out.seq, state
		}
		return int64(len(log)) == out.seq, append(slices.Clone(log), in.document)
	},
	Equal: func(a, b any) bool { return slices.Equal(a.([]string), b.([]string)) },
	DescribeOperation: func(input, output any) string {
		return strings.TrimSpace(fmt.Sprint(input, output))
	},
}

func TestTheLogIsLinearizable(t *testing.T) {
	c := found(t, 4)
	clients := c.enrolAll()
	head, first := c.head(), federation.Size(c.log())
	began := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	record := func(client int, in operation, call time.Time, out answered) {
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{
			ClientId: client, Input: in, Output: out, Call: call.Sub(began).Nanoseconds(), Return: time.Since(began).Nanoseconds(),
		})
	}
	look := func(id int, known int64) {
		call, size := time.Now(), known
		var saw []string
		err := c.follow(t.Context(), first+size, func(e protocol.Entry) error {
			if e.Seq >= first {
				saw = append(saw, protocol.HashOf(e.Doc).Short())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		record(id, operation{}, call, answered{saw: saw})
	}
	done := make(chan struct{}, 100)
	var working sync.WaitGroup
	for id, p := range clients {
		working.Go(func() {
			for n := range 6 {
				s := sign(c, p.member, p.member.Vote, head, c.proposal(fmt.Sprint("De ", p.member.ID, n), protocol.Effect{SetFloors: &floors}))
				document, err := protocol.Canonical(s)
				if err != nil {
					t.Error(err)
					return
				}
				call := time.Now()
				seq, err := p.submit(protocol.LabelProposal, document)
				if err != nil {
					t.Error(err)
					return
				}
				record(id, operation{protocol.HashOf(document).Short()}, call, answered{seq: seq - first})
				look(id, seq-first+1)
				done <- struct{}{}
			}
		})
	}
	leader := c.leader()
	for range 8 {
		<-done
	}
	c.stop(leader)
	working.Wait()
	if result := porcupine.CheckOperationsTimeout(logModel, history, 10*time.Second); result != porcupine.Ok {
		t.Fatalf("%d operations are not linearizable: %s", len(history), result)
	}
}
