package federation_test

import (
	"errors"
	"fmt"
	"testing"

	"coulisse/crypto/oprf"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

// wants checks an error's kind.
func wants(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want %v", err, kind)
	}
}

func TestLife(t *testing.T) {
	town := Found(t, 4)
	a, b, c, d := town.Members[0], town.Members[1], town.Members[2], town.Members[3]

	// Stewards are elected; one of them deals a broken share, and the ceremony
	// starts again without it.
	town.Elect(2, a, b, c)
	if got := town.Ceremony(); len(got.Receivers) != 3 || got.Attempt != (protocol.Attempt{Epoch: 1, Roll: 1, Number: 1}) {
		t.Fatalf("the ceremony began as %+v", got)
	}
	for _, m := range []*Member{a, b, c} {
		town.Must(town.Hello(m))
	}
	town.Must(Node(town, a, town.Deal(a, "")))
	town.Must(Node(town, b, town.Deal(b, c.ID)))
	town.Must(Node(town, c, town.Deal(c, "")))
	ready, wrong := town.Receive(a)
	if wrong != "" {
		t.Fatalf("a complains of %s", wrong)
	}
	town.Must(Node(town, a, ready))
	if _, wrong = town.Receive(c); wrong != b.ID {
		t.Fatalf("c complains of %q", wrong)
	}
	town.Must(Node(town, c, protocol.Complaint{Attempt: town.Ceremony().Attempt, Against: b.ID}))
	if got := town.Ceremony(); got.Attempt.Number != 2 || len(got.Receivers) != 2 || got.Readies != 0 {
		t.Fatalf("after the complaint: %+v", got)
	}
	first := town.RunCeremony()
	checkShares(t, first, a, c)

	// A second election hands the same key to others.
	town.Elect(2, b, c, d)
	second := town.RunCeremony()
	if !group(t, first).Equal(group(t, second)) {
		t.Fatal("the handing-on changed the key")
	}
	checkShares(t, second, b, c, d)

	// A policy, then tickets.
	town.Decide(protocol.Effect{SetPolicy: &protocol.PolicyText{Name: "prudence", Text: "forbid(principal, action, resource);"}})
	if view := town.View(); len(view.Policies) != 1 || view.Decisions != 3 {
		t.Fatalf("%d policies after %d decisions", len(view.Policies), view.Decisions)
	}
	for i := range int64(2) {
		town.Must(Node(town, d, ticket(i+1, 4096)))
	}
	wants(t, Node(town, d, ticket(3, 4096)), federation.ErrRefused)
	town.Must(Node(town, d, ticket(3, 10_000-2*4096)))
	wants(t, Node(town, d, ticket(4, 1)), federation.ErrRefused)

	// A round, from its manifest to its last label.
	r := town.Begin(town.Manifest(a, b, c))
	stages := []federation.Stage{federation.Accepted, federation.Reserved, federation.Keyed, federation.Opened, federation.Published, federation.Closed}
	for _, stage := range stages {
		r = town.Advance(r.ID, stage)
		checkLedger(t, town, r)
	}
	if len(federation.RunningRounds(&town.Log)) != 0 {
		t.Fatal("a closed round is still under way")
	}
	replayed(t, town)
}

