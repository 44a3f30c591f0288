package federation_test

import (
	"bytes"
	"fmt"
	"testing"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"

	"github.com/go-json-experiment/json/jsontext"
)

func TestReplays(t *testing.T) {
	town := Found(t, 3).Keyed()
	// The same bytes are known; the same signature in another spelling is no
	// document at all.
	last := town.Entries[len(town.Entries)-1]
	wants(t, town.Append(last.Label, last.Doc), federation.ErrAlready)

	s := SignNode(town, town.Members[0], ticket(1, 10))
	document, err := protocol.Canonical(s)
	town.Must(err)
	town.Must(town.Append(protocol.LabelTicket, document))
	spare := bytes.Replace(document, []byte(`=="}`), nil, 1)
	if len(spare) == len(document) {
		t.Fatal("a signature does not end in base64 padding")
	}
	last64 := spare[len(spare)-1]
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		if c == last64 {
			continue
		}
		other := append(append(bytes.Clone(spare[:len(spare)-1]), c), `=="}`...)
		if town.Append(protocol.LabelTicket, other) == nil {
			t.Fatal("another spelling of the signature was accepted")
		}
	}
	wants(t, town.Append(protocol.LabelTicket, jsontext.Value(`{"by":"a"}`)), protocol.ErrMalformed)
	wants(t, town.Append("gossip", jsontext.Value(`{}`)), federation.ErrRefused)
	wants(t, town.Append(protocol.LabelTicket, bytes.Repeat([]byte("x"), protocol.MaxDocument+1)), federation.ErrRefused)
	// A document of one kind is not one of another.
	hello, err := protocol.Canonical(SignNode(town, town.Members[0], ticket(2, 10)))
	town.Must(err)
	if town.Append(protocol.LabelUpload, hello) == nil {
		t.Fatal("a ticket passed for an upload")
	}
}

func TestAnswersAreFinal(t *testing.T) {
	town := Found(t, 4).Keyed()
	a, b, d := town.Members[0], town.Members[1], town.Members[3]
	id := town.Open(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "p1", Text: "x"}})
	town.Must(Vote(town, a, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	wants(t, Vote(town, a, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})), federation.ErrAlready)
	wants(t, Vote(town, a, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.Against})), federation.ErrRefused)

	m := town.Manifest(a, b)
	r := town.Begin(m)
	other := m
	other.Title = protocol.Text{FR: "Autre", EN: "Other"}
	wants(t, Node(town, b, other), federation.ErrRefused) // squats the number
	town.Must(Node(town, a, protocol.Ack{RoundRef: r.Ref()}))
	wants(t, Node(town, a, protocol.Ack{RoundRef: r.Ref()}), federation.ErrAlready)
	no := protocol.Text{FR: "Non.", EN: "No."}
	wants(t, Node(town, a, protocol.Ack{RoundRef: r.Ref(), Refusal: &no}), federation.ErrRefused)
	wants(t, Node(town, d, protocol.Ack{RoundRef: r.Ref()}), federation.ErrRefused)
	town.Must(Node(town, b, protocol.Ack{RoundRef: r.Ref()}))
	town.Must(State(town, town.Reservation(r)))

	mac := protocol.HashOf([]byte("round key"))
	town.Must(Node(town, a, protocol.KeyConfirm{RoundRef: r.Ref(), MAC: mac}))
	wants(t, Node(town, a, protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf(nil)}), federation.ErrRefused)
	town.Must(Node(town, b, protocol.KeyConfirm{RoundRef: r.Ref(), MAC: mac}))

	upload := protocol.Upload{RoundRef: r.Ref(), Source: m.Sources[0].Name, Digest: mac}
	wants(t, Node(town, d, upload), federation.ErrRefused) // takes no part
	wants(t, Node(town, b, upload), federation.ErrRefused) // another's source
	town.Must(Node(town, a, upload))
	wants(t, Node(town, a, upload), federation.ErrAlready)
	upload.Digest = protocol.HashOf(nil)
	wants(t, Node(town, a, upload), federation.ErrRefused)
	wants(t, State(town, protocol.Opening{RoundRef: r.Ref()}), federation.ErrRefused) // b's is missing
	upload.Source = m.Sources[1].Name
	town.Must(Node(town, b, upload))
	town.Must(State(town, protocol.Opening{RoundRef: r.Ref()}))
	wants(t, State(town, protocol.Opening{RoundRef: r.Ref()}), federation.ErrAlready)
	replayed(t, town)
}

