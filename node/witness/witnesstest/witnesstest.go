// Package witnesstest is a log with witnesses that follow it, for tests of what
// a node does on the word of its log. The log is a federationtest.Town's; what
// it accepts, every witness takes at once.
package witnesstest

import (
	"context"
	"sync"
	"testing"

	"coulisse/crypto/key"
	"coulisse/node/author"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// Square is a town whose log many may submit to at once.
type Square struct {
	tb testing.TB

	// mu guards the town and the list.
	mu        sync.Mutex
	town      *federationtest.Town
	witnesses []*witness.Witness
	// Refuse, if set, sees each document first; its error is the answer.
	refuse func(protocol.Label, []byte) error
}

// New returns the square of a town.
func New(tb testing.TB, town *federationtest.Town) *Square { return &Square{tb: tb, town: town} }

// Member is an author in its own folder, with a witness that follows.
func (s *Square) Member(m *federationtest.Member) *author.Author {
	s.tb.Helper()
	return s.MemberIn(m, s.tb.TempDir())
}

// MemberIn is Member in a folder that may hold a copy of the log already.
func (s *Square) MemberIn(m *federationtest.Member, dir string) *author.Author {
	s.tb.Helper()
	w, err := witness.Open(dir, s.town.Federation)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = w.Close() }) // a test may have closed it
	s.mu.Lock()
	defer s.mu.Unlock()
	s.witnesses = append(s.witnesses, w)
	s.tell(w)
	return &author.Author{Federation: s.town.Federation, Member: m.ID, Key: m.Node, Witness: w, Log: s}
}

// Leave closes a member's witness, as the end of its process does.
func (s *Square) Leave(a *author.Author) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.witnesses {
		if w == a.Witness {
			s.witnesses = append(s.witnesses[:i:i], s.witnesses[i+1:]...)
		}
	}
	if err := a.Witness.Close(); err != nil {
		s.tb.Fatal(err)
	}
}

// Do changes the town; the witnesses follow.
func (s *Square) Do(change func(*federationtest.Town)) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.town)
	s.spread()
}

// Refuse has every document shown to a function first, whose error is the
// answer; nil for none.
func (s *Square) Refuse(first func(protocol.Label, []byte) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = first
}

// Submit implements author.Log.
func (s *Square) Submit(_ context.Context, label protocol.Label, document []byte) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(label, document); err != nil {
			return 0, err
		}
	}
	if seq, ok := federation.Lookup(&s.town.Log, document); ok {
		return seq, nil
	}
	if err := s.town.Append(label, document); err != nil {
		return 0, err
	}
	s.spread()
	return federation.Size(&s.town.Log) - 1, nil
}

func (s *Square) spread() {
	s.tb.Helper()
	for _, w := range s.witnesses {
		s.tell(w)
	}
}

func (s *Square) tell(w *witness.Witness) {
	for w.Size() < federation.Size(&s.town.Log) {
		raw, _ := federation.EntryBytes(&s.town.Log, w.Size())
		if err := w.Take(raw); err != nil {
			s.tb.Errorf("a witness refuses an entry: %v", err)
			return
		}
	}
}

var _ author.Log = (*Square)(nil)

// Post signs and submits a document that no test subject is to send.
func Post[T protocol.Document[key.Node]](s *Square, m *federationtest.Member, doc T) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.spread()
	return federationtest.Node(s.town, m, doc)
}
