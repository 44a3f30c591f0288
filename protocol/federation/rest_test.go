package federation_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
)

func TestLogBeginsWithTheGenesis(t *testing.T) {
	town := New(t, 3)
	genesis, err := protocol.Canonical(town.Founding)
	town.Must(err)
	if _, err := federation.View(&town.Log); !errors.Is(err, federation.ErrNotFound) {
		t.Fatalf("a view of nothing: %v", err)
	}
	wants(t, town.Append(protocol.LabelBallot, []byte(`{}`)), federation.ErrRefused)
	town.Must(town.Append(protocol.LabelGenesis, genesis))
	other := New(t, 3)
	second, err := protocol.Canonical(other.Founding)
	town.Must(err)
	wants(t, town.Append(protocol.LabelGenesis, second), federation.ErrRefused)

	e := protocol.Entry{Seq: 2, At: town.Now, Label: protocol.LabelBallot, Doc: []byte(`{}`)}
	wants(t, town.Log.Apply(e), federation.ErrOrder)
	e.Seq, e.At = 1, Morning-1
	wants(t, town.Log.Apply(e), federation.ErrOrder)
	e.At = protocol.MaxInstant + 1
	wants(t, town.Log.Apply(e), federation.ErrOrder)

	raw, ok := federation.EntryBytes(&town.Log, 0)
	if entry, err := protocol.Decode[protocol.Entry](raw); !ok || err != nil || !bytes.Equal(entry.Doc, genesis) {
		t.Errorf("the genesis is kept as something else: %v", err)
	}
	if founding, err := federation.Founding(&town.Log); err != nil || founding.Genesis.At != Morning {
		t.Errorf("%v", err)
	}
}

func TestEnrolment(t *testing.T) {
	town := Found(t, 3)
	e := protocol.Enrolment{Member: town.Members[0].ID, Certificate: protocol.HashOf(nil), Until: town.Now + Day}
	town.Must(State(town, e))
	if got, ok := federation.Enrolled(&town.Log, e.Member); !ok || got != e {
		t.Fatalf("%+v", got)
	}
	e.Member = "un-inconnu"
	wants(t, State(town, e), federation.ErrRefused)
	stranger := SignReplica(town, e)
	stranger.By = "coord-9"
	wants(t, Post(town, stranger), federation.ErrRefused)
}

func TestVotesThatAreDue(t *testing.T) {
	town := Found(t, 3).Keyed()
	due := func(at protocol.Millis) int {
		ids, err := federation.DueProposals(&town.Log, at)
		town.Must(err)
		return len(ids)
	}
	id := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	if due(town.Now) != 0 || due(town.Now+2*Day) != 1 {
		t.Error("a vote is due when its time is up")
	}
	wants(t, State(town, protocol.Close{Proposal: id}), federation.ErrRefused)
	for _, m := range town.Members {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.Against})))
	}
	if due(town.Now) != 1 {
		t.Error("a vote is due when everybody has voted")
	}
	town.Must(State(town, protocol.Close{Proposal: id}))
	wants(t, State(town, protocol.Close{Proposal: id}), federation.ErrAlready)
	if due(town.Now+2*Day) != 0 {
		t.Error("a closed vote is due")
	}
	wants(t, State(town, protocol.Close{Proposal: protocol.HashOf(nil)}), federation.ErrNotFound)

	// The charter's bounds on how long a vote stays open.
	long := town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})
	long.Closes = town.Now + 31*Day
	s := SignVote(town, town.Members[0], long)
	town.Must(Post(town, s))
	cosign := protocol.Cosign{Proposal: protocol.ID(town.Federation, s)}
	wants(t, Vote(town, town.Members[1], cosign), federation.ErrRefused)
	town.Now += 2 * Day // within the bounds now
	town.Must(Vote(town, town.Members[1], cosign))
	wants(t, Vote(town, town.Members[2], cosign), federation.ErrAlready)
	town.Now = long.Closes + 1
	wants(t, Vote(town, town.Members[0], protocol.NewBallot(protocol.Vote{Proposal: cosign.Proposal, Choice: protocol.For})), federation.ErrRefused)
	past := town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 3}})
	past.Closes = town.Now
	wants(t, Vote(town, town.Members[0], past), federation.ErrRefused)
}

