package tokens_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"coulisse/crypto/oprf"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// startEpoch has the members decide on a new key, and the stewards make it.
func (s *scene) startEpoch() {
	s.t.Helper()
	s.square.Do(func(town *federationtest.Town) { town.StartEpoch(2 * federationtest.Day) })
	for len(federation.Keys(&s.town.Log)) < 2 {
		for _, x := range s.stewards {
			s.town.Must(x.Step(context.Background()))
		}
	}
}

func (s *scene) retire() {
	s.square.Do(func(town *federationtest.Town) {
		town.Now += 3 * federationtest.Day
		town.Must(federationtest.State(town, protocol.Retirement{Epoch: 1}))
	})
}

// under is everybody's token under an epoch, as a round gets them.
func (s *scene) under(epoch protocol.Epoch) map[warehouse.PersonID]oprf.Token {
	s.t.Helper()
	all := map[warehouse.PersonID]oprf.Token{}
	s.town.Must(s.current.Use(context.Background(), epoch, func(c *tokens.Cache) error {
		return c.Select(context.Background(), upTo(1<<16), func(id warehouse.PersonID, token *oprf.Token) error { all[id] = *token; return nil })
	}))
	return all
}

func (s *scene) wantDebited(epoch protocol.Epoch, want int64) {
	s.t.Helper()
	if got := federation.TicketsOf(&s.town.Log, s.town.Members[3].ID, epoch).Total; got != want {
		s.t.Errorf("%d were debited in epoch %d, not %d", got, epoch, want)
	}
}

// A member moves to a new key: each person again, once; rounds under the former
// key get the former tokens until it is retired.
func TestMigration(t *testing.T) {
	t.Parallel()
	s := play(t, 10)
	s.town.Must(s.current.Complete(context.Background()))
	before := s.under(1)
	s.startEpoch()
	s.add(2) // who come too late for the former key
	if again := s.under(1); len(again) != 10 || again[1] != before[1] {
		t.Errorf("%d tokens under the former key", len(again))
	}
	if s.current.Finished() == 2 {
		t.Error("finished before it has begun")
	}
	s.town.Must(s.current.Complete(context.Background()))
	if s.current.Finished() != 2 {
		t.Error("everybody has a token, and it is not finished")
	}
	after := s.under(2)
	for id, token := range before {
		if after[id] == token || after[id] == (oprf.Token{}) {
			t.Errorf("the token of person %d is not a new one", id)
		}
	}
	if len(after) != 12 || len(s.under(1)) != 10 {
		t.Errorf("%d and %d tokens", len(after), len(s.under(1)))
	}
	s.wantDebited(1, 10)
	s.wantDebited(2, 12)

	s.town.Must(s.current.Forget(context.Background()))
	s.under(1) // in use still
	s.retire()
	if err := s.current.Use(context.Background(), 1, func(*tokens.Cache) error { return nil }); !errors.Is(err, tokens.ErrWaiting) {
		t.Errorf("the tokens of a retired key: %v", err)
	}
	s.town.Must(s.current.Forget(context.Background()))
	if _, err := os.Stat(filepath.Join(s.cfg.Dir, "epoch-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the former tokens are on disk still: %v", err)
	}
	if got := s.under(2); len(got) != 12 || got[1] != after[1] {
		t.Errorf("%d tokens under the new key", len(got))
	}
}

// The batch that was under way when the new key came is finished if it was
// debited, and else made under the new key only.
func TestBatchUnderWayWhenTheKeyChanges(t *testing.T) {
	for name, c := range map[string]struct {
		end     func(*scene, context.CancelFunc)
		debited int64
	}{
		"before its ticket": {func(s *scene, stop context.CancelFunc) {
			s.square.Refuse(func(protocol.Label, []byte) error { stop(); return errors.New("the line is cut") })
		}, 0},
		"after its ticket": {func(s *scene, stop context.CancelFunc) { s.cfg.Author.Log = afterwards{s.square, stop} }, 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, 8)
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			c.end(s, stop)
			s.start()
			if err := s.current.Complete(ctx); err == nil {
				t.Fatal("it did not end")
			}
			s.square.Refuse(nil)
			s.cfg.Author.Log = s.square
			s.startEpoch()
			s.start()
			if got := s.under(1); int64(len(got)) != c.debited {
				t.Errorf("%d tokens under the former key", len(got))
			}
			s.town.Must(s.current.Complete(context.Background()))
			if got := s.under(2); len(got) != 8 {
				t.Errorf("%d tokens under the new key", len(got))
			}
			s.wantDebited(1, c.debited)
			s.wantDebited(2, 8)
		})
	}
}

// A process may end at any point of a migration: each person is debited once.
func TestMigrationEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	s.town.Must(s.current.Complete(context.Background()))
	s.startEpoch()
	for _, cut := range []func(*scene, context.CancelFunc){
		func(s *scene, stop context.CancelFunc) {
			s.square.Refuse(func(protocol.Label, []byte) error { stop(); return errors.New("the line is cut") })
		},
		func(s *scene, stop context.CancelFunc) { s.cfg.Author.Log = afterwards{s.square, stop} },
		func(s *scene, stop context.CancelFunc) {
			for i := range 3 {
				s.behave(i, silent)
			}
			stop()
		},
	} {
		ctx, stop := context.WithCancel(context.Background())
		cut(s, stop)
		s.start()
		if err := s.current.Complete(ctx); err == nil || s.current.Finished() == 2 {
			t.Fatal("it did not end")
		}
		stop()
		s.square.Refuse(nil)
		s.cfg.Author.Log = s.square
	}
	for i := range 3 {
		s.behave(i, nil)
	}
	s.start()
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDebited(1, 8)
	s.wantDebited(2, 8)
	if got := s.under(2); len(got) != 8 {
		t.Errorf("%d tokens", len(got))
	}
}
