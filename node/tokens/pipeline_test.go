package tokens_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/wire"
)

// While the stewards have a batch, they are asked for the next; and no further,
// before they have answered.
func TestTheNextBatchIsAskedMeanwhile(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 8,200 tokens")
	}
	t.Parallel()
	const people = 2*protocol.MaxBatch + 4
	s := play(t, people)
	var mu sync.Mutex
	asked, answered := map[int64]int{}, 0
	var held []func() error
	s.cfg.AskAgain = time.Minute
	s.cfg.Send = func(ctx context.Context, to protocol.MemberID, letter *wire.Letter) error {
		mu.Lock()
		defer mu.Unlock()
		asked[letter.GetEvaluate().GetSequence()]++
		if len(asked)-answered > tokens.InFlight {
			t.Errorf("%d batches are asked for, %d are answered", len(asked), answered)
		}
		if answer := func() error { return s.send(ctx, to, letter) }; answered > 0 {
			return answer()
		} else if held = append(held, answer); len(asked) < tokens.InFlight || len(held) < 2*tokens.InFlight {
			return nil
		}
		answered = tokens.InFlight
		return errors.Join(held[0](), held[1](), held[2](), held[3]())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.town.Must(s.start().Complete(ctx))
	s.wantDone(people)
}

// begin has two batches begun, and the process end once the stewards are asked
// for the second, or before.
func (s *scene) begin(ctx context.Context, stop context.CancelFunc) {
	s.t.Helper()
	for i := range 3 {
		s.behave(i, func(r *wire.EvaluateReply) *wire.EvaluateReply {
			if r.GetSequence() == 2 {
				stop()
			}
			return nil
		})
	}
	again := s.cfg.AskAgain
	s.cfg.AskAgain = time.Minute
	if err := s.start().Complete(ctx); !errors.Is(err, context.Canceled) {
		s.t.Fatalf("it did not end: %v", err)
	}
	s.cfg.AskAgain = again
	s.square.Refuse(nil)
	for i := range 3 {
		s.behave(i, nil)
	}
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "pending-*"))
	if err != nil || len(files) != 2 {
		s.t.Fatalf("%q wait: %v", files, err)
	}
}

// Two batches are under way when a process ends. The next one goes on with both,
// and nobody is debited twice.
func TestEndsWithTwoBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 8,200 tokens")
	}
	const people = protocol.MaxBatch + 4
	for name, c := range map[string]struct {
		refuse  bool
		debited int64
	}{
		"after the second ticket":  {false, people},
		"before the second ticket": {true, protocol.MaxBatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, people)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			tickets := 0
			if c.refuse {
				s.square.Refuse(func(protocol.Label, []byte) error {
					if tickets++; tickets == 1 {
						return nil
					}
					stop()
					return ctx.Err()
				})
			}
			s.begin(ctx, stop)
			if s.debited() != c.debited {
				t.Fatalf("%d are debited", s.debited())
			}
			s.town.Must(s.start().Complete(t.Context()))
			s.wantDone(people)
		})
	}
}

// Somebody in the second of two batches is erased: the first keeps its ticket.
func TestErasingSomebodyInOneOfTwoBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 4,100 tokens")
	}
	t.Parallel()
	const people = protocol.MaxBatch + 4
	s := play(t, people)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.begin(ctx, stop)
	s.town.Must(s.current.Erase(t.Context(), []warehouse.PersonID{people - 1}))
	s.town.Must(s.start().Complete(t.Context()))
	// The warehouse of this test still has the one who was erased.
	if cache, _, err := s.current.Cache(); err != nil || cache.Len() != people || s.debited() != people+4 {
		t.Errorf("%d debited: %v", s.debited(), err)
	}
}