func TestKeysThatDifferAbort(t *testing.T) {
	town := Found(t, 3).Keyed()
	r := town.Begin(town.Manifest(town.Members[0], town.Members[1]))
	r = town.Advance(r.ID, federation.Reserved)
	town.Must(Node(town, town.Members[0], protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf([]byte("one"))}))
	town.Must(Node(town, town.Members[1], protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf([]byte("other"))}))
	if r = town.Round(r.ID); r.Stage != federation.Aborted || r.By != "" || town.Ledger().Reserved != 0 {
		t.Fatalf("%s, blames %q, reserved %d", r.Stage, r.By, town.Ledger().Reserved)
	}
}

func TestForkedHeadRefused(t *testing.T) {
	town := Found(t, 3)
	a := town.Members[0]
	s := SignVote(town, a, town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	for name, head := range map[string]protocol.Head{
		"another root": {Size: 1, Root: protocol.HashOf([]byte("another log"))},
		"the future":   {Size: 2, Root: s.Head.Root},
		"nothing":      {},
		"negative":     {Size: -1, Root: s.Head.Root},
	} {
		signer := protocol.Signer[key.Vote]{Federation: town.Federation, By: protocol.PartyID(a.ID), Key: a.Vote}
		forked, err := protocol.Sign(signer, head, town.Proposal(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
		town.Must(err)
		if err := Post(town, forked); err == nil {
			t.Fatalf("%s: accepted", name)
		} else {
			wants(t, err, federation.ErrFork)
		}
	}
	// The head is under the signature: it cannot be put right on the way.
	s.Head.Size = 0
	wants(t, Post(town, s), federation.ErrFork)
}

func TestManifestAltered(t *testing.T) {
	town := Found(t, 3).Keyed()
	a, b, c := town.Members[0], town.Members[1], town.Members[2]
	s := SignNode(town, a, town.Manifest(a, b))
	s.Body = bytes.Replace(s.Body, []byte("Dance lovers"), []byte("Dance haters"), 1)
	wants(t, Post(town, s), protocol.ErrSignature)
	s = SignNode(town, a, town.Manifest(a, b))
	s.By = protocol.PartyID(b.ID)
	wants(t, Post(town, s), protocol.ErrSignature)

	for name, edit := range map[string]func(*protocol.Manifest){
		"old decisions":    func(m *protocol.Manifest) { m.Policies = town.Federation },
		"another epoch":    func(m *protocol.Manifest) { m.Epoch = 2 },
		"past deadline":    func(m *protocol.Manifest) { m.Deadline = town.Now - 1 },
		"far deadline":     func(m *protocol.Manifest) { m.Deadline = town.Now + 8*Day },
		"a stranger":       func(m *protocol.Manifest) { m.Sources[1].Member = "un-inconnu" },
		"union":            func(m *protocol.Manifest) { m.Rule.AtLeast.T = 1 },
		"too little noise": func(m *protocol.Manifest) { m.Noise.Total = 99 },
		"too dear":         func(m *protocol.Manifest) { m.Noise.Total, m.Noise.Sources = 100, 66 },
		"not the author's": func(m *protocol.Manifest) { *m = town.Manifest(b, c) },
	} {
		m := town.Manifest(a, b)
		edit(&m)
		if err := Node(town, a, m); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wants(t, err, federation.ErrRefused)
		}
	}
}

func TestResultOfWrongShape(t *testing.T) {
	town := Found(t, 3).Keyed()
	r := town.Begin(town.Manifest(town.Members[0], town.Members[1]))
	r = town.Advance(r.ID, federation.Opened)
	for name, edit := range map[string]func(*protocol.Result){
		"a source missing":  func(r *protocol.Result) { r.Sources = r.Sources[:1] },
		"sources swapped":   func(r *protocol.Result) { r.Sources[0], r.Sources[1] = r.Sources[1], r.Sources[0] },
		"less noise":        func(r *protocol.Result) { r.Size.Variance-- },
		"less noise, parts": func(r *protocol.Result) { r.Sources[1].Figure.Variance = 1 },
		"narrow interval":   func(r *protocol.Result) { r.Size.Low++ },
		"wide interval":     func(r *protocol.Result) { r.Sources[0].Figure.High++ },
		"under the floor":   func(r *protocol.Result) { r.Size = figure(t, 66) },
		"another manifest":  func(r *protocol.Result) { r.Manifest = protocol.HashOf(nil) },
	} {
		result := town.Result(r)
		edit(&result)
		if err := State(town, result); err == nil {
			t.Fatalf("%s: accepted", name)
		} else {
			wants(t, err, federation.ErrRefused)
		}
	}
	result := town.Result(r)
	result.Size = figure(t, 67) // 20 + 2.33 * 20, rounded up
	result.Sources[0].Figure = protocol.Figure{Variance: Noise, Suppressed: protocol.BelowFloor}
	town.Must(State(town, result))
	wants(t, State(town, result), federation.ErrAlready)
}

func figure(t *testing.T, value int64) protocol.Figure {
	t.Helper()
	low, high, err := dp.Interval(value, Noise, 95)
	if err != nil {
		t.Fatal(err)
	}
	return protocol.Figure{Value: value, Low: low, High: high, Variance: Noise}
}

func TestExpulsion(t *testing.T) {
	town := Found(t, 5).Keyed()
	a, b, c, d, e := town.Members[0], town.Members[1], town.Members[2], town.Members[3], town.Members[4]
	// d proposes, e votes, and both are expelled before the first vote closes.
	s := SignVote(town, d, town.Proposal(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "p1", Text: "x"}}))
	town.Must(Post(town, s))
	uncosigned := protocol.ID(town.Federation, s)
	open := town.Open(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "p2", Text: "x"}})
	town.Must(Vote(town, d, protocol.NewBallot(protocol.Vote{Proposal: open, Choice: protocol.For})))
	town.Must(Vote(town, e, protocol.NewBallot(protocol.Vote{Proposal: open, Choice: protocol.For})))
	town.Must(Vote(town, a, protocol.NewBallot(protocol.Vote{Proposal: open, Choice: protocol.Against})))
	r := town.Begin(town.Manifest(a, d))
	r = town.Advance(r.ID, federation.Keyed)

	town.Decide(protocol.Effect{Expel: d.ID})
	if got := town.Round(r.ID); got.Stage != federation.Aborted || town.Ledger().Reserved != 0 {
		t.Fatalf("the round with the expelled is %s", got.Stage)
	}
	town.Decide(protocol.Effect{Expel: e.ID})
	wants(t, Vote(town, a, protocol.Cosign{Proposal: uncosigned}), governance.ErrCosign)
	wants(t, Vote(town, e, protocol.Cosign{Proposal: open}), governance.ErrCosign)
	wants(t, Vote(town, d, protocol.NewBallot(protocol.Vote{Proposal: open, Choice: protocol.For})), governance.ErrBallot)
	wants(t, Vote(town, d, town.Proposal(protocol.Effect{Expel: a.ID})), governance.ErrProposal)
	wants(t, Node(town, d, ticket(1, 1)), federation.ErrRefused)

	town.Must(Vote(town, b, protocol.NewBallot(protocol.Vote{Proposal: open, Choice: protocol.Abstain})))
	town.Must(Vote(town, c, protocol.NewBallot(protocol.Vote{Proposal: open, Choice: protocol.For})))
	town.Must(State(town, protocol.Close{Proposal: open}))
	decision := federation.Decisions(&town.Log, 3)[0]
	if want := (protocol.Tally{Members: 3, Count: protocol.Count{For: 1, Against: 1, Abstain: 1}}); !decision.Tally.Equal(want) || decision.Carried {
		t.Fatalf("%+v, carried %v: the ballots of the expelled count", decision.Tally, decision.Carried)
	}
	replayed(t, town)
}

