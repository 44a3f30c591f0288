package steward_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/steward"
	"coulisse/node/witness/witnesstest"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a member whose node is a steward.
type house struct {
	*federationtest.Member
	*author.Author
	cfg steward.Config
	*steward.Steward
}

// scene is a town whose first stewards are real.
type scene struct {
	t      *testing.T
	town   *federationtest.Town
	square *witnesstest.Square
	houses []*house
}

func play(t *testing.T, stewards int) *scene {
	t.Helper()
	town := federationtest.Found(t, 5)
	s := &scene{t: t, town: town, square: witnesstest.New(t, town)}
	for _, m := range town.Members[:stewards] {
		identity, err := seal.NewIdentity()
		town.Must(err)
		a := s.square.Member(m)
		cfg := steward.Config{Dir: filepath.Join(t.TempDir(), "steward"), Identity: identity, Author: a, Logger: slog.New(slog.DiscardHandler)}
		s.houses = append(s.houses, &house{m, a, cfg, steward.New(cfg)})
	}
	return s
}

func (s *scene) elect(threshold int, members ...*federationtest.Member) {
	s.square.Do(func(town *federationtest.Town) { town.Elect(threshold, members...) })
}

// settle has every steward step until none of them changes the log.
func (s *scene) settle() {
	s.t.Helper()
	for range 50 {
		before := s.houses[0].Witness.Size()
		for _, h := range s.houses {
			if err := h.Step(context.Background()); err != nil && !errors.Is(err, errLost) {
				s.t.Fatal(err)
			}
		}
		if s.houses[0].Witness.Size() == before {
			return
		}
	}
	s.t.Fatal("the ceremony does not come to an end")
}

func (s *scene) key() federation.Key {
	s.t.Helper()
	key, ok := federation.ActiveKey(&s.town.Log)
	if !ok {
		s.t.Fatal("there is no key")
	}
	return key
}