// group is the public key itself, which a handing-on keeps.
func group(t *testing.T, k federation.Key) oprf.Element {
	t.Helper()
	public, err := oprf.ParsePublicKey(k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return public.Group()
}

func checkShares(t *testing.T, k federation.Key, holders ...*Member) {
	t.Helper()
	if len(k.Holders) != len(holders) {
		t.Fatalf("%d hold the key", len(k.Holders))
	}
	for i, m := range holders {
		if k.Holders[i].Member != m.ID || oprf.Index(k.Holders[i].Index) != m.Share.Index() {
			t.Fatalf("holder %d is %+v", i, k.Holders[i])
		}
	}
}

func ticket(sequence int64, count int) protocol.Ticket {
	return protocol.Ticket{Epoch: 1, Sequence: sequence, Count: count, Root: protocol.HashOf(fmt.Append(nil, sequence))}
}

// checkLedger: what the only round costs is where its stage puts it.
func checkLedger(t *testing.T, town *Town, r federation.Round) {
	t.Helper()
	l := town.Ledger()
	reserved, spent := r.Cost*0, r.Cost*0
	switch r.Stage {
	case federation.Reserved, federation.Keyed:
		reserved = r.Cost
	case federation.Opened, federation.Published, federation.Closed:
		spent = r.Cost
	}
	if l.Reserved != reserved || l.Spent != spent {
		t.Fatalf("%s: reserved %d, spent %d of a cost of %d", r.Stage, l.Reserved, l.Spent, r.Cost)
	}
}

// replayed applies the town's log to an empty memory: a node that follows it
// must come to the same state.
func replayed(t *testing.T, town *Town) {
	t.Helper()
	var again federation.Memory
	for _, e := range town.Entries {
		if err := again.Apply(e); err != nil {
			t.Fatalf("entry %d: %v", e.Seq, err)
		}
	}
	if dump(&again) != dump(&town.Log) {
		t.Fatal("the replay came to another state")
	}
	governed(t, town)
}

func dump(tx federation.Tx) string {
	var all []byte
	tx.Ascend("", func(key, value string) bool {
		all = fmt.Appendf(all, "%d %s %d %s\n", len(key), key, len(value), value)
		return true
	})
	return string(all)
}

// governed replays the chain of decisions alone.
func governed(t *testing.T, town *Town) {
	t.Helper()
	view, err := governance.Replay(town.Founding, federation.Decisions(&town.Log, 0), town.Ballots())
	if err != nil {
		t.Fatal(err)
	}
	if view.Last != town.View().Last {
		t.Fatal("the chain of decisions leads to another view")
	}
}

func TestRoundRefusedAndAborted(t *testing.T) {
	town := Found(t, 4).Keyed()
	reason := protocol.Text{FR: "Non.", EN: "No."}
	m := town.Members

	r := town.Begin(town.Manifest(m[0], m[1]))
	town.Must(Node(town, m[1], protocol.Ack{RoundRef: r.Ref(), Refusal: &reason}))
	if r = town.Round(r.ID); r.Stage != federation.Refused || r.By != protocol.PartyID(m[1].ID) {
		t.Fatalf("%s by %s", r.Stage, r.By)
	}
	wants(t, Node(town, m[0], protocol.Ack{RoundRef: r.Ref()}), federation.ErrRefused)

	spent := town.Ledger().Spent
	for _, stage := range []federation.Stage{
		federation.Proposed, federation.Accepted, federation.Reserved, federation.Keyed, federation.Opened,
	} {
		r := town.Begin(town.Manifest(m[0], m[1]))
		r = town.Advance(r.ID, stage)
		wants(t, Node(town, m[2], protocol.Abort{RoundRef: r.Ref(), Reason: reason}), federation.ErrRefused)
		town.Must(Node(town, m[1], protocol.Abort{RoundRef: r.Ref(), Reason: reason}))
		if stage == federation.Opened {
			spent += r.Cost
		}
		if l := town.Ledger(); l.Reserved != 0 || l.Spent != spent {
			t.Fatalf("aborted when %s: %+v", stage, l)
		}
		if town.Round(r.ID).Stage != federation.Aborted {
			t.Fatal("the round goes on")
		}
		wants(t, Node(town, m[1], protocol.Abort{RoundRef: r.Ref(), Reason: reason}), federation.ErrAlready)
	}
	r = town.Begin(town.Manifest(m[0], m[1]))
	r = town.Advance(r.ID, federation.Published)
	wants(t, Node(town, m[1], protocol.Abort{RoundRef: r.Ref(), Reason: reason}), federation.ErrRefused)
	replayed(t, town)
}

func TestLapse(t *testing.T) {
	reason := protocol.Text{FR: "Trop tard.", EN: "Too late."}
	for _, stage := range []federation.Stage{
		federation.Proposed, federation.Accepted, federation.Reserved, federation.Keyed, federation.Opened, federation.Published,
	} {
		town := Found(t, 3).Keyed()
		r := town.Begin(town.Manifest(town.Members[0], town.Members[1]))
		r = town.Advance(r.ID, stage)
		lapse := protocol.Lapse{RoundRef: r.Ref(), Reason: reason}
		wants(t, State(town, lapse), federation.ErrRefused)
		before := town.Ledger()
		town.Now = r.Content().Deadline + 1
		late(t, town, r)
		town.Must(State(town, lapse))
		want := federation.Aborted
		if stage == federation.Published {
			want = federation.Closed
		}
		if got := town.Round(r.ID).Stage; got != want {
			t.Fatalf("%s lapsed to %s", stage, got)
		}
		if l := town.Ledger(); l.Reserved != 0 || l.Spent != before.Spent {
			t.Fatalf("%s lapsed: %+v", stage, l)
		}
		wants(t, State(town, lapse), federation.ErrAlready)
		replayed(t, town)
	}
}

// late: after the deadline the next step is refused, but for the result of
// what is paid for and the labels of what is published.
func late(t *testing.T, town *Town, r federation.Round) {
	t.Helper()
	a := town.Members[0]
	switch r.Stage {
	case federation.Proposed:
		wants(t, Node(town, a, protocol.Ack{RoundRef: r.Ref()}), federation.ErrRefused)
	case federation.Accepted:
		wants(t, State(town, town.Reservation(r)), federation.ErrRefused)
	case federation.Reserved:
		wants(t, Node(town, a, protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf(nil)}), federation.ErrRefused)
	case federation.Keyed:
		u := protocol.Upload{RoundRef: r.Ref(), Source: r.Content().Sources[0].Name, Digest: protocol.HashOf(nil)}
		wants(t, Node(town, a, u), federation.ErrRefused)
		wants(t, State(town, protocol.Opening{RoundRef: r.Ref()}), federation.ErrRefused)
	}
}

func TestLedgerRefusesWhatItCannotPay(t *testing.T) {
	town := Found(t, 3).Keyed()
	m := town.Members
	// Rounds of 15,000,000 nano-rho: the budget pays six.
	dear := func() protocol.Manifest {
		manifest := town.Manifest(m[0], m[1])
		manifest.Noise.Total, manifest.Noise.Sources = 100, 100
		return manifest
	}
	for range 7 {
		r := town.Begin(dear())
		r = town.Advance(r.ID, federation.Accepted)
		if r.Cost > town.Ledger().Left() {
			wants(t, State(town, town.Reservation(r)), federation.ErrRefused)
			broke := protocol.Text{FR: "Plus de budget.", EN: "No budget left."}
			town.Must(State(town, protocol.Lapse{RoundRef: r.Ref(), Reason: broke}))
			if town.Round(r.ID).Stage != federation.Refused {
				t.Fatal("a round that cannot be paid is not refused")
			}
			replayed(t, town)
			return
		}
		lie := town.Reservation(r)
		lie.Left++
		wants(t, State(town, lie), federation.ErrRefused)
		lie = town.Reservation(r)
		lie.Cost--
		wants(t, State(town, lie), federation.ErrRefused)
		town.Must(State(town, town.Reservation(r)))
		wants(t, State(town, protocol.Reserve{RoundRef: r.Ref(), Cost: r.Cost, Left: town.Ledger().Left()}), federation.ErrAlready)
		town.Advance(r.ID, federation.Closed)
	}
	t.Fatal("the budget paid for all rounds")
}
