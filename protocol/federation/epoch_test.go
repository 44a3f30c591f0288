package federation_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/governance"
)

func batch(epoch protocol.Epoch, sequence int64, count int) protocol.Ticket {
	t := ticket(sequence, count)
	t.Epoch = epoch
	return t
}

func wantEpochs(t *testing.T, town *Town, want ...protocol.Epoch) {
	t.Helper()
	got := []protocol.Epoch{}
	for _, k := range federation.Keys(&town.Log) {
		got = append(got, k.Epoch)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the keys of the epochs %d are in use, not %d", got, want)
	}
}

// migrate has members say that they have their tokens under the second key.
func migrate(town *Town, members ...*Member) {
	for _, m := range members {
		town.Must(Node(town, m, protocol.Migrated{Epoch: 2}))
	}
}

// An epoch from the vote to the retirement of the one before it.
func TestEpoch(t *testing.T) {
	town := Found(t, 4).Keyed()
	a, b, c, d := town.Members[0], town.Members[1], town.Members[2], town.Members[3]
	town.Must(Node(town, a, batch(1, 1, 100)))
	first, _ := federation.ActiveKey(&town.Log)
	town.StartEpoch(30 * Day)

	// While the new key is made, everything goes on under the former.
	wantEpochs(t, town, 1)
	town.Must(Node(town, a, batch(1, 2, 100)))
	wants(t, Node(town, a, batch(2, 1, 100)), federation.ErrRefused)
	wants(t, Node(town, a, protocol.Migrated{Epoch: 2}), federation.ErrRefused)
	second := town.RunCeremony()
	if c := town.Ceremony(); c.Old != nil || second.Epoch != 2 || bytes.Equal(first.PublicKey, second.PublicKey) {
		t.Fatal("the stewards did not make another key")
	}
	wantEpochs(t, town, 1, 2)

	// Tokens are made under the new one only, and rounds go on.
	wants(t, Node(town, a, batch(1, 3, 100)), federation.ErrRefused)
	town.Must(Node(town, a, batch(2, 1, 100)))
	old := town.Begin(town.Manifest(a, b))
	migrate(town, a, c)
	wants(t, Node(town, a, protocol.Migrated{Epoch: 2}), federation.ErrAlready)
	wants(t, Node(town, a, protocol.Migrated{Epoch: 3}), federation.ErrRefused)
	for _, between := range []struct {
		members []*Member
		epoch   protocol.Epoch
	}{{[]*Member{a, b}, 1}, {[]*Member{a, c}, 2}, {[]*Member{b, d}, 1}} {
		m := town.Manifest(between.members...)
		m.Epoch = 3 - between.epoch
		wants(t, Node(town, between.members[0], m), federation.ErrRefused)
		m.Epoch = between.epoch
		r := town.Begin(m)
		town.Advance(r.ID, federation.Closed)
	}

	// Nobody retires the former key while somebody, or some round, needs it.
	wants(t, State(town, protocol.Retirement{Epoch: 1}), federation.ErrRefused)
	migrate(town, b, d)
	wants(t, State(town, protocol.Retirement{Epoch: 1}), federation.ErrRefused)
	town.Advance(old.ID, federation.Opened)
	wants(t, State(town, protocol.Retirement{Epoch: 2}), federation.ErrRefused)
	town.Must(State(town, protocol.Retirement{Epoch: 1}))
	wants(t, State(town, protocol.Retirement{Epoch: 1}), federation.ErrAlready)
	wantEpochs(t, town, 2)
	town.Advance(old.ID, federation.Closed) // it was opened
	late := town.Manifest(a, b)
	late.Epoch = 1
	wants(t, Node(town, a, late), federation.ErrRefused)
	replayed(t, town)
}

// A member that does not move holds nobody up for ever.
func TestEpochEndsAtItsDate(t *testing.T) {
	town := Found(t, 4).Keyed()
	a, b := town.Members[0], town.Members[1]
	town.StartEpoch(2 * Day)
	town.RunCeremony()
	migrate(town, a)
	waits, runs := town.Begin(town.Manifest(a, b)), town.Begin(town.Manifest(a, b))
	town.Advance(runs.ID, federation.Opened)
	town.Now += Day
	wants(t, State(town, protocol.Retirement{Epoch: 1}), federation.ErrRefused)
	town.Now += Day
	waits = town.Begin(town.Manifest(b, town.Members[3]))
	town.Must(State(town, protocol.Retirement{Epoch: 1}))
	wantEpochs(t, town, 2)
	if r := town.Round(waits.ID); r.Stage != federation.Aborted || r.Reason == nil || r.By != "" {
		t.Errorf("a round that had not begun %s", r.Stage)
	}
	town.Advance(runs.ID, federation.Closed)
	// Whoever is late moves all the same; there is nothing to announce any more.
	town.Must(Node(town, b, batch(2, 1, 10)))
	wants(t, Node(town, b, protocol.Migrated{Epoch: 2}), federation.ErrRefused)
	town.Begin(town.Manifest(a, b))
	replayed(t, town)
}