// files are the names in a steward's folder.
func (h *house) files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(h.cfg.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (s *scene) wantFiles(h *house, want ...string) {
	s.t.Helper()
	if got := h.files(s.t); !slices.Equal(got, want) {
		s.t.Errorf("%s keeps %q, not %q", h.ID, got, want)
	}
}

// ticket is a member's batch under a committed ticket.
func (s *scene) ticket(m *federationtest.Member, people ...string) (*oprf.Blinding, *wire.EvaluateRequest) {
	s.t.Helper()
	inputs := [][]byte{}
	for _, p := range people {
		inputs = append(inputs, []byte(p))
	}
	blinding, blinded, err := oprf.Blind(inputs)
	s.town.Must(err)
	encoded := oprf.EncodeElements(blinded)
	epoch := s.key().Epoch
	sequence := federation.TicketsOf(&s.town.Log, m.ID, epoch).Sequence + 1
	s.town.Must(witnesstest.Post(s.square, m, protocol.Ticket{Epoch: epoch, Root: protocol.HashOf(encoded), Count: len(people), Sequence: sequence}))
	return blinding, &wire.EvaluateRequest{Epoch: uint32(epoch), Sequence: sequence, Blinded: encoded}
}

// tokens has a batch evaluated by some houses, in the order of their seats.
func (s *scene) tokens(from *federationtest.Member, houses []*house, people ...string) []oprf.Token {
	s.t.Helper()
	key := s.key()
	public, err := oprf.ParsePublicKey(key.PublicKey)
	s.town.Must(err)
	blinding, request := s.ticket(from, people...)
	set := oprf.Set{}
	for _, h := range houses {
		seat, ok := key.Holder(h.ID)
		if !ok {
			s.t.Fatalf("%s holds no share", h.ID)
		}
		set = append(set, oprf.Index(seat.Index))
		request.Set = append(request.Set, uint32(seat.Index))
	}
	partials := []oprf.Partial{}
	for i, h := range houses {
		reply := h.Evaluate(context.Background(), from.ID, request)
		if reply.GetRefusal() != "" {
			s.t.Fatalf("%s refuses: %s", h.ID, reply.GetRefusal())
		}
		evaluated, err := oprf.DecodeElements(reply.GetEvaluated())
		s.town.Must(err)
		proof, err := oprf.ParseProof(reply.GetProof())
		s.town.Must(err)
		partials = append(partials, oprf.Partial{Steward: set[i], Evaluated: evaluated, Proof: proof})
	}
	tokens, err := blinding.Finalize(public, set, partials)
	s.town.Must(err)
	return tokens
}

func TestCeremony(t *testing.T) {
	s := play(t, 3)
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	for _, h := range s.houses {
		s.wantFiles(h, "share-1-1-1.age")
	}
	asker := s.town.Members[4]
	first := s.tokens(asker, s.houses[:2], "ada", "bob")
	if again := s.tokens(asker, s.houses[1:], "ada", "bob"); !slices.Equal(first, again) {
		t.Error("the token depends on who evaluates")
	}
	if first[0] == first[1] {
		t.Error("two people have one token")
	}
}

// The evaluation is of a batch that a committed ticket of that very member
// names, and of nothing else.
func TestRefusals(t *testing.T) {
	s := play(t, 3)
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	asker, other := s.town.Members[4], s.town.Members[3]
	_, honest := s.ticket(asker, "ada", "bob")
	honest.Set = []uint32{1, 2}
	_, foreign := s.ticket(other, "eve")
	element := honest.Blinded[:oprf.ElementSize]
	with := func(change func(*wire.EvaluateRequest)) *wire.EvaluateRequest {
		r := &wire.EvaluateRequest{Epoch: honest.Epoch, Sequence: honest.Sequence, Set: slices.Clone(honest.Set), Blinded: slices.Clone(honest.Blinded)}
		change(r)
		return r
	}
	for name, r := range map[string]*wire.EvaluateRequest{
		"no ticket":                  with(func(r *wire.EvaluateRequest) { r.Sequence++ }),
		"no number":                  with(func(r *wire.EvaluateRequest) { r.Sequence = -1 }),
		"another member's batch":     with(func(r *wire.EvaluateRequest) { r.Blinded = foreign.Blinded }),
		"a part of the batch":        with(func(r *wire.EvaluateRequest) { r.Blinded = element }),
		"one element more":           with(func(r *wire.EvaluateRequest) { r.Blinded = append(r.Blinded, element...) }),
		"another order":              with(func(r *wire.EvaluateRequest) { copy(r.Blinded, r.Blinded[oprf.ElementSize:]) }),
		"another epoch":              with(func(r *wire.EvaluateRequest) { r.Epoch = 2 }),
		"nothing":                    {},
		"no set":                     with(func(r *wire.EvaluateRequest) { r.Set = nil }),
		"a set without this one":     with(func(r *wire.EvaluateRequest) { r.Set = []uint32{2, 3} }),
		"a set of one":               with(func(r *wire.EvaluateRequest) { r.Set = []uint32{1} }),
		"a set of too many":          with(func(r *wire.EvaluateRequest) { r.Set = []uint32{1, 2, 3} }),
		"one twice":                  with(func(r *wire.EvaluateRequest) { r.Set = []uint32{1, 1} }),
		"somebody unknown":           with(func(r *wire.EvaluateRequest) { r.Set = []uint32{1, 7} }),
		"a number that is too large": with(func(r *wire.EvaluateRequest) { r.Set = []uint32{1, 1<<16 + 2} }),
		"a very long set":            with(func(r *wire.EvaluateRequest) { r.Set = make([]uint32, 100_000) }),
		"a very long batch":          with(func(r *wire.EvaluateRequest) { r.Blinded = make([]byte, 1<<20) }),
	} {
		reply := s.houses[0].Evaluate(context.Background(), asker.ID, r)
		if reply.GetRefusal() == "" || len(reply.GetEvaluated()) > 0 || len(reply.GetProof()) > 0 {
			t.Errorf("%s: evaluated", name)
		}
		if len(reply.GetSet()) > protocol.MaxStewards {
			t.Errorf("%s: echoed at length", name)
		}
	}
	if reply := s.houses[0].Evaluate(context.Background(), other.ID, honest); reply.GetRefusal() == "" {
		t.Error("another member's ticket was evaluated")
	}
	if reply := s.houses[0].Evaluate(context.Background(), asker.ID, honest); reply.GetRefusal() != "" {
		t.Errorf("the honest request is refused: %s", reply.GetRefusal())
	}
}

// What is wrong in a steward's own folder is not told to others.
func TestARefusalTellsNothingOfTheFolder(t *testing.T) {
	s := play(t, 3)
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	_, request := s.ticket(s.town.Members[4], "ada")
	request.Set = []uint32{1, 2}
	h := s.houses[0]
	again := steward.New(h.cfg)
	if err := os.RemoveAll(h.cfg.Dir); err != nil {
		t.Fatal(err)
	}
	refusal := again.Evaluate(context.Background(), s.town.Members[4].ID, request).GetRefusal()
	if refusal == "" || strings.ContainsAny(refusal, "/\\") || strings.Contains(refusal, "age") {
		t.Errorf("told: %q", refusal)
	}
}

var errLost = errors.New("the answer was lost")

// lossy loses the question the first time and the answer the second.
type lossy struct {
	author.Log
	times map[protocol.Label]int
}

func (l *lossy) Submit(ctx context.Context, label protocol.Label, document []byte) (int64, error) {
	l.times[label]++
	switch l.times[label] {
	case 1:
		return 0, errLost
	case 2:
		if _, err := l.Log.Submit(ctx, label, document); err != nil {
			return 0, err
		}
		return 0, errLost
	}
	return l.Log.Submit(ctx, label, document)
}

// A steward may end at any point: before a document is sent, and after the log
// took it.
func TestEndsAtEveryStep(t *testing.T) {
	s := play(t, 3)
	for _, h := range s.houses {
		h.Log = &lossy{h.Log, map[protocol.Label]int{}}
	}
	for _, roll := range [][]*federationtest.Member{s.town.Members[:3], s.town.Members[:3]} {
		s.elect(2, roll...)
		for range 30 {
			for _, h := range s.houses {
				h.Steward = steward.New(h.cfg) // nothing but the folder is left
				if err := h.Step(context.Background()); err != nil && !errors.Is(err, errLost) {
					t.Fatal(err)
				}
			}
		}
		if !s.town.Ceremony().Done {
			t.Fatalf("the ceremony stands still: %+v", s.town.Ceremony())
		}
		s.tokens(s.town.Members[4], s.houses[:2], "ada")
	}
	for _, h := range s.houses {
		s.wantFiles(h, "share-1-2-1.age")
	}
}

// A dealer that deals a broken share is named, and the ceremony begins again
// without it, and without a trace of the first attempt.
func TestACheat(t *testing.T) {
	for spoiled := range 3 {
		s := play(t, 3)
		cheat := s.town.Members[3]
		s.elect(3, append(slices.Clone(s.town.Members[:3]), cheat)...)
		s.square.Do(func(town *federationtest.Town) { town.Must(town.Hello(cheat)) })
		for _, h := range s.houses { // each greets
			s.town.Must(h.Step(context.Background()))
		}
		s.square.Do(func(town *federationtest.Town) {
			town.Must(federationtest.Node(town, cheat, town.Deal(cheat, town.Members[spoiled].ID)))
		})
		s.settle()
		c := s.town.Ceremony()
		if !c.Done || c.Attempt.Number != 2 || !slices.Equal(c.Accused, []protocol.MemberID{cheat.ID}) {
			t.Fatalf("not named: %+v", c)
		}
		for _, h := range s.houses {
			s.wantFiles(h, "share-1-1-2.age")
		}
		s.tokens(s.town.Members[4], s.houses, "ada")
	}
}

// Whoever lost its own envelope key, or has another one, blames nobody.
func TestALostEnvelopeKey(t *testing.T) {
	s := play(t, 3)
	s.elect(2, s.town.Members[:3]...)
	for _, h := range s.houses {
		s.town.Must(h.Step(context.Background()))
	}
	for _, h := range s.houses {
		s.town.Must(h.Step(context.Background())) // each deals
	}
	loser := s.houses[1]
	another, err := seal.NewEnvelopeKey()
	s.town.Must(err)
	s.town.Must(seal.WriteFile(filepath.Join(loser.cfg.Dir, "ceremony-1-1-1.age"), []seal.Recipient{loser.cfg.Identity.Recipient()}, another.Marshal()))
	wantSilence(t, loser)
	s.town.Must(os.RemoveAll(loser.cfg.Dir))
	wantSilence(t, loser)
}

func wantSilence(t *testing.T, loser *house) {
	t.Helper()
	before := loser.Witness.Size()
	if err := loser.Step(context.Background()); err == nil {
		t.Fatal("it goes on")
	}
	if loser.Witness.Size() != before {
		t.Error("it complained")
	}
}

// The key is handed on. Until the new stewards have it, the old ones answer;
// then the old shares are gone, and the tokens are the same.
func TestHandingOn(t *testing.T) {
	s := play(t, 4)
	s.elect(2, s.town.Members[:3]...)
	s.settle()
	asker := s.town.Members[4]
	before := s.tokens(asker, s.houses[:2], "ada")

	s.elect(2, s.town.Members[1:4]...)
	for !s.town.Ceremony().Done {
		for _, h := range s.houses {
			if !s.town.Ceremony().Done {
				if during := s.tokens(asker, s.houses[1:3], "ada"); !slices.Equal(before, during) {
					t.Fatal("a token changed during the handing-on")
				}
			}
			s.town.Must(h.Step(context.Background()))
		}
	}
	s.settle()
	s.wantFiles(s.houses[0])
	for _, h := range s.houses[1:] {
		s.wantFiles(h, "share-1-2-1.age")
	}
	if after := s.tokens(asker, s.houses[2:], "ada"); !slices.Equal(before, after) {
		t.Error("a token changed with the stewards")
	}
	_, request := s.ticket(asker, "ada")
	request.Set = []uint32{1, 2}
	if reply := s.houses[0].Evaluate(context.Background(), asker.ID, request); reply.GetRefusal() == "" {
		t.Error("a former steward still answers")
	}
}

// A node whose copy of the log was lost reads it again from the beginning, past
// the ceremonies of earlier years: it says nothing in them, and its share stays.
func TestReadingTheLogAgain(t *testing.T) {
	s := play(t, 3)
	for range 2 {
		s.elect(2, s.town.Members[:3]...)
		s.settle()
	}
	h := s.houses[0]
	s.wantFiles(h, "share-1-2-1.age")
	s.square.Leave(h.Author)
	history := federationtest.Town{Federation: s.town.Federation}
	slow := witnesstest.New(t, &history)
	reader := slow.Member(h.Member)
	reader.Log = mute{}
	cfg := h.cfg
	cfg.Author = reader
	again := steward.New(cfg)
	for _, e := range s.town.Entries {
		slow.Do(func(town *federationtest.Town) { s.town.Must(town.Log.Apply(e)) })
		_ = again.Step(context.Background()) // what it cannot say any more is an error
	}
	s.town.Must(again.Step(context.Background()))
	s.wantFiles(h, "share-1-2-1.age")
	reader.Log = s.square
	h.Author, h.Steward = reader, again
	s.houses[0].cfg = cfg
	_, request := s.ticket(s.town.Members[4], "ada")
	request.Set = []uint32{1, 2}
	slow.Do(func(town *federationtest.Town) { s.town.Must(town.Log.Apply(s.town.Entries[len(s.town.Entries)-1])) })
	if reply := again.Evaluate(context.Background(), s.town.Members[4].ID, request); reply.GetRefusal() != "" {
		t.Error(reply.GetRefusal())
	}
}

// mute is a coordinator that takes nothing: the past is over.
type mute struct{}

func (mute) Submit(context.Context, protocol.Label, []byte) (int64, error) {
	return 0, federation.ErrRefused
}
