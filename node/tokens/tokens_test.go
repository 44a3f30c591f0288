package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/importer"
	"coulisse/node/steward"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/node/witness/witnesstest"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a town with three real stewards, and a member with a warehouse.
type scene struct {
	t        *testing.T
	town     *federationtest.Town
	square   *witnesstest.Square
	stewards map[protocol.MemberID]*steward.Steward
	cfg      tokens.Config

	// mu guards how stewards behave and what they were asked.
	mu       sync.Mutex
	manner   map[protocol.MemberID]func(*wire.EvaluateReply) *wire.EvaluateReply
	asked    map[protocol.MemberID]int
	current  *tokens.Tokeniser
	imported int
}

func play(t *testing.T, people int) *scene {
	t.Helper()
	town := federationtest.Found(t, 4)
	s := &scene{
		t: t, town: town, square: witnesstest.New(t, town), stewards: map[protocol.MemberID]*steward.Steward{},
		manner: map[protocol.MemberID]func(*wire.EvaluateReply) *wire.EvaluateReply{}, asked: map[protocol.MemberID]int{},
	}
	quiet := slog.New(slog.DiscardHandler)
	for _, m := range town.Members[:3] {
		identity, err := seal.NewIdentity()
		town.Must(err)
		s.stewards[m.ID] = steward.New(steward.Config{Dir: t.TempDir(), Identity: identity, Author: s.square.Member(m), Logger: quiet})
	}
	s.elect()
	identity, err := seal.NewIdentity()
	town.Must(err)
	store, err := warehouse.Open(context.Background(), warehouse.Config{Path: filepath.Join(t.TempDir(), "w.duckdb"), MemoryMB: 128})
	town.Must(err)
	t.Cleanup(func() { town.Must(store.Close()) })
	s.cfg = tokens.Config{
		Dir: t.TempDir(), Identity: identity, Author: s.square.Member(town.Members[3]), Warehouse: store,
		Send: s.send, Logger: quiet, AskAgain: 40 * time.Millisecond,
	}
	s.add(people)
	s.start()
	return s
}

// elect elects the three and has them make, or hand on, the key.
func (s *scene) elect() {
	s.t.Helper()
	s.square.Do(func(town *federationtest.Town) { town.Elect(2, town.Members[:3]...) })
	for !s.town.Ceremony().Done {
		for _, x := range s.stewards {
			s.town.Must(x.Step(context.Background()))
		}
	}
}

// start is a new process in the same folder.
func (s *scene) start() *tokens.Tokeniser {
	s.current = tokens.New(s.cfg)
	return s.current
}

func (s *scene) add(people int) {
	s.t.Helper()
	var csv strings.Builder
	csv.WriteString("email,pooling\n")
	for range people {
		s.imported++
		fmt.Fprintf(&csv, "personne.%d@example.org,yes\n", s.imported)
	}
	options := importer.Options{Kind: importer.People, File: fmt.Sprintf("%d.csv", s.imported), SpoolDir: s.t.TempDir()}
	_, err := importer.Import(context.Background(), strings.NewReader(csv.String()), options, s.cfg.Warehouse.Intake())
	s.town.Must(err)
}

// send is the relay: it answers at once, as each steward behaves.
func (s *scene) send(ctx context.Context, to protocol.MemberID, letter *wire.Letter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[to]++
	reply := s.stewards[to].Evaluate(ctx, s.town.Members[3].ID, letter.GetEvaluate())
	if manner := s.manner[to]; manner != nil {
		reply = manner(reply)
	}
	if reply != nil {
		s.current.Deliver(to, reply)
	}
	return nil
}

func (s *scene) behave(member int, manner func(*wire.EvaluateReply) *wire.EvaluateReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manner[s.town.Members[member].ID] = manner
}

func silent(*wire.EvaluateReply) *wire.EvaluateReply { return nil }

// debited is what the log counts against the member's allowance.
func (s *scene) debited() int64 {
	return federation.TicketsOf(&s.town.Log, s.town.Members[3].ID, 1).Total
}

func (s *scene) wantDone(people int) {
	s.t.Helper()
	cache, _, err := s.current.Cache()
	s.town.Must(err)
	if cache.Len() != int64(people) || s.debited() != int64(people) {
		s.t.Fatalf("%d tokens for %d debited, want %d", cache.Len(), s.debited(), people)
	}
	seen := map[oprf.Token]bool{}
	s.town.Must(cache.Select(context.Background(), upTo(1<<16),
		func(_ warehouse.PersonID, token *oprf.Token) error { seen[*token] = true; return nil }))
	if len(seen) != people {
		s.t.Fatalf("%d different tokens, want %d", len(seen), people)
	}
	if left, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "pending*")); err != nil || len(left) > 0 {
		s.t.Errorf("a batch is left: %q %v", left, err)
	}
}

