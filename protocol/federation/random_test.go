package federation_test

import (
	"testing"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"

	"pgregory.net/rapid"
)

// TestRandomDocuments throws documents at a federation in any order, most of
// them out of place, and checks after each what must always hold.
func TestRandomDocuments(t *testing.T) {
	keyed := Found(t, 4).Keyed()
	rapid.Check(t, func(rt *rapid.T) {
		town := keyed.Again()
		c := chaos{t: rt, town: town, reached: map[protocol.RoundID]int{}, granted: town.Ledger().Granted}
		for range rapid.IntRange(30, 60).Draw(rt, "steps") {
			size := federation.Size(&town.Log)
			if err := c.step(); err != nil && federation.Size(&town.Log) != size {
				rt.Fatal("a refused document is in the log")
			}
			c.invariants()
		}
		replayed(t, town)
	})
}

type chaos struct {
	t         *rapid.T
	town      *Town
	proposals []protocol.Hash
	rounds    []protocol.RoundID
	reached   map[protocol.RoundID]int
	granted   dp.NanoRho
}

func (c *chaos) member() *Member { return rapid.SampledFrom(c.town.Members).Draw(c.t, "member") }

// steps are documents that somebody could send at any time.
func (c *chaos) step() error {
	if rapid.IntRange(0, 15).Draw(c.t, "wait") == 0 {
		c.town.Now += rapid.SampledFrom([]protocol.Millis{Second, Hour, Day}).Draw(c.t, "a while")
	}
	switch rapid.SampledFrom([]string{"vote", "vote", "round", "round", "round", "ceremony", "standing"}).Draw(c.t, "kind") {
	case "vote":
		return c.vote()
	case "standing":
		return c.standing()
	case "ceremony":
		return c.ceremony()
	}
	return c.round()
}

func (c *chaos) vote() error {
	town := c.town
	if len(c.proposals) == 0 || rapid.IntRange(0, 4).Draw(c.t, "propose") == 0 {
		p := town.Proposal(c.effect())
		if len(c.proposals) > 0 && rapid.IntRange(0, 5).Draw(c.t, "amend") == 0 {
			p.Amends = rapid.SampledFrom(c.proposals).Draw(c.t, "amended")
		}
		p.Opens = rapid.SampledFrom([]protocol.Millis{0, 0, town.Now + Hour}).Draw(c.t, "opens")
		s := SignVote(town, c.member(), p)
		err := Post(town, s)
		if err == nil {
			c.proposals = append(c.proposals, protocol.ID(town.Federation, s))
		}
		return err
	}
	id := rapid.SampledFrom(c.proposals).Draw(c.t, "proposal")
	switch rapid.SampledFrom([]string{"cosign", "cosign", "ballot", "ballot", "agenda", "proxy", "withdraw", "close"}).Draw(c.t, "step") {
	case "cosign":
		return Vote(town, c.member(), protocol.Cosign{Proposal: id})
	case "proxy":
		return Vote(town, c.member(), protocol.Ballot{For: c.member().ID, Votes: []protocol.Vote{{Proposal: id, Choice: protocol.Against}}})
	case "agenda":
		return Vote(town, c.member(), c.agenda())
	case "withdraw":
		return Vote(town, c.member(), protocol.Withdrawal{Proposal: id})
	case "close":
		return State(town, protocol.Close{Proposal: id})
	}
	choice := rapid.SampledFrom([]protocol.Choice{protocol.For, protocol.For, protocol.Against, protocol.Abstain}).Draw(c.t, "choice")
	return Vote(town, c.member(), protocol.NewBallot(protocol.Vote{Proposal: id, Choice: choice}))
}

// agenda is a ballot on some of all proposals, open or not, for anybody.
func (c *chaos) agenda() protocol.Ballot {
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom(c.proposals), 1, len(c.proposals), rapid.ID[protocol.Hash]).Draw(c.t, "agenda")
	var votes []protocol.Vote
	for _, id := range ids {
		votes = append(votes, protocol.Vote{Proposal: id, Choice: protocol.For})
	}
	b := protocol.NewBallot(votes...)
	if rapid.IntRange(0, 3).Draw(c.t, "for another") == 0 {
		b.For = c.member().ID
	}
	return b
}

// standing is what a member does about its voice, its keys and its membership.
func (c *chaos) standing() error {
	town, m := c.town, c.member()
	switch rapid.SampledFrom([]string{"delegate", "delegate", "revoke", "keys", "leave"}).Draw(c.t, "standing") {
	case "delegate":
		return Vote(town, m, protocol.Delegation{To: c.member().ID, From: town.Now, Until: town.Now + 3*Day})
	case "revoke":
		for _, d := range federation.Delegations(&town.Log, m.ID) {
			return Vote(town, m, protocol.Revocation{Delegation: d.ID})
		}
	case "keys":
		return town.ChangeKeys(m)
	case "leave":
		if rapid.IntRange(0, 9).Draw(c.t, "really") == 0 {
			return Vote(town, m, protocol.Leave{Member: m.ID})
		}
	}
	return nil
}

