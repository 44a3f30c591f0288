package federation_test

import (
	"testing"

	"coulisse/protocol"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/tlog"
)

// What is remembered of a log's heads is what its hashes give, and a log that
// took another way has its own.
func TestHeadsBelongToTheirLog(t *testing.T) {
	town := Found(t, 3)
	fork := town.Again()
	id := town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 5}})
	fork.Now += Hour
	other := fork.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 5}})
	ballot := SignVote(town, town.Members[2], protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For}))
	foreign := SignVote(fork, fork.Members[2], protocol.NewBallot(protocol.Vote{Proposal: other, Choice: protocol.For}))
	if err := Post(town, foreign); err == nil {
		t.Error("a ballot signed under the head of another log was taken")
	}
	town.Must(Post(town, ballot))
	if err := Post(fork, ballot); err == nil {
		t.Error("a ballot signed under the head of another log was taken")
	}
	head := town.Head()
	if own, err := tlog.HeadAt(&town.Log, head.Size); err != nil || own != head {
		t.Error("the head is not what the hashes give:", err)
	}
}