func TestEverybodyOnce(t *testing.T) {
	t.Parallel()
	s := play(t, 20)
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(20)
	s.town.Must(s.current.Complete(context.Background()))
	s.add(5)
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(25)
	p, err := s.start().Progress(context.Background())
	if err != nil || p != (tokens.Progress{Epoch: 1, Done: 25, Total: 25}) {
		t.Errorf("%+v %v", p, err)
	}
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(25)
}

func TestMoreThanABatch(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 4,100 tokens")
	}
	s := play(t, protocol.MaxBatch+4)
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(protocol.MaxBatch + 4)
}

// One of the stewards misbehaves in every way that there is: another one takes
// its place, under the same ticket.
func TestAnotherStewardTakesItsPlace(t *testing.T) {
	t.Parallel()
	s, people := play(t, 2), 2
	for name, manner := range map[string]func(*wire.EvaluateReply) *wire.EvaluateReply{
		"silent": silent,
		"refusing": func(r *wire.EvaluateReply) *wire.EvaluateReply {
			return &wire.EvaluateReply{Epoch: r.GetEpoch(), Sequence: r.GetSequence(), Set: r.GetSet(), Refusal: strings.Repeat("no\n", 1<<16)}
		},
		"answering wrongly": func(r *wire.EvaluateReply) *wire.EvaluateReply {
			copy(r.Evaluated[:oprf.ElementSize], r.Evaluated[oprf.ElementSize:])
			return r
		},
		"answering for fewer": func(r *wire.EvaluateReply) *wire.EvaluateReply {
			r.Evaluated = r.Evaluated[:oprf.ElementSize]
			return r
		},
		"answering nothing":     func(r *wire.EvaluateReply) *wire.EvaluateReply { r.Evaluated = nil; return r },
		"answering zeros":       func(r *wire.EvaluateReply) *wire.EvaluateReply { clear(r.Evaluated); return r },
		"without a proof":       func(r *wire.EvaluateReply) *wire.EvaluateReply { r.Proof = nil; return r },
		"with another proof":    func(r *wire.EvaluateReply) *wire.EvaluateReply { clear(r.Proof); return r },
		"for another set":       func(r *wire.EvaluateReply) *wire.EvaluateReply { r.Set = []uint32{1, 2, 3}; return r },
		"for another key epoch": func(r *wire.EvaluateReply) *wire.EvaluateReply { r.Epoch++; return r },
		"for another ticket":    func(r *wire.EvaluateReply) *wire.EvaluateReply { r.Sequence++; return r },
	} {
		for bad := range 3 {
			s.behave(bad, manner)
			if err := s.start().Complete(t.Context()); err != nil || s.current.Trouble() != nil {
				t.Fatalf("%s: %v, in trouble %v", name, err, s.current.Trouble())
			}
			s.wantDone(people)
			s.behave(bad, nil)
			s.add(2)
			people += 2
		}
	}
}

// A steward whose own witness is a moment behind refuses, and is asked again.
func TestAStewardThatIsAMomentBehind(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	for i := range 3 {
		first := true
		s.behave(i, func(r *wire.EvaluateReply) *wire.EvaluateReply {
			if first {
				first = false
				return &wire.EvaluateReply{Epoch: r.GetEpoch(), Sequence: r.GetSequence(), Set: r.GetSet(), Refusal: "no ticket"}
			}
			return r
		})
	}
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(8)
}

// A steward that others wait for says so. It is neither asked again meanwhile nor
// left out.
func TestABusySteward(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	for i, m := range s.town.Members[:3] {
		s.behave(i, func(r *wire.EvaluateReply) *wire.EvaluateReply {
			time.AfterFunc(10*s.cfg.AskAgain, func() { s.current.Deliver(m.ID, r) })
			return &wire.EvaluateReply{Epoch: r.GetEpoch(), Sequence: r.GetSequence(), Set: r.GetSet(), Waiting: 7}
		})
	}
	s.town.Must(s.current.Complete(t.Context()))
	s.wantDone(8)
	for id, times := range s.asked {
		if times > 1 {
			t.Errorf("%s was asked %d times", id, times)
		}
	}
	if len(s.asked) != 2 {
		t.Errorf("%d stewards were asked for one batch", len(s.asked))
	}
}

// While too few stewards answer, every attempt is for the same ticket.
func TestWaitingCostsNothing(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	s.behave(0, silent)
	s.behave(1, silent)
	for range 5 {
		s.start()
		if err := s.current.Complete(context.Background()); !errors.Is(err, tokens.ErrWaiting) {
			t.Fatal(err)
		}
		if s.debited() != 8 {
			t.Fatalf("%d were debited for 8 people", s.debited())
		}
	}
	s.behave(0, nil)
	s.add(3) // who have a ticket of their own
	s.start()
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(11)
}

