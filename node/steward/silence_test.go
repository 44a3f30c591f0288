package steward

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/witness/witnesstest"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// college is a town with four stewards elected, of whom only the first is a
// Steward; the clock is the log's.
func college(t *testing.T) (*Steward, *witnesstest.Square, *federationtest.Town) {
	t.Helper()
	town := federationtest.Found(t, 4)
	town.Elect(3, town.Members...)
	square := witnesstest.New(t, town)
	identity, err := seal.NewIdentity()
	town.Must(err)
	s := New(Config{Dir: t.TempDir(), Identity: identity, Author: square.Member(town.Members[0]), Logger: slog.New(slog.DiscardHandler)})
	s.now = func() time.Time { return town.Now.Time() }
	return s, square, town
}

func step(t *testing.T, s *Steward) {
	t.Helper()
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A ceremony goes on without a steward that never says a word, however long
// the others' nodes have nothing else to read in the log.
func TestASilentStewardIsLeftOut(t *testing.T) {
	s, square, town := college(t)
	dead := town.Members[3].ID
	step(t, s)
	square.Do(func(*federationtest.Town) {
		town.Must(town.Hello(town.Members[1]))
		town.Must(town.Hello(town.Members[2]))
	})
	town.Now = town.Ceremony().Since + protocol.Millis(federation.Patience)
	step(t, s)
	if c := town.Ceremony(); c.Attempt.Number != 1 {
		t.Fatalf("%v were left out while they had time", c.Accused)
	}
	town.Now++
	step(t, s)
	c := town.Ceremony()
	if c.Attempt.Number != 2 || len(c.Accused) != 1 || c.Accused[0] != dead || c.Accusers[0] != "" {
		t.Fatalf("after the silence: attempt %d without %v", c.Attempt.Number, c.Accused)
	}
	// The next attempt gives everybody their time again, and comes to its end.
	step(t, s)
	if c := town.Ceremony(); c.Hellos != 1 || c.Attempt.Number != 2 {
		t.Fatalf("attempt %d has %d greetings", c.Attempt.Number, c.Hellos)
	}
}

// A node whose clock is ahead is refused, and does not ask again at once.
func TestAnEarlyComplaintRests(t *testing.T) {
	s, square, town := college(t)
	step(t, s)
	complaints := 0
	square.Refuse(func(label protocol.Label, _ []byte) error {
		if label == protocol.LabelComplaint {
			complaints++
		}
		return nil
	})
	clock := town.Now.Time().Add(time.Duration(federation.Patience)*time.Millisecond + time.Hour)
	s.now = func() time.Time { return clock }
	for _, later := range []time.Duration{0, time.Second, complainAgain - 2*time.Second, 2 * time.Second} {
		clock = clock.Add(later)
		step(t, s)
	}
	if complaints != 2 || town.Ceremony().Attempt.Number != 1 {
		t.Errorf("%d complaints, attempt %d", complaints, town.Ceremony().Attempt.Number)
	}
	square.Refuse(func(protocol.Label, []byte) error { return errors.New("unreachable") })
	clock = clock.Add(complainAgain)
	if err := s.Step(t.Context()); err == nil {
		t.Error("a complaint that was not delivered is no trouble")
	}
}