func TestKeyHolderIsNotExpelledBeforeTheHandingOn(t *testing.T) {
	town := Found(t, 5).Keyed()
	a := town.Members[0]
	expel := protocol.Effect{Expel: a.ID}
	wants(t, Vote(town, a, town.Proposal(expel)), governance.ErrEffect) // an elected steward
	town.Elect(2, town.Members[2:]...)
	wants(t, Vote(town, a, town.Proposal(expel)), federation.ErrRefused) // holds the key still
	town.RunCeremony()
	town.Decide(expel)
	if _, ok := town.View().Active(a.ID); ok {
		t.Fatal("still a member")
	}
	replayed(t, town)
}

func TestFloods(t *testing.T) {
	town := Found(t, 10).Keyed()
	a, b := town.Members[0], town.Members[1]
	grant := func(n int64) protocol.Effect {
		return protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: dp.NanoRho(n)}}
	}
	for n := range int64(federation.MaxPending) {
		town.Must(Vote(town, a, town.Proposal(grant(n+1))))
	}
	wants(t, Vote(town, a, town.Proposal(grant(99))), federation.ErrRefused)
	town.Must(Vote(town, b, town.Proposal(grant(99))))
	town.Now += 2 * Day
	town.Must(Vote(town, a, town.Proposal(grant(100)))) // the others lapsed

	last := town.Members[len(town.Members)-1]
	for i, m := range town.Members {
		pair := []*Member{m, last}
		if m == last {
			pair = []*Member{a, m}
		}
		for n := range federation.MaxRunning {
			err := Node(town, m, town.Manifest(pair...))
			if full := i*federation.MaxRunning+n >= federation.MaxRounds; full && n > 0 {
				wants(t, err, federation.ErrRefused)
			} else if err != nil {
				t.Fatalf("member %d, round %d: %v", i, n, err)
			}
		}
		wants(t, Node(town, m, town.Manifest(pair...)), federation.ErrRefused)
	}
	running := federation.RunningRounds(&town.Log)
	if want := federation.MaxRounds + 2; len(running) != want {
		t.Fatalf("%d rounds under way, want %d", len(running), want)
	}
	reason := protocol.Text{FR: "Assez.", EN: "Enough."}
	town.Must(Node(town, a, protocol.Abort{RoundRef: running[0].Ref(), Reason: reason}))
	if got := len(federation.RunningRounds(&town.Log)); got != len(running)-1 {
		t.Fatalf("%d rounds under way after one ended", got)
	}
}