// A process may end at any point of a batch. The next one goes on with it.
func TestEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	type ending func(*scene, context.CancelFunc)
	for name, end := range map[string]ending{
		"before the ticket is in the log": func(s *scene, stop context.CancelFunc) {
			s.square.Refuse(func(protocol.Label, []byte) error { stop(); return errors.New("the line is cut") })
		},
		"after the ticket is in the log": func(s *scene, stop context.CancelFunc) {
			s.cfg.Author.Log = afterwards{s.square, stop}
		},
		"before the answers": func(s *scene, stop context.CancelFunc) {
			for i := range 3 {
				s.behave(i, func(*wire.EvaluateReply) *wire.EvaluateReply { stop(); return nil })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := play(t, 8)
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			end(s, stop)
			s.start()
			if err := s.current.Complete(ctx); err == nil {
				t.Fatal("it did not end")
			}
			s.square.Refuse(nil)
			s.cfg.Author.Log = s.square
			for i := range 3 {
				s.behave(i, nil)
			}
			s.add(2)
			s.start()
			s.town.Must(s.current.Complete(context.Background()))
			s.wantDone(10)
		})
	}
}

// afterwards ends the process once the log has taken a document.
type afterwards struct {
	author.Log
	stop context.CancelFunc
}

func (a afterwards) Submit(ctx context.Context, label protocol.Label, document []byte) (int64, error) {
	_, err := a.Log.Submit(ctx, label, document)
	a.stop()
	return 0, errors.Join(err, errors.New("the line is cut"))
}

// The tokens were kept, and the process ended before it ended their batch.
func TestABatchThatIsDone(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	for i := range 3 {
		s.behave(i, silent)
	}
	if err := s.current.Complete(context.Background()); err == nil {
		t.Fatal("no steward answers")
	}
	pending, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "pending*"))
	if err != nil || len(pending) != 1 {
		t.Fatalf("%q %v", pending, err)
	}
	batch, err := os.ReadFile(pending[0])
	s.town.Must(err)
	if strings.Contains(string(batch), "example.org") {
		t.Error("a batch lies on disk in the clear")
	}
	for i := range 3 {
		s.behave(i, nil)
	}
	s.start()
	s.town.Must(s.current.Complete(context.Background()))
	s.town.Must(os.WriteFile(pending[0], batch, 0o600))
	s.start()
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(8)
}

// A coordinator that says that a ticket is in the log, and keeps it out.
func TestALyingCoordinator(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	s.square.Refuse(func(protocol.Label, []byte) error { return federation.ErrAlready })
	if err := s.current.Complete(context.Background()); !errors.Is(err, author.ErrUnseen) {
		t.Fatalf("believed: %v", err)
	}
	if len(s.asked) > 0 {
		t.Error("the stewards were asked without a ticket")
	}
	s.square.Refuse(nil)
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(8)
}

// The key is handed on while a batch waits: its ticket still serves.
func TestHandedOnMeanwhile(t *testing.T) {
	t.Parallel()
	s := play(t, 8)
	for i := range 3 {
		s.behave(i, silent)
	}
	if err := s.current.Complete(context.Background()); err == nil {
		t.Fatal("no steward answers")
	}
	s.elect()
	for i := range 3 {
		s.behave(i, nil)
	}
	s.start()
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(8)
}

func TestNoKeyYet(t *testing.T) {
	t.Parallel()
	s := play(t, 1)
	town := federationtest.Found(t, 3)
	s.cfg.Author = witnesstest.New(t, town).Member(town.Members[0])
	s.start()
	if err := s.current.Complete(context.Background()); err != nil {
		t.Errorf("it is not an error to wait for the election: %v", err)
	}
	if !errors.Is(s.current.Trouble(), tokens.ErrWaiting) {
		t.Errorf("and the member is told: %v", s.current.Trouble())
	}
}

// Answers that nobody awaits, and from whom nobody was asked, are dropped.
func TestStrayAnswers(t *testing.T) {
	t.Parallel()
	s := play(t, 4)
	for range 100 {
		s.current.Deliver("membre-99", &wire.EvaluateReply{Sequence: 1})
		s.current.Deliver(s.town.Members[0].ID, &wire.EvaluateReply{Sequence: -1})
		s.current.Deliver(s.town.Members[0].ID, nil)
	}
	s.town.Must(s.current.Complete(context.Background()))
	s.wantDone(4)
}

func TestACutCache(t *testing.T) {
	t.Parallel()
	s := play(t, 4)
	s.town.Must(s.current.Complete(context.Background()))
	files, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "run-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	s.town.Must(err)
	s.town.Must(os.WriteFile(files[0], slices.Clone(content[:len(content)-20]), 0o600))
	s.start()
	if _, _, err := s.current.Cache(); err == nil {
		t.Error("a cut file of tokens was opened")
	}
}
