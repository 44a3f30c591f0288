package federation_test

import (
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"

	"pgregory.net/rapid"
)

// TestOnlyMembersInGoodStandingCount changes who stands how, in any order, and
// after each change lets everybody try everything that takes a good standing,
// and every key that was replaced try everything at all.
func TestOnlyMembersInGoodStandingCount(t *testing.T) {
	keyed := Found(t, 7).Keyed()
	rapid.Check(t, func(rt *rapid.T) {
		s := standings{t: rt, town: keyed.Again(), out: map[protocol.MemberID]bool{}, gone: map[protocol.MemberID]bool{}, voted: map[protocol.MemberID]bool{}}
		s.open = s.town.Open(aPolicy)
		for range rapid.IntRange(4, 10).Draw(rt, "changes") {
			s.act()
			s.change()
			s.tryAll()
		}
		s.count()
		replayed(t, s.town)
	})
}

// standings is what the test expects, kept apart from what the log says.
type standings struct {
	t     *rapid.T
	town  *Town
	open  protocol.Hash // a vote that lasts all along
	out   map[protocol.MemberID]bool
	gone  map[protocol.MemberID]bool
	voted map[protocol.MemberID]bool
	stale []*Member // with keys that they have replaced
}

func (s *standings) good(m *Member) bool { return !s.out[m.ID] && !s.gone[m.ID] }

// act has members do what their standing allows.
func (s *standings) act() {
	town := s.town
	for _, m := range town.Members[3:] {
		if !s.good(m) || rapid.Bool().Draw(s.t, "idle") {
			continue
		}
		if !s.voted[m.ID] {
			town.Must(Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: s.open, Choice: protocol.For})))
			s.voted[m.ID] = true
		}
		town.Must(Node(town, m, ticket(federation.TicketsOf(&town.Log, m.ID, 1).Sequence+1, 1)))
		if len(federation.RunningRounds(&town.Log)) < federation.MaxRunning {
			town.Begin(town.Manifest(town.Members[0], m))
		}
		if len(federation.Delegations(&town.Log, m.ID)) == 0 {
			town.Must(Vote(town, m, protocol.Delegation{To: town.Members[0].ID, From: town.Now, Until: town.Now + 2*Day}))
		}
	}
}

// change alters the standing or the keys of one that holds no office.
func (s *standings) change() {
	town := s.town
	m := rapid.SampledFrom(town.Members[3:]).Draw(s.t, "member")
	if s.gone[m.ID] {
		return
	}
	switch rapid.SampledFrom([]string{"suspend", "suspend", "reinstate", "keys", "replace", "leave", "expel"}).Draw(s.t, "change") {
	case "suspend":
		if s.good(m) {
			town.Decide(protocol.Effect{Suspend: m.ID})
			s.out[m.ID] = true
		}
	case "reinstate":
		if s.out[m.ID] {
			town.Decide(protocol.Effect{Reinstate: m.ID})
			s.out[m.ID] = false
		}
	case "keys": // also one that is suspended
		town.Must(town.ChangeKeys(m))
		s.stale = append(s.stale, m)
	case "replace":
		next := town.Renewed(m)
		town.Decide(protocol.Effect{ReplaceCard: &next.Signed})
		town.Replace(next)
		s.stale, s.voted[m.ID] = append(s.stale, m), false
	case "leave":
		town.Must(Vote(town, m, protocol.Leave{Member: m.ID}))
		s.gone[m.ID] = true
	case "expel":
		town.Decide(protocol.Effect{Expel: m.ID})
		s.gone[m.ID] = true
	}
}

// tryAll wants everything refused that should not count.
func (s *standings) tryAll() {
	town, first := s.town, s.town.Members[0]
	for _, m := range town.Members {
		if s.good(m) {
			continue
		}
		s.refuses(m, "a ballot for another", Vote(town, first, protocol.Ballot{For: m.ID, Votes: []protocol.Vote{{Proposal: s.open, Choice: protocol.For}}}))
		s.refuses(m, "a round with others", Node(town, first, town.Manifest(first, m)))
		s.powerless(m)
		if s.gone[m.ID] {
			s.refuses(m, "new keys", Vote(town, m, protocol.KeyChange{Card: town.Renewed(m).Signed}))
		}
	}
	for _, m := range s.stale {
		s.powerless(m)
		s.refuses(m, "new keys", Vote(town, m, protocol.KeyChange{Card: town.Renewed(m).Signed}))
		s.refuses(m, "leaving", Vote(town, m, protocol.Leave{Member: m.ID}))
	}
	for _, r := range federation.RunningRounds(&town.Log) {
		for _, id := range r.Content().Participants() {
			if r.Stage != federation.Opened && r.Stage != federation.Published && !s.good(town.Member(id)) {
				s.t.Fatalf("a round goes on with %s", id)
			}
		}
	}
}

// powerless has a member, or a key, do what takes a good standing.
func (s *standings) powerless(m *Member) {
	town := s.town
	sequence := federation.TicketsOf(&town.Log, m.ID, 1).Sequence + 1
	s.refuses(m, "a ballot", Vote(town, m, protocol.NewBallot(protocol.Vote{Proposal: s.open, Choice: protocol.Against})))
	s.refuses(m, "a proposal", Vote(town, m, town.Proposal(aPolicy)))
	s.refuses(m, "support", Vote(town, m, protocol.Cosign{Proposal: s.open}))
	s.refuses(m, "a delegation", Vote(town, m, protocol.Delegation{To: town.Members[1].ID, From: town.Now + 3*Day, Until: town.Now + 4*Day}))
	s.refuses(m, "a ticket", Node(town, m, ticket(sequence, 1)))
	s.refuses(m, "a round", Node(town, m, town.Manifest(town.Members[0], m)))
	for _, r := range federation.RunningRounds(&town.Log) {
		s.refuses(m, "an answer", Node(town, m, protocol.Ack{RoundRef: r.Ref()}))
	}
}

func (s *standings) refuses(m *Member, what string, err error) {
	if err == nil {
		s.t.Fatalf("%s of %s is in the log", what, m.ID)
	}
}

// count closes the vote and holds it against the ballots that should count.
func (s *standings) count() {
	town := s.town
	want := protocol.Tally{}
	for _, m := range town.Members {
		if s.good(m) {
			want.Members++
			if s.voted[m.ID] {
				want.For++
			}
		}
	}
	town.Now += 2 * Day
	town.Must(State(town, protocol.Close{Proposal: s.open}))
	decisions := federation.Decisions(&town.Log, 0)
	if got := decisions[len(decisions)-1].Tally; !got.Equal(want) {
		s.t.Fatalf("the count is %+v, not %+v", got, want)
	}
	if got := len(town.View().Roster()); got != want.Members {
		s.t.Fatalf("%d members in good standing, not %d", got, want.Members)
	}
}
