package sequencer

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"coulisse/coordinator/state"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/refusal"
)

// slow is a consensus of one that is as slow as it is told.
type slow struct {
	*state.State
	mu       sync.Mutex
	commands int
	hold     chan struct{} // nil, or Apply waits until it is closed
	index    uint64
}

func (s *slow) Apply(_ context.Context, command []byte) (any, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands++
	s.index++
	return s.State.Apply(s.index, command), nil
}

func (s *slow) Read(context.Context) error { return nil }

func newSequencer(t *testing.T, town *federationtest.Town) (*Sequencer, *slow) {
	t.Helper()
	machine, err := state.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { machine.Close() })
	c := &slow{State: machine}
	s := New(c, machine, federationtest.ReplicaID, key.Private[key.Replica]{}, func() time.Time { return town.Now.Time() })
	town.Must(s.Found(t.Context(), town.Founding))
	return s, c
}

func proposal(t *testing.T, town *federationtest.Town, title string) []byte {
	t.Helper()
	p := town.Proposal(protocol.Effect{SetFloors: &protocol.Floors{MinMembers: 2, MinParticipants: 3, MinSize: 60, MinVariance: 200, MaxRoundCost: 1_000_000}})
	p.Title = protocol.Text{FR: title, EN: title}
	document, err := protocol.Canonical(federationtest.SignVote(town, town.Members[0], p))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Documents that arrive while consensus is busy share a command, and each gets
// its own answer.
func TestWhatWaitsSharesACommand(t *testing.T) {
	town := federationtest.Found(t, 3)
	town.Now = federationtest.Morning // the genesis is the same entry
	s, c := newSequencer(t, town)
	town.Now += federationtest.Second
	c.hold, c.commands = make(chan struct{}), 0
	const many = 12
	outcomes, errs := make([]state.Outcome, many), make([]error, many)
	var sending sync.WaitGroup
	for i := range many {
		document := proposal(t, town, fmt.Sprint("Proposition ", i))
		label := protocol.LabelProposal
		if i == 5 {
			label = protocol.LabelBallot // refused
		}
		sending.Go(func() { outcomes[i], errs[i] = s.Append(t.Context(), label, document) })
	}
	for s.queue.length() != many-maxFlights {
		<-time.After(time.Millisecond)
	}
	close(c.hold)
	sending.Wait()
	places := map[int64]bool{}
	for i, err := range errs {
		if (err != nil) != (i == 5) {
			t.Errorf("document %d: %v", i, err)
		}
		if err == nil {
			places[outcomes[i].Seq] = true
		}
	}
	if len(places) != many-1 || c.commands > 2*maxFlights {
		t.Errorf("%d places in %d commands", len(places), c.commands)
	}
	if err := s.View(func(tx federation.Tx) error {
		if size := federation.Size(tx); size != many {
			t.Errorf("the log has %d entries", size)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// A caller that leaves is told that it is not known what became of its
// document, and keeps nobody.
func TestACallerMayLeave(t *testing.T) {
	town := federationtest.Found(t, 3)
	town.Now = federationtest.Morning
	s, c := newSequencer(t, town)
	c.hold = make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	document := proposal(t, town, "Une proposition")
	if _, err := s.Append(ctx, protocol.LabelProposal, document); err != refusal.ErrUnavailable {
		t.Fatal(err)
	}
	close(c.hold)
	if o, err := s.Append(t.Context(), protocol.LabelProposal, document); err != nil || !o.Already {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := s.Append(t.Context(), protocol.LabelProposal, []byte(`{"by"`)); err == nil {
		t.Fatal("half a document was taken")
	}
}

// What a replica posts at once is one command, in its order, and each document has
// its own answer.
func TestPostedTogether(t *testing.T) {
	town := federationtest.Found(t, 3)
	town.Now = federationtest.Morning
	s, c := newSequencer(t, town)
	s.key, c.commands = town.Replica, 0
	var docs []protocol.Enrolment
	for i, id := range []protocol.MemberID{town.Members[1].ID, "personne", town.Members[0].ID, town.Members[1].ID} {
		docs = append(docs, protocol.Enrolment{Member: id, Certificate: protocol.HashOf([]byte{byte(i)}), Until: town.Now + federationtest.Day})
	}
	for i, err := range PostAll(t.Context(), s, docs...) {
		if (err != nil) != (i == 1) {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if c.commands != 1 {
		t.Errorf("%d commands", c.commands)
	}
	if err := s.View(func(tx federation.Tx) error {
		if last, ok := federation.Enrolled(tx, town.Members[1].ID); !ok || last.Certificate != docs[3].Certificate || federation.Size(tx) != 4 {
			t.Errorf("%+v of %d entries", last, federation.Size(tx))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
