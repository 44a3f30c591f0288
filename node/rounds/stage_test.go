package rounds_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/author"
	"coulisse/node/importer"
	"coulisse/node/rounds"
	"coulisse/node/steward"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/node/witness/witnesstest"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/match"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// matcher merges what it was sent, with the real rules, in memory.
type matcher struct {
	mu       sync.Mutex
	term     int
	uploads  map[protocol.SourceName][]byte
	labels   map[protocol.SourceName]*bytes.Buffer
	received map[protocol.SourceName][]string // every upload that ever came
	nonsense bool
	hold     chan struct{} // nil, or what was stored is acknowledged once it is closed
}

func newMatcher() *matcher {
	m := &matcher{received: map[protocol.SourceName][]string{}}
	m.lose()
	return m
}

// lose is a change of leader.
func (m *matcher) lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term++
	m.uploads, m.labels = map[protocol.SourceName][]byte{}, map[protocol.SourceName]*bytes.Buffer{}
}

func (m *matcher) Reign(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprint("coord/", m.term), nil
}

func (m *matcher) Upload(_ context.Context, _ protocol.RoundID, source protocol.SourceName, upload io.ReadSeeker) error {
	content, err := io.ReadAll(upload)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads[source] = content
	m.received[source] = append(m.received[source], string(content))
	hold := m.hold
	m.mu.Unlock()
	if hold != nil {
		<-hold
	}
	m.mu.Lock()
	return nil
}

func (m *matcher) Collect(ctx context.Context, _ protocol.RoundID, source protocol.SourceName, w io.Writer) error {
	m.mu.Lock()
	labels, nonsense := m.labels[source], m.nonsense
	m.mu.Unlock()
	if nonsense { // and then nothing more, for ever
		_, _ = w.Write(make([]byte, 4096)) // a line does not know who reads
		<-ctx.Done()
		return ctx.Err()
	}
	if labels == nil {
		return refusal.ErrNotReady
	}
	_, err := w.Write(labels.Bytes())
	return err
}

// merge reports whether every upload was there.
func (m *matcher) merge(t *testing.T, manifest protocol.Manifest) bool {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	program, err := match.Compile(manifest.Rule, manifest.Sources)
	if err != nil {
		t.Fatal(err)
	}
	inputs := make([]match.Input, len(manifest.Sources))
	for i, s := range manifest.Sources {
		if m.uploads[s.Name] == nil {
			return false
		}
		if inputs[i].Upload, err = match.NewReader(bytes.NewReader(m.uploads[s.Name]), match.MaxRecords); err != nil {
			t.Fatal(err)
		}
		if manifest.IsRecipient(s.Name) {
			m.labels[s.Name] = new(bytes.Buffer)
			inputs[i].Labels = m.labels[s.Name]
		}
	}
	if _, err := match.Merge(t.Context(), program, inputs); err != nil {
		t.Fatal(err)
	}
	return true
}

// house is a member with everything that takes part in rounds.
type house struct {
	*federationtest.Member
	author *author.Author
	cfg    rounds.Config
	rounds *rounds.Rounds
	tokens *tokens.Tokeniser
}

// scene is three houses, who are each other's key stewards.
type scene struct {
	t        *testing.T
	town     *federationtest.Town
	square   *witnesstest.Square
	matcher  *matcher
	houses   []*house
	stewards map[protocol.MemberID]*steward.Steward

	mu   sync.Mutex
	deaf map[protocol.MemberID]bool // whose letters are lost
	keys []*wire.RoundKeyDeal       // that were dealt
}

func play(t *testing.T) *scene {
	t.Helper()
	s := &scene{
		t: t, town: federationtest.Found(t, 3), matcher: newMatcher(),
		stewards: map[protocol.MemberID]*steward.Steward{}, deaf: map[protocol.MemberID]bool{},
	}
	s.square = witnesstest.New(t, s.town)
	for i, m := range s.town.Members {
		s.houses = append(s.houses, s.house(i, m))
	}
	s.square.Do(func(town *federationtest.Town) {
		for _, p := range policies.Shipped() {
			town.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: p.Name, Text: p.Text}})
		}
		town.Elect(2, town.Members...)
	})
	for !s.town.Ceremony().Done {
		for _, x := range s.stewards {
			s.town.Must(x.Step(t.Context()))
		}
	}
	return s
}

func (s *scene) house(i int, m *federationtest.Member) *house {
	s.t.Helper()
	identity, err := seal.NewIdentity()
	s.town.Must(err)
	quiet := slog.New(slog.DiscardHandler)
	h := &house{Member: m, author: s.square.Member(m)}
	s.stewards[m.ID] = steward.New(steward.Config{Dir: s.t.TempDir(), Identity: identity, Author: h.author, Logger: quiet})
	store, err := warehouse.Open(s.t.Context(), warehouse.Config{Path: filepath.Join(s.t.TempDir(), "w.duckdb"), MemoryMB: 128})
	s.town.Must(err)
	s.t.Cleanup(func() { s.town.Must(store.Close()) })
	options := importer.Options{Kind: importer.Tickets, File: "t.csv", SpoolDir: s.t.TempDir()}
	_, err = importer.Import(s.t.Context(), strings.NewReader(sales(i)), options, store.Intake())
	s.town.Must(err)
	send := func(ctx context.Context, to protocol.MemberID, letter *wire.Letter) error {
		return s.send(ctx, h, to, letter)
	}
	h.tokens = tokens.New(tokens.Config{
		Dir: s.t.TempDir(), Identity: identity, Author: h.author, Warehouse: store, Send: send, Logger: quiet,
	})
	h.cfg = rounds.Config{
		Dir: s.t.TempDir(), Identity: identity, Author: h.author, Warehouse: store, Tokeniser: h.tokens, Matcher: s.matcher,
		Own: func() (policies.Own, error) { return policies.Own{}, nil }, Send: send, Logger: quiet,
	}
	s.start(h)
	return h
}