// What a member has had tokenised it may have again, and no more than that
// beyond what the charter allows now.
func TestAllowanceOfAnEpoch(t *testing.T) {
	town := Found(t, 4, func(c *protocol.Charter) { c.Allowance = 200 }).Keyed()
	a, b := town.Members[0], town.Members[1]
	town.Must(Node(town, a, batch(1, 1, 150)))
	town.Must(Node(town, b, batch(1, 1, 20)))
	charter := town.View().Charter
	from, err := charter.ID()
	town.Must(err)
	charter.Allowance = 100
	town.Decide(protocol.Effect{SetCharter: &protocol.CharterChange{Charter: charter, From: from}})
	town.StartEpoch(2 * Day)
	town.RunCeremony()

	town.Must(Node(town, a, batch(2, 1, 150)))
	wants(t, Node(town, a, batch(2, 2, 1)), federation.ErrRefused)
	town.Must(Node(town, b, batch(2, 1, 100)))
	wants(t, Node(town, b, batch(2, 2, 1)), federation.ErrRefused)
	wants(t, Node(town, b, batch(1, 2, 1)), federation.ErrRefused) // not even under the former key

	// No epoch makes the next one larger.
	migrate(town, town.Members...)
	town.Must(State(town, protocol.Retirement{Epoch: 1}))
	town.StartEpoch(2 * Day)
	town.RunCeremony()
	wants(t, Node(town, a, batch(3, 1, 151)), federation.ErrRefused)
	wants(t, Node(town, b, batch(3, 1, 101)), federation.ErrRefused)
	town.Must(Node(town, a, batch(3, 1, 150)))
	replayed(t, town)
}

// Nobody says for another that it has moved, and nobody but a replica retires.
func TestForgedMigration(t *testing.T) {
	town := Found(t, 5).Keyed()
	a, b, out := town.Members[0], town.Members[1], town.Members[4]
	town.StartEpoch(2 * Day)
	town.RunCeremony()
	forged := SignNode(town, a, protocol.Migrated{Epoch: 2})
	forged.By = protocol.PartyID(b.ID)
	if err := Post(town, forged); err == nil {
		t.Error("another member's word was taken")
	}
	replica := SignReplica(town, protocol.Retirement{Epoch: 1})
	replica.By = protocol.PartyID(a.ID)
	wants(t, Post(town, replica), federation.ErrRefused)

	// One that is suspended has no say, and nobody waits for it.
	town.Decide(protocol.Effect{Suspend: out.ID})
	wants(t, Node(town, out, protocol.Migrated{Epoch: 2}), federation.ErrRefused)
	migrate(town, town.Members[:4]...)
	town.Must(State(town, protocol.Retirement{Epoch: 1}))
	replayed(t, town)
}

func TestOneEpochAtATime(t *testing.T) {
	town := Found(t, 5)
	a := town.Members[0]
	start := func() protocol.Effect {
		return protocol.Effect{StartEpoch: &protocol.EpochStart{Until: town.Now + 2*Day}}
	}
	wants(t, Vote(town, a, town.Proposal(start())), governance.ErrEffect) // no stewards
	town.Elect(2, town.Members[:3]...)
	wants(t, Vote(town, a, town.Proposal(start())), federation.ErrRefused) // no key
	town.RunCeremony()
	past := town.Proposal(start())
	past.Effect.StartEpoch.Until = past.Closes
	wants(t, past.Check(), protocol.ErrMalformed)

	// Two are proposed; the second waits until the first has taken over.
	second := town.Open(start())
	town.Decide(start())
	wants(t, Vote(town, a, town.Proposal(start())), federation.ErrRefused)
	for _, m := range town.Members {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: second, Choice: protocol.For})))
	}
	wants(t, State(town, protocol.Close{Proposal: second}), federation.ErrRefused)
	if due, err := federation.DueProposals(&town.Log, town.Now); err != nil || len(due) > 0 {
		t.Errorf("the leader would close %d votes that wait, %v", len(due), err)
	}
	town.RunCeremony()
	wants(t, State(town, protocol.Close{Proposal: second}), federation.ErrRefused)
	migrate(town, town.Members...)
	town.Must(State(town, protocol.Retirement{Epoch: 1}))
	if due, err := federation.DueProposals(&town.Log, town.Now); err != nil || len(due) != 1 {
		t.Errorf("the leader would close %d votes, %v", len(due), err)
	}
	town.Must(State(town, protocol.Close{Proposal: second}))
	if k := town.RunCeremony(); k.Epoch != 3 {
		t.Fatalf("the third key is of epoch %d", k.Epoch)
	}
	wantEpochs(t, town, 2, 3)
	replayed(t, town)
}

