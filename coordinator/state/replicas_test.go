package state_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"coulisse/coordinator/state"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
)

// life is a log with every kind of step: votes, a ceremony and a handing-on,
// tickets, a round to its end and one that was aborted.
func life(t *testing.T) *Town {
	t.Helper()
	town := Found(t, 4).Keyed()
	m := town.Members
	town.Elect(2, m[1:]...)
	town.RunCeremony()
	town.Must(Node(town, m[0], protocol.Ticket{Epoch: 1, Sequence: 1, Count: 10, Root: protocol.HashOf(nil)}))
	town.Advance(town.Begin(town.Manifest(m[0], m[1])).ID, federation.Closed)
	r := town.Begin(town.Manifest(m[1], m[2]))
	town.Advance(r.ID, federation.Reserved)
	town.Must(Node(town, m[2], protocol.Abort{RoundRef: r.Ref(), Reason: protocol.Text{FR: "Non.", EN: "No."}}))
	town.Decide(protocol.Effect{Expel: m[0].ID})
	return town
}

// replica applies entries as a coordinator's replica does.
type replica struct {
	*testing.T
	*state.State
	index uint64 // of the last command
}

func newReplica(t *testing.T) *replica {
	t.Helper()
	s, err := state.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &replica{T: t, State: s}
}

func (r *replica) apply(e protocol.Entry) state.Outcome {
	r.Helper()
	raw, err := state.Command{At: e.At, Append: []state.Append{{Label: e.Label, Document: e.Doc}}}.Encode()
	if err != nil {
		r.Fatal(err)
	}
	r.index++
	return r.State.Apply(r.index, raw).([]state.Outcome)[0]
}

func (r *replica) hash() protocol.Hash {
	r.Helper()
	h, err := r.State.Hash()
	if err != nil {
		r.Fatal(err)
	}
	return h
}

// restarted is a fresh replica with this one's snapshot.
func (r *replica) restarted() *replica {
	r.Helper()
	image, err := r.Snapshot()
	if err != nil {
		r.Fatal(err)
	}
	fresh := newReplica(r.T)
	fresh.index = r.index
	if err := fresh.Restore(bytes.NewReader(image)); err != nil {
		r.Fatal(err)
	}
	return fresh
}

// TestReplicasAgree: a replica that applied everything, and replicas that were
// restored from snapshots at any points, hold the same; and the same as a
// node's witness in memory.
func TestReplicasAgree(t *testing.T) {
	town := life(t)
	whole := newReplica(t)
	hashes := []protocol.Hash{}
	for i, e := range town.Entries {
		if o := whole.apply(e); o.Err != nil || o.Seq != int64(i) {
			t.Fatalf("entry %d: %+v", i, o)
		}
		hashes = append(hashes, whole.hash())
	}
	sameAs(t, whole.State, &town.Log)
	for seed := range uint64(5) {
		dice := rand.New(rand.NewPCG(seed, seed))
		r := newReplica(t)
		for i, e := range town.Entries {
			r.apply(e)
			if dice.IntN(8) == 0 { // refused, so it leaves nothing behind
				bad := town.Entries[dice.IntN(len(town.Entries))]
				bad.Doc = bytes.Replace(bad.Doc, []byte(`"size":`), []byte(`"size":9`), 1)
				if o := r.apply(bad); o.Err == nil && !o.Already {
					t.Fatal("an altered document was accepted")
				}
			}
			if dice.IntN(4) == 0 {
				r = r.restarted()
			}
			if r.hash() != hashes[i] {
				t.Fatalf("seed %d: replicas part at entry %d", seed, i)
			}
		}
	}
}

// TestCommandsHoldAnyNumberOfDocuments: it makes no difference how documents
// are put into commands, whether some are refused, come twice, or rest on one
// before them in the same command.
func TestCommandsHoldAnyNumberOfDocuments(t *testing.T) {
	town := Found(t, 7)
	at := Morning
	do := func(err error) { town.Must(err); town.Now = at } // all of it in one instant
	do(nil)
	for i := range 3 {
		s := SignVote(town, town.Members[0], town.Proposal(protocol.Effect{SetFloors: &protocol.Floors{
			MinMembers: 2, MinParticipants: 2 + i, MinSize: 20, MinVariance: 100, MaxRoundCost: 20_000_000,
		}}))
		id := protocol.ID(town.Federation, s)
		do(Post(town, s))
		do(Vote(town, town.Members[1], protocol.Cosign{Proposal: id}))
		for _, m := range town.Members {
			do(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
		}
		do(State(town, protocol.Close{Proposal: id}))
	}
	documents := []state.Append{}
	for i, e := range town.Entries {
		documents = append(documents, state.Append{Label: e.Label, Document: e.Doc})
		switch i % 5 {
		case 1: // refused
			bad := bytes.Replace(e.Doc, []byte(`"sig":"`), []byte(`"sig":"A`), 1)
			documents = append(documents, state.Append{Label: e.Label, Document: bad}, state.Append{Label: "song", Document: []byte(`{"a":1}`)})
		case 3: // again
			documents = append(documents, documents[len(documents)-1], documents[0])
		}
	}
	want, outcomes := newReplica(t), []string{}
	for _, d := range documents {
		outcomes = append(outcomes, want.submit(at, d)...)
	}
	sameAs(t, want.State, &town.Log)
	for seed := range uint64(5) {
		dice, r, got := rand.New(rand.NewPCG(seed, 1)), newReplica(t), []string{}
		for rest := documents; len(rest) > 0; {
			n := 1 + dice.IntN(min(len(rest), 20))
			got = append(got, r.submit(at, rest[:n]...)...)
			rest = rest[n:]
		}
		if r.hash() != want.hash() || !slices.Equal(got, outcomes) {
			t.Fatalf("seed %d: the state or the answers depend on the commands", seed)
		}
	}
}

// submit applies one command and says what came of each document.
func (r *replica) submit(at protocol.Millis, documents ...state.Append) (outcomes []string) {
	r.Helper()
	raw, err := state.Command{At: at, Append: documents}.Encode()
	if err != nil {
		r.Fatal(err)
	}
	r.index++
	for _, o := range r.State.Apply(r.index, raw).([]state.Outcome) {
		outcomes = append(outcomes, fmt.Sprint(o))
	}
	return outcomes
}

// sameAs compares a replica's state with a witness's, key by key.
func sameAs(t *testing.T, s *state.State, witness federation.Tx) {
	t.Helper()
	more := 0
	err := s.View(func(tx federation.Tx) error {
		tx.Ascend("", func(key, value string) bool {
			if key == "raft/applied" {
				return true
			}
			more++
			if got, ok := witness.Get(key); !ok || got != value {
				t.Errorf("the replica and the witness differ at %s", key)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	witness.Ascend("", func(string, string) bool { more--; return true })
	if more != 0 {
		t.Errorf("%d keys more in the replica than in the witness", more)
	}
}