func TestDecisionEndsRoundsAgreedBefore(t *testing.T) {
	town := Found(t, 3).Keyed()
	a, b := town.Members[0], town.Members[1]
	policy := protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "stricte", Text: "x"}}
	stages := map[federation.Stage]federation.Stage{
		federation.Proposed: federation.Aborted, federation.Accepted: federation.Aborted,
		federation.Reserved: federation.Aborted, federation.Keyed: federation.Aborted,
		federation.Opened: federation.Opened, federation.Published: federation.Published,
	}
	rounds := map[federation.Stage]protocol.RoundID{}
	for stage := range stages {
		r := town.Begin(town.Manifest(a, b))
		town.Advance(r.ID, stage)
		rounds[stage] = r.ID
	}
	town.Decide(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 5}}) // changes no rule
	for stage, id := range rounds {
		if got := town.Round(id).Stage; got != stage {
			t.Fatalf("a grant moved a round from %s to %s", stage, got)
		}
	}
	town.Decide(policy)
	for stage, id := range rounds {
		if got := town.Round(id).Stage; got != stages[stage] {
			t.Fatalf("the policy moved a round from %s to %s", stage, got)
		}
	}
	if town.Ledger().Reserved != 0 {
		t.Fatalf("%d stay reserved", town.Ledger().Reserved)
	}
	replayed(t, town)
}

func TestComplaints(t *testing.T) {
	town := Found(t, 5)
	m := town.Members
	town.Elect(3, m...)
	for _, one := range m {
		town.Must(town.Hello(one))
	}
	for _, one := range m[:4] {
		town.Must(Node(town, one, town.Deal(one, "")))
	}
	complain := func(by, against *Member) error {
		return Node(town, by, protocol.Complaint{Attempt: town.Ceremony().Attempt, Against: against.ID})
	}
	wants(t, complain(m[0], m[4]), federation.ErrRefused) // silent, but not for long
	town.Now += protocol.Millis(federation.Patience) + Second
	town.Must(complain(m[0], m[4]))
	if c := town.Ceremony(); c.Attempt.Number != 2 || len(c.Receivers) != 4 {
		t.Fatalf("%+v", c)
	}
	// One false steward removes one other, and one more, and no more: the
	// roll of 5 can lose 2.
	deal := func() {
		for _, h := range town.Ceremony().Receivers {
			town.Must(town.Hello(town.Member(h.Member)))
		}
		for _, h := range town.Ceremony().Dealers {
			town.Must(Node(town, town.Member(h.Member), town.Deal(town.Member(h.Member), "")))
		}
	}
	deal()
	town.Must(complain(m[3], m[0]))
	deal()
	if c := town.Ceremony(); len(c.Receivers) != 3 || c.Failed {
		t.Fatalf("%+v", c)
	}
	town.Must(complain(m[3], m[1]))
	if c := town.Ceremony(); !c.Failed {
		t.Fatalf("two are left and the ceremony goes on: %+v", c)
	}
	// The members elect again, and the false steward's quota is a roll's.
	town.Elect(3, m...)
	deal()
	town.Must(complain(m[3], m[0]))
	deal()
	town.Must(complain(m[3], m[1]))
	deal()
	wants(t, complain(m[3], m[2]), federation.ErrRefused)
	if c := town.Ceremony(); c.Failed || len(c.Receivers) != 3 {
		t.Fatalf("%+v", fmt.Sprint(c.Accused))
	}
	replayed(t, town)
}