// A vote that lasts until after the date that it names lapses.
func TestEpochDecidedTooLate(t *testing.T) {
	town := Found(t, 4).Keyed()
	id := town.Open(protocol.Effect{StartEpoch: &protocol.EpochStart{Until: town.Now + 2*Day}})
	for _, m := range town.Members[:3] {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	}
	town.Now += 3 * Day
	town.Must(State(town, protocol.Close{Proposal: id}))
	if stateOf(t, town, id) == federation.ProposalCarried || town.View().Epoch != 1 {
		t.Errorf("%s, epoch %d", stateOf(t, town, id), town.View().Epoch)
	}
	replayed(t, town)
}

// A former key is not kept for ever by a slip in its date: nobody could move on,
// nor send its holders away.
func TestAnEpochEndsWithinAYear(t *testing.T) {
	town := Found(t, 4).Keyed()
	p := town.Proposal(protocol.Effect{})
	for after, refused := range map[protocol.Span]bool{protocol.MaxMove: false, protocol.MaxMove + 1: true} {
		p.Effect.StartEpoch = &protocol.EpochStart{Until: p.Closes + protocol.Millis(after)}
		if err := p.Check(); errors.Is(err, protocol.ErrMalformed) != refused {
			t.Errorf("%s after the vote: %v", after, err)
		}
	}
}

// Stewards are elected while they make a new key: the key in use is handed to
// the elected first, and they make the new one.
func TestElectionWhileAKeyIsMade(t *testing.T) {
	town := Found(t, 6).Keyed()
	town.StartEpoch(9 * Day)
	town.Must(town.Hello(town.Members[0]))
	c := town.Elect(2, town.Members[2:5]...)
	if c.Old == nil || c.Attempt.Epoch != 1 {
		t.Fatalf("the key in use is not handed on: %+v", c.Attempt)
	}
	if k := town.RunCeremony(); k.Epoch != 1 || k.Holders[0].Member != town.Members[2].ID {
		t.Fatalf("%+v", k)
	}
	c = town.Ceremony()
	if c.Old != nil || c.Attempt.Epoch != 2 || c.Done {
		t.Fatalf("the new key is not begun: %+v", c.Attempt)
	}
	town.RunCeremony()
	wantEpochs(t, town, 1, 2)
	if _, holds := federation.Keys(&town.Log)[1].Holder(town.Members[4].ID); !holds {
		t.Error("the elected do not hold the new key")
	}
	replayed(t, town)
}

// Stewards are elected while members move: only the newer key is handed on, and
// whoever holds the former stays until it is retired.
func TestElectionWhileMembersMove(t *testing.T) {
	town := Found(t, 6).Keyed()
	a := town.Members[0]
	town.StartEpoch(9 * Day)
	before := town.RunCeremony()
	town.Elect(2, town.Members[3:]...)
	after := town.RunCeremony()
	if after.Epoch != 2 || before.Attempt == after.Attempt {
		t.Fatalf("another key was handed on: epoch %d", after.Epoch)
	}
	wantEpochs(t, town, 1, 2)
	if _, holds := federation.Keys(&town.Log)[0].Holder(a.ID); !holds {
		t.Error("the former key has moved")
	}
	expel := protocol.Effect{Expel: a.ID}
	wants(t, Vote(town, a, town.Proposal(expel)), federation.ErrRefused)
	migrate(town, town.Members...)
	town.Must(State(town, protocol.Retirement{Epoch: 1}))
	town.Decide(expel)
	replayed(t, town)
}

// A key that cannot be handed on, since too many that hold it have gone, does
// not keep the elected from making the next.
func TestNewKeyWhenTheFormerIsLost(t *testing.T) {
	town := Found(t, 6).Keyed()
	for _, m := range town.Members[:2] {
		town.Must(Vote(town, m, protocol.Leave{Member: m.ID}))
	}
	town.Members = town.Members[2:]
	if c := town.Elect(2, town.Members[1:]...); !c.Failed {
		t.Fatal("one of three handed the key on")
	}
	town.StartEpoch(9 * Day)
	if k := town.RunCeremony(); k.Epoch != 2 || len(k.Holders) != 3 {
		t.Fatalf("%+v", k)
	}
	wantEpochs(t, town, 1, 2)
	replayed(t, town)

	// The same, the epoch having been decided before the election.
	town = Found(t, 6).Keyed()
	town.StartEpoch(9 * Day)
	for _, m := range town.Members[:2] {
		town.Must(Vote(town, m, protocol.Leave{Member: m.ID}))
	}
	if c := town.Ceremony(); !c.Failed {
		t.Fatal("one of three makes a key")
	}
	town.Members = town.Members[2:]
	town.Elect(2, town.Members[1:]...)
	if k := town.RunCeremony(); k.Epoch != 2 {
		t.Fatalf("%+v", k)
	}
	replayed(t, town)
}
