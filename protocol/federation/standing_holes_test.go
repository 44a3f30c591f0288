package federation_test

import (
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
)

// A vote opens, takes a ballot and sees its voter's keys change in the same
// millisecond, as in one batch of the leader's. It closes all the same.
func TestKeyChangedInTheInstantTheVoteOpened(t *testing.T) {
	town := Found(t, 4)
	b := town.Members[1]
	s := SignVote(town, town.Members[0], town.Proposal(aPolicy))
	town.Must(Post(town, s))
	id := protocol.ID(town.Federation, s)
	now := town.Now
	still := func(err error) {
		t.Helper()
		town.Now = now
		town.Must(err)
	}
	still(Vote(town, b, protocol.Cosign{Proposal: id}))
	still(Vote(town, b, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	still(town.ChangeKeys(b))
	for _, m := range []*Member{town.Members[0], town.Members[2], town.Members[3]} {
		town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
	}
	p, err := federation.FindProposal(&town.Log, id)
	town.Must(err)
	t.Log("opened", p.OpenedAt, "keys", town.View().Members[1].Earlier[0].Until)
	if err := State(town, protocol.Close{Proposal: id}); err != nil {
		t.Fatal("the vote can never close:", err)
	}
	replayed(t, town)
}

// A thief with the first key lets an accomplice carry the voice, then takes
// the seat over. Once the members have given new keys, nothing of it is left.
func TestThiefsDelegationEndsWithTheLostKey(t *testing.T) {
	town := Found(t, 5)
	b, e := town.Members[1], town.Members[4]
	id := town.Open(aPolicy)
	closes := town.Now + Day
	town.Must(Vote(town, b, protocol.Delegation{To: e.ID, From: closes - Hour, Until: closes + Hour}))
	town.Must(town.ChangeKeys(b)) // by the thief
	next := town.Renewed(b)
	replace := town.Open(protocol.Effect{ReplaceCard: &next.Signed})
	for i, m := range town.Members {
		if i != 1 {
			town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: replace, Choice: protocol.For})))
		}
	}
	town.Must(Vote(town, town.Members[1], protocol.NewBallot(protocol.Vote{Proposal: replace, Choice: protocol.Against})))
	town.Must(State(town, protocol.Close{Proposal: replace}))
	town.Replace(next)
	wants(t, Vote(town, e, protocol.Ballot{For: b.ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.Against}}}), federation.ErrRefused)
	replayed(t, town)
}

// A holder of the key leaves; the next ceremony does not wait for it.
func TestCeremonyAfterAHolderLeft(t *testing.T) {
	town := Found(t, 6).Keyed()
	gone := town.Members[0]
	town.Must(Vote(town, gone, protocol.Leave{Member: gone.ID}))
	town.Members = town.Members[1:]
	c := town.Elect(2, town.Members[2], town.Members[3], town.Members[4])
	for _, h := range c.Dealers {
		if h.Member == gone.ID {
			t.Errorf("the ceremony waits for %s, which has left", gone.ID)
		}
	}
	if !t.Failed() {
		town.RunCeremony()
	}
	replayed(t, town)
}

// Everybody leaves, one after the other. The last log is a log.
func TestEverybodyLeaves(t *testing.T) {
	town := Found(t, 4).Keyed()
	for _, m := range town.Members {
		town.Must(Vote(town, m, protocol.Leave{Member: m.ID}))
	}
	if got := len(town.View().Roster()); got != 0 {
		t.Fatalf("%d are left", got)
	}
	replayed(t, town)
}

// A round that is not opened ends when a participant changes its keys: the
// record of it is read under the keys of the day of the manifest.
func TestRoundEndsWithTheKeysItWasAgreedUnder(t *testing.T) {
	town := Found(t, 4).Keyed()
	a, d := town.Members[0], town.Members[3]
	r := town.Begin(town.Manifest(a, d))
	other := town.Begin(town.Manifest(a, town.Members[1]))
	town.Must(town.ChangeKeys(d))
	if got := town.Round(r.ID).Stage; got != federation.Aborted {
		t.Errorf("the round is %s", got)
	}
	if got := town.Round(other.ID).Stage; got != federation.Proposed {
		t.Errorf("another's round is %s", got)
	}
	replayed(t, town)
}

// A suspended member's certificate is renewed, or it could not read that it is
// reinstated.
func TestSuspendedMemberStaysEnrolled(t *testing.T) {
	town := Found(t, 4)
	d := town.Members[3]
	enrolment := protocol.Enrolment{Member: d.ID, Certificate: protocol.HashOf([]byte("one")), Until: town.Now + Day}
	town.Must(State(town, enrolment))
	town.Decide(protocol.Effect{Suspend: d.ID})
	enrolment.Renews, enrolment.Certificate = enrolment.Certificate, protocol.HashOf([]byte("two"))
	town.Must(State(town, enrolment))
	town.Decide(protocol.Effect{Reinstate: d.ID})
	town.Must(Vote(town, d, protocol.Leave{Member: d.ID}))
	wants(t, State(town, enrolment), federation.ErrRefused)
	replayed(t, town)
}
