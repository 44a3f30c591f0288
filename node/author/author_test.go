package author_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"coulisse/crypto/dp"
	"coulisse/node/author"
	"coulisse/node/witness"
	"coulisse/node/witness/witnesstest"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// says is a coordinator that answers and does not append.
type says struct{ err error }

func (s says) Submit(context.Context, protocol.Label, []byte) (int64, error) { return 0, s.err }

// A ballot that is sent again with another's votes left out is said already, and
// one with more is counted: whoever repeats itself is never locked out.
func TestAnAgendaIsSeen(t *testing.T) {
	town := federationtest.Found(t, 3)
	var agenda []protocol.Vote
	for i := range 3 {
		id := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: dp.NanoRho(i + 1)}})
		agenda = append(agenda, protocol.Vote{Choice: protocol.For, Proposal: id})
	}
	a := witnesstest.New(t, town).Member(town.Members[2])
	for _, votes := range [][]protocol.Vote{agenda[:2], agenda[:1], agenda[1:2], agenda, agenda[2:]} {
		if _, err := author.Vote(t.Context(), a, town.Members[2].Vote, protocol.NewBallot(slices.Clone(votes)...)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(town.Entries); got != 1+6+2 {
		t.Errorf("%d entries: what is said already is not said again", got)
	}
}

func play(t *testing.T) (*federationtest.Town, *author.Author, protocol.Hash) {
	t.Helper()
	town := federationtest.Found(t, 3)
	vote := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	square := witnesstest.New(t, town)
	return town, square.Member(town.Members[2]), vote
}

func TestAVoteIsSeen(t *testing.T) {
	town, a, vote := play(t)
	ballot := protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For})
	if _, err := author.Vote(t.Context(), a, town.Members[2].Vote, ballot); err != nil {
		t.Fatal(err)
	}
	// Cast again, under a later head: the log says it already, and shows it.
	if _, err := author.Vote(t.Context(), a, town.Members[2].Vote, ballot); err != nil {
		t.Error(err)
	}
	other := protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.Against})
	if _, err := author.Vote(t.Context(), a, town.Members[2].Vote, other); !errors.Is(err, federation.ErrRefused) {
		t.Errorf("a second choice: %v", err)
	}
	// With the voting key only.
	if _, err := author.Vote(t.Context(), a, town.Members[0].Vote, ballot); err == nil {
		t.Error("another member's key was taken")
	}
}

// A ballot that the coordinator says it took, and keeps out, is not cast.
func TestAVoteThatIsKeptOut(t *testing.T) {
	for name, answer := range map[string]error{"taken": nil, "there already": federation.ErrAlready} {
		t.Run(name, func(t *testing.T) {
			town, a, vote := play(t)
			a.Log = says{answer}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err := author.Vote(ctx, a, town.Members[2].Vote, protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For})); err == nil {
				t.Error("believed")
			}
		})
	}
}

// Nothing is signed on the word of a log that broke the rules.
func TestNoSignatureAfterEvidence(t *testing.T) {
	town, a, vote := play(t)
	if err := a.Witness.Take([]byte("{}")); !errors.Is(err, witness.ErrEvidence) {
		t.Fatal(err)
	}
	a.Log = says{errors.New("it was sent")}
	_, err := author.Vote(t.Context(), a, town.Members[2].Vote, protocol.NewBallot(protocol.Vote{Proposal: vote, Choice: protocol.For}))
	if !errors.Is(err, witness.ErrEvidence) {
		t.Errorf("signed: %v", err)
	}
}