func (c *chaos) effect() protocol.Effect {
	m := c.town.Members
	return rapid.SampledFrom([]protocol.Effect{
		{GrantBudget: &protocol.Grant{NanoRho: 1000}},
		{SetPolicy: &protocol.PolicyText{Name: "une", Text: "x"}},
		{RemovePolicy: "une"},
		{Expel: m[3].ID},
		{Suspend: m[2].ID},
		{Reinstate: m[2].ID},
		{ElectWorkers: &protocol.WorkerRoll{First: m[2].ID, Second: m[3].ID}},
		{ElectStewards: &protocol.StewardRoll{Members: []protocol.MemberID{m[0].ID, m[1].ID}, Threshold: 2}},
		{StartEpoch: &protocol.EpochStart{Until: c.town.Now + 2*Day}},
	}).Draw(c.t, "effect")
}

func (c *chaos) ceremony() error {
	town, m := c.town, c.member()
	attempt := town.Ceremony().Attempt
	switch rapid.SampledFrom([]string{"hello", "complaint", "ready", "ticket", "migrated", "retire"}).Draw(c.t, "step") {
	case "hello":
		return town.Hello(m)
	case "complaint":
		return Node(town, m, protocol.Complaint{Attempt: attempt, Against: c.member().ID})
	case "ready":
		return Node(town, m, protocol.Ready{Attempt: attempt, PublicKey: []byte("nonsense")})
	case "migrated":
		return Node(town, m, protocol.Migrated{Epoch: 2})
	case "retire":
		return State(town, protocol.Retirement{Epoch: rapid.SampledFrom([]protocol.Epoch{1, 2}).Draw(c.t, "epoch")})
	}
	return Node(town, m, ticket(rapid.Int64Range(1, 4).Draw(c.t, "sequence"), rapid.IntRange(1, 4096).Draw(c.t, "count")))
}

func (c *chaos) round() error {
	town := c.town
	if len(c.rounds) == 0 || rapid.IntRange(0, 5).Draw(c.t, "begin") == 0 {
		first := rapid.IntRange(0, 2).Draw(c.t, "first")
		m := town.Manifest(town.Members[first], town.Members[first+1])
		err := Node(town, c.member(), m)
		if err == nil {
			c.rounds = append(c.rounds, m.Round)
		}
		return err
	}
	r := town.Round(rapid.SampledFrom(c.rounds).Draw(c.t, "round"))
	source := rapid.SampledFrom(r.Content().Sources).Draw(c.t, "source")
	m := c.member()
	if rapid.Bool().Draw(c.t, "its own") {
		m = town.Member(source.Member)
	}
	reason := protocol.Text{FR: "Non.", EN: "No."}
	mac := protocol.HashOf(rapid.SampledFrom([][]byte{nil, nil, nil, {1}}).Draw(c.t, "mac"))
	switch rapid.IntRange(0, 11).Draw(c.t, "step") {
	case 0, 1, 2:
		return Node(town, m, protocol.Ack{RoundRef: r.Ref()})
	case 3:
		return State(town, town.Reservation(r))
	case 4, 5:
		return Node(town, m, protocol.KeyConfirm{RoundRef: r.Ref(), MAC: mac})
	case 6, 7:
		return Node(town, m, protocol.Upload{RoundRef: r.Ref(), Source: source.Name, Digest: protocol.HashOf([]byte{1})})
	case 8:
		return State(town, protocol.Opening{RoundRef: r.Ref()})
	case 9:
		return State(town, town.Result(r))
	case 10:
		return Node(town, m, protocol.Collected{RoundRef: r.Ref(), Source: source.Name})
	}
	if rapid.Bool().Draw(c.t, "lapse") {
		return State(town, protocol.Lapse{RoundRef: r.Ref(), Reason: reason})
	}
	return Node(town, m, protocol.Abort{RoundRef: r.Ref(), Reason: reason})
}

// order is how far a stage is; a round never goes back.
var order = map[federation.Stage]int{
	federation.Proposed: 0, federation.Accepted: 1, federation.Reserved: 2, federation.Keyed: 3,
	federation.Opened: 4, federation.Published: 5, federation.Closed: 6, federation.Refused: 6, federation.Aborted: 6,
}

func (c *chaos) invariants() {
	l := c.town.Ledger()
	if l.Spent < 0 || l.Reserved < 0 || l.Spent+l.Reserved > l.Granted || l.Granted < c.granted {
		c.t.Fatalf("the ledger is broken: %+v", l)
	}
	c.granted = l.Granted
	// The ledger counted again from the rounds themselves.
	var reserved, least dp.NanoRho
	running := 0
	for _, r := range federation.Rounds(&c.town.Log) {
		stage := order[r.Stage]
		if stage < c.reached[r.ID] {
			c.t.Fatalf("a round went back to %s", r.Stage)
		}
		c.reached[r.ID] = stage
		switch r.Stage {
		case federation.Reserved, federation.Keyed:
			reserved += r.Cost
		case federation.Opened, federation.Published, federation.Closed:
			least += r.Cost
		}
		if !r.Stage.Ended() {
			running++
		}
	}
	if l.Reserved != reserved || l.Spent < least {
		c.t.Fatalf("%+v, and the rounds make %d reserved and at least %d spent", l, reserved, least)
	}
	if got := len(federation.RunningRounds(&c.town.Log)); got != running {
		c.t.Fatalf("%d rounds on the list, %d under way", got, running)
	}
	open := 0
	for _, p := range federation.Proposals(&c.town.Log) {
		if s := p.State(federation.Time(&c.town.Log)); s == federation.ProposalOpen || s == federation.ProposalScheduled {
			open++
		}
	}
	if got := len(federation.OpenProposals(&c.town.Log)); got != open {
		c.t.Fatalf("%d votes on the list, %d open", got, open)
	}
}