// people of each house: those up to 60 that its number does not divide, by 2, 3
// and 5; some for theatre.
var divisors = []int{2, 3, 5}

func knows(house, person int) bool { return person%divisors[house] != 0 }

func sales(house int) string {
	var csv strings.Builder
	csv.WriteString("email,order,event,discipline,venue,date,quantity,amount,pooling,activation\n")
	for person := 1; person <= 60; person++ {
		discipline := "Danse contemporaine"
		if person > 50 {
			discipline = "Théâtre"
		}
		if knows(house, person) {
			fmt.Fprintf(&csv, "personne.%d@example.org,%d,Soir,%s,Salle,2026-03-01,1,40.00,yes,yes\n", person, person, discipline)
		}
	}
	return csv.String()
}

// truth is how many of a house's people at least two houses know, among those
// up to a number.
func truth(house, upTo int) int {
	n := 0
	for person := 1; person <= upTo; person++ {
		known := 0
		for h := range divisors {
			if knows(h, person) {
				known++
			}
		}
		if knows(house, person) && known >= 2 {
			n++
		}
	}
	return n
}

// start is a new process in the same folder.
func (s *scene) start(h *house) {
	s.t.Helper()
	var err error
	h.rounds, err = rounds.New(h.cfg)
	s.town.Must(err)
}

// send is the relay.
func (s *scene) send(ctx context.Context, from *house, to protocol.MemberID, letter *wire.Letter) error {
	switch content := letter.GetContent().(type) {
	case *wire.Letter_Evaluate:
		from.tokens.Deliver(to, s.stewards[to].Evaluate(ctx, from.ID, content.Evaluate))
	case *wire.Letter_RoundKey:
		s.mu.Lock()
		deaf := s.deaf[to]
		s.keys = append(s.keys, content.RoundKey)
		s.mu.Unlock()
		for _, h := range s.houses {
			if h.ID == to && !deaf {
				return h.rounds.DeliverKey(ctx, from.ID, content.RoundKey)
			}
		}
	}
	return nil
}

func (s *scene) propose(change func(*protocol.Manifest)) protocol.RoundID {
	s.t.Helper()
	m := s.town.Manifest(s.town.Members...)
	m.Deadline = protocol.At(time.Now().Add(time.Hour)) // the houses have real clocks
	s.square.Do(func(town *federationtest.Town) {
		town.Now = max(town.Now, protocol.At(time.Now()))
		m.Round = protocol.RoundID(fmt.Sprintf("%032x", federation.Size(&town.Log)))
		m.Policies = town.View().Last
		for i := range m.Sources {
			m.Sources[i].Definition.Disciplines = []string{"dance.contemporary"}
		}
		if change != nil {
			change(&m)
		}
		town.Begin(m)
	})
	return m.Round
}

func (s *scene) round(id protocol.RoundID) (r federation.Round) {
	s.square.Do(func(town *federationtest.Town) { r = town.Round(id) })
	return r
}

// turn has every house do what is due, and then the office.
func (s *scene) turn(id protocol.RoundID) {
	s.t.Helper()
	for _, h := range s.houses {
		s.town.Must(h.rounds.Step(s.t.Context()))
	}
	for _, h := range s.houses {
		h.rounds.Wait()
	}
	s.square.Do(func(town *federationtest.Town) {
		r := town.Round(id)
		m := r.Content()
		switch {
		case r.Stage == federation.Accepted:
			town.Must(federationtest.State(town, town.Reservation(r)))
		case r.Stage == federation.Keyed && r.Uploads == len(m.Sources):
			town.Must(federationtest.State(town, protocol.Opening{RoundRef: r.Ref()}))
		case r.Stage == federation.Opened && s.matcher.merge(s.t, m):
			town.Must(federationtest.State(town, town.Result(r)))
		case r.Stage == federation.Published:
			s.matcher.merge(s.t, m)
		}
	})
}

// until takes turns until a round is at a stage. between comes before each.
func (s *scene) until(id protocol.RoundID, stage federation.Stage, between func()) federation.Round {
	s.t.Helper()
	// Patience for a house that pauses after an attempt that failed.
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		r := s.round(id)
		if r.Stage == stage {
			return r
		}
		if r.Stage.Ended() {
			s.t.Fatalf("the round ended %s by %s: %+v", r.Stage, r.By, r.Reason)
		}
		if between != nil {
			between()
		}
		s.turn(id)
	}
	s.t.Fatalf("the round stays %s", s.round(id).Stage)
	return federation.Round{}
}

// wantClean: of a round that ended nothing is left but labels.
func (s *scene) wantClean(id protocol.RoundID) {
	s.t.Helper()
	for range 3 { // what is at work ends, it is deleted, it is forgotten
		s.turn(id)
	}
	for _, h := range s.houses {
		entries, err := os.ReadDir(h.cfg.Dir)
		s.town.Must(err)
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".labels.age") {
				s.t.Errorf("%s keeps %s", h.ID, e.Name())
			}
		}
		if n := h.rounds.Remembered(); n > 0 {
			s.t.Errorf("%s remembers %d rounds that ended", h.ID, n)
		}
	}
}

func (s *scene) wantLabels(h *house, id protocol.RoundID, want int) {
	s.t.Helper()
	labelled, err := h.rounds.Labelled(id)
	if err != nil || len(labelled) != want || !slices.IsSorted(labelled) {
		s.t.Errorf("%d labels, want %d: %v", len(labelled), want, err)
	}
}