func TestBadDeals(t *testing.T) {
	town := Found(t, 4)
	a, b, c, d := town.Members[0], town.Members[1], town.Members[2], town.Members[3]
	town.Elect(2, a, b, c)
	attempt := town.Ceremony().Attempt
	other := NewMember(t, "autre").Envelope.Public()
	wants(t, town.Hello(d), federation.ErrRefused)
	town.Must(town.Hello(a))
	wants(t, Node(town, a, protocol.Hello{Attempt: attempt, Envelope: other}), federation.ErrRefused)
	next := attempt
	next.Number++
	wants(t, Node(town, b, protocol.Hello{Attempt: next, Envelope: other}), federation.ErrRefused)
	wants(t, Node(town, a, protocol.Deal{
		Attempt: attempt, Dealing: []byte{1}, Shares: []protocol.SealedShare{{To: b.ID, Sealed: []byte{1}}},
	}), federation.ErrRefused) // too soon
	town.Must(town.Hello(b))
	town.Must(town.Hello(c))
	good := town.Deal(a, "")
	for name, edit := range map[string]func(*protocol.Deal){
		"nonsense":        func(d *protocol.Deal) { d.Dealing = []byte("nonsense") },
		"a flipped bit":   func(d *protocol.Deal) { d.Dealing = bytes.Clone(d.Dealing); d.Dealing[len(d.Dealing)-1] ^= 1 },
		"another's":       func(d *protocol.Deal) { d.Dealing = town.Deal(b, "").Dealing },
		"a share missing": func(d *protocol.Deal) { d.Shares = d.Shares[:2] },
		"for a stranger": func(d *protocol.Deal) {
			d.Shares = append(slices.Clone(d.Shares[:2]), protocol.SealedShare{To: "membre-04", Sealed: []byte{1}})
		},
	} {
		doc := good
		edit(&doc)
		if err := Node(town, a, doc); !errors.Is(err, federation.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wants(t, Node(town, d, good), federation.ErrRefused)
	wants(t, Node(town, a, protocol.Ready{Attempt: attempt, PublicKey: []byte{1}}), federation.ErrRefused)
	town.Must(Node(town, a, good))
	wants(t, Node(town, a, town.Deal(a, "")), federation.ErrAlready)
	town.Must(Node(town, b, town.Deal(b, "")))
	town.Must(Node(town, c, town.Deal(c, "")))
	wants(t, Node(town, a, protocol.Ready{Attempt: attempt, PublicKey: []byte{1}}), federation.ErrRefused)
	wants(t, Node(town, d, protocol.Complaint{Attempt: attempt, Against: a.ID}), federation.ErrRefused)
	ready, _ := town.Receive(a)
	town.Must(Node(town, a, ready))
	wants(t, Node(town, a, ready), federation.ErrAlready)
	wants(t, Node(town, a, protocol.Complaint{Attempt: attempt, Against: b.ID}), federation.ErrRefused)
	// A steward that says nothing at the end is left out in time too.
	town.Now += protocol.Millis(federation.Patience) + Second
	town.Must(Node(town, a, protocol.Complaint{Attempt: attempt, Against: c.ID}))
	if got := town.Ceremony(); len(got.Receivers) != 2 || got.Attempt.Number != 2 {
		t.Fatalf("%+v", got)
	}
}

// TestRefusalsAreWorded: whatever is refused is refused in both languages.
func TestRefusalsAreWorded(t *testing.T) {
	town := Found(t, 3).Keyed()
	err := Node(town, town.Members[0], protocol.Abort{
		RoundRef: protocol.RoundRef{Round: "00000000000000000000000000000000", Manifest: protocol.HashOf(nil)},
		Reason:   protocol.Text{FR: "a", EN: "b"},
	})
	wants(t, err, federation.ErrNotFound)
	m := town.Manifest(town.Members[0], town.Members[1])
	m.Deadline = town.Now + 8*Day
	err = Node(town, town.Members[0], m)
	var refusal protocol.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("no words: %v", err)
	}
	words := refusal.Words()
	if words.FR != "L'échéance d'une ronde est à venir, dans 168h0m0s au plus." || !strings.HasPrefix(words.EN, "The deadline of a round") {
		t.Errorf("%+v", words)
	}
	r := town.Begin(town.Manifest(town.Members[0], town.Members[1]))
	town.Advance(r.ID, federation.Closed)
	if err = State(town, protocol.Opening{RoundRef: r.Ref()}); !errors.Is(err, federation.ErrAlready) {
		t.Errorf("%v", err)
	}
	err = Node(town, town.Members[0], protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf([]byte("x"))})
	wants(t, err, federation.ErrRefused)
	err = Node(town, town.Members[0], protocol.Upload{RoundRef: r.Ref(), Source: r.Content().Sources[0].Name, Digest: protocol.HashOf(nil)})
	wants(t, err, federation.ErrRefused)
	err = Node(town, town.Members[0], protocol.Abort{RoundRef: r.Ref(), Reason: protocol.Text{FR: "a", EN: "b"}})
	if !errors.As(err, &refusal) || refusal.Words().FR != "Ce document vient trop tôt ou trop tard\u00a0: la ronde est terminée." {
		t.Errorf("%v", err)
	}
}

// BenchmarkAck is one answer in a round of 150 members: what a decision of the
// whole federation costs a replica or a node, an entry.
func BenchmarkAck(b *testing.B) {
	town := Found(b, 150).Keyed()
	m := town.Manifest(town.Members...)
	m.Noise.Sources = 10_000
	r := town.Begin(m)
	acks := []protocol.Entry{}
	for _, m := range town.Members[:len(town.Members)-1] {
		doc, err := protocol.Canonical(SignNode(town, m, protocol.Ack{RoundRef: r.Ref()}))
		town.Must(err)
		acks = append(acks, protocol.Entry{At: town.Now, Label: protocol.LabelAck, Doc: doc})
	}
	n := 0
	for b.Loop() {
		if n == len(acks) {
			b.StopTimer()
			town, n = town.Again(), 0
			b.StartTimer()
		}
		acks[n].Seq = federation.Size(&town.Log)
		town.Must(town.Log.Apply(acks[n]))
		n++
	}
}
