package federationtest

import (
	"bytes"
	"fmt"
	"slices"

	"coulisse/crypto/dp"
	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// Proposal is a proposal that stays open for a day.
func (t *Town) Proposal(e protocol.Effect) protocol.Proposal {
	return protocol.Proposal{
		Title:  protocol.Text{FR: "Une proposition", EN: "A proposal"},
		Reason: protocol.Text{FR: "Parce que.", EN: "Because."},
		Effect: e, Closes: t.Now + Day,
	}
}

// Open proposes by the first member, cosigns by the second, and returns the
// proposal's identity.
func (t *Town) Open(e protocol.Effect) protocol.Hash {
	t.tb.Helper()
	s := SignVote(t, t.Members[0], t.Proposal(e))
	t.Must(Post(t, s))
	id := protocol.ID(t.Federation, s)
	t.Must(Vote(t, t.Members[1], protocol.Cosign{Proposal: id}))
	return id
}

// Decide has every member in good standing vote for an effect, and closes.
func (t *Town) Decide(e protocol.Effect) {
	t.tb.Helper()
	id := t.Open(e)
	for _, m := range t.Members {
		if _, ok := t.View().Active(m.ID); ok {
			t.Must(Vote(t, m, protocol.NewBallot(protocol.Vote{Proposal: id, Choice: protocol.For})))
		}
	}
	t.Must(State(t, protocol.Close{Proposal: id}))
}

// Renewed is a member's card with new keys: everything else is as it was.
func (t *Town) Renewed(m *Member) *Member {
	t.tb.Helper()
	next := NewMember(t.tb, m.ID)
	next.Card.Name, next.Card.Kind, next.Card.Group = m.Card.Name, m.Card.Kind, m.Card.Group
	next.Resign(t.tb)
	return next
}

// ChangeKeys gives a member new keys, signed with its old one.
func (t *Town) ChangeKeys(m *Member) error {
	t.tb.Helper()
	next := t.Renewed(m)
	err := Vote(t, m, protocol.KeyChange{Card: next.Signed})
	if err == nil {
		t.Replace(next)
	}
	return err
}

// Replace puts a member with new keys in its own place.
func (t *Town) Replace(next *Member) {
	t.Members = slices.Clone(t.Members)
	for i, m := range t.Members {
		if m.ID == next.ID {
			t.Members[i] = next
		}
	}
}

// Elect elects stewards and returns the ceremony that begins.
func (t *Town) Elect(threshold int, members ...*Member) federation.Ceremony {
	t.tb.Helper()
	roll := &protocol.StewardRoll{Threshold: threshold}
	for _, m := range members {
		roll.Members = append(roll.Members, m.ID)
	}
	t.Decide(protocol.Effect{ElectStewards: roll})
	return t.Ceremony()
}

// Ceremony is the present one.
func (t *Town) Ceremony() federation.Ceremony {
	c, _ := federation.CurrentCeremony(&t.Log)
	return c
}

// Member finds an organisation of the town.
func (t *Town) Member(id protocol.MemberID) *Member {
	t.tb.Helper()
	for _, m := range t.Members {
		if m.ID == id {
			return m
		}
	}
	t.tb.Fatalf("no member %s", id)
	return nil
}

// Hello posts a receiver's fresh envelope key.
func (t *Town) Hello(m *Member) error {
	t.tb.Helper()
	fresh, err := seal.NewEnvelopeKey()
	t.Must(err)
	m.ceremony = fresh
	return Node(t, m, protocol.Hello{Attempt: t.Ceremony().Attempt, Envelope: fresh.Public()})
}

func (t *Town) subshareContext(a protocol.Attempt, from, to protocol.MemberID) seal.Context {
	return seal.Context{
		Label: "subshare", Genesis: t.Federation, Sender: string(from), Receiver: string(to),
		Subject: fmt.Appendf(nil, "%d/%d/%d", a.Epoch, a.Roll, a.Number),
	}
}

// Deal makes a dealer's document. A share for the member spoiled, if any, is
// broken.
func (t *Town) Deal(m *Member, spoiled protocol.MemberID) protocol.Deal {
	t.tb.Helper()
	c := t.Ceremony()
	terms, err := c.Terms(t.View().Charter.Namespace)
	t.Must(err)
	var dealing *oprf.Dealing
	var subshares []oprf.Subshare
	if c.Old != nil {
		dealing, subshares, err = terms.Reshare(m.Share)
	} else {
		for _, h := range c.Dealers {
			if h.Member == m.ID {
				dealing, subshares, err = terms.Deal(oprf.Index(h.Index))
			}
		}
	}
	t.Must(err)
	encoded, err := dealing.MarshalBinary()
	t.Must(err)
	doc := protocol.Deal{Attempt: c.Attempt, Dealing: encoded}
	for i, to := range c.Receivers {
		secret, err := subshares[i].MarshalBinary()
		t.Must(err)
		if to.Member == spoiled {
			secret = bytes.Repeat([]byte{1}, len(secret))
		}
		hello, ok := federation.FindHello(&t.Log, c.Attempt, to.Member)
		if !ok {
			t.tb.Fatal("a receiver has not greeted")
		}
		sealed, err := seal.Seal(hello.Envelope, t.subshareContext(c.Attempt, m.ID, to.Member), secret)
		t.Must(err)
		doc.Shares = append(doc.Shares, protocol.SealedShare{To: to.Member, Sealed: sealed})
	}
	return doc
}

// Receive opens and checks a receiver's shares. It returns the statement that
// all is well, or whose share is wrong.
func (t *Town) Receive(m *Member) (protocol.Ready, protocol.MemberID) {
	t.tb.Helper()
	c := t.Ceremony()
	terms, err := c.Terms(t.View().Charter.Namespace)
	t.Must(err)
	dealings, err := c.Dealings(&t.Log)
	t.Must(err)
	var index oprf.Index
	for _, h := range c.Receivers {
		if h.Member == m.ID {
			index = oprf.Index(h.Index)
		}
	}
	var subshares []oprf.Subshare
	for i, dealer := range c.Dealers {
		deal, _ := federation.FindDeal(&t.Log, c.Attempt, dealer.Member)
		for _, s := range deal.Shares {
			if s.To != m.ID {
				continue
			}
			secret, err := seal.Open(m.ceremony, t.subshareContext(c.Attempt, dealer.Member, m.ID), s.Sealed)
			t.Must(err)
			sub, err := oprf.ParseSubshare(secret)
			if err != nil || terms.VerifySubshare(dealings[i], sub) != nil {
				return protocol.Ready{}, dealer.Member
			}
			subshares = append(subshares, sub)
		}
	}
	share, public, err := terms.Aggregate(index, dealings, subshares)
	t.Must(err)
	m.Share = share
	encoded, err := public.MarshalBinary()
	t.Must(err)
	return protocol.Ready{Attempt: c.Attempt, PublicKey: encoded}, ""
}

// RunCeremony takes the present ceremony to its end, everybody honest.
func (t *Town) RunCeremony() federation.Key {
	t.tb.Helper()
	c := t.Ceremony()
	for _, h := range c.Receivers {
		t.Must(t.Hello(t.Member(h.Member)))
	}
	for _, h := range c.Dealers {
		m := t.Member(h.Member)
		t.Must(Node(t, m, t.Deal(m, "")))
	}
	for _, h := range c.Receivers {
		m := t.Member(h.Member)
		ready, wrong := t.Receive(m)
		if wrong != "" {
			t.tb.Fatalf("the share of %s is wrong", wrong)
		}
		t.Must(Node(t, m, ready))
	}
	k, ok := federation.ActiveKey(&t.Log)
	if !ok {
		t.tb.Fatal("the ceremony gave no key")
	}
	return k
}

// Keyed is Found, with the first three members elected and holding a key.
func (t *Town) Keyed() *Town {
	t.tb.Helper()
	t.Elect(2, t.Members[:3]...)
	t.RunCeremony()
	return t
}

// StartEpoch has the members decide on the next key epoch. The former key is
// retired in so long at the latest.
func (t *Town) StartEpoch(within protocol.Millis) {
	t.tb.Helper()
	t.Decide(protocol.Effect{StartEpoch: &protocol.EpochStart{Until: t.Now + within}})
}

// Manifest is a round of the given members, one source each; the first
// receives labels. A person counts if two of them know it.
func (t *Town) Manifest(members ...*Member) protocol.Manifest {
	t.tb.Helper()
	m := protocol.Manifest{
		Round:     protocol.RoundID(fmt.Sprintf("%032x", federation.Size(&t.Log))),
		Operation: protocol.OperationMatch,
		Title:     protocol.Text{FR: "Amateurs de danse", EN: "Dance lovers"},
		Noise:     protocol.Noise{Total: Noise, Sources: Noise},
		Policies:  t.View().Last, Epoch: 1, Deadline: t.Now + Hour,
	}
	var ids []protocol.MemberID
	for _, member := range members {
		ids = append(ids, member.ID)
	}
	if epoch, err := federation.RoundEpoch(&t.Log, ids); err == nil {
		m.Epoch = epoch
	}
	for _, member := range members {
		m.Sources = append(m.Sources, protocol.Source{
			Name: protocol.SourceName("source-" + string(member.ID)), Member: member.ID,
			Definition: protocol.Definition{Name: "danse", Title: m.Title, Disciplines: []string{"dance"}},
		})
	}
	m.Recipients = []protocol.SourceName{m.Sources[0].Name}
	of := []protocol.SourceName{}
	for _, s := range m.Sources {
		of = append(of, s.Name)
	}
	m.Rule = protocol.Rule{AtLeast: &protocol.AtLeast{T: 2, Of: of}}
	return m
}

// Begin posts a manifest by its first participant and returns the round.
func (t *Town) Begin(m protocol.Manifest) federation.Round {
	t.tb.Helper()
	t.Must(Node(t, t.Member(m.Sources[0].Member), m))
	return t.Round(m.Round)
}

// Round is a round as it stands.
func (t *Town) Round(id protocol.RoundID) federation.Round {
	t.tb.Helper()
	r, err := federation.FindRound(&t.Log, id)
	t.Must(err)
	return r
}

// Reservation is what the replica would state for a round now.
func (t *Town) Reservation(r federation.Round) protocol.Reserve {
	t.tb.Helper()
	return protocol.Reserve{RoundRef: r.Ref(), Cost: r.Cost, Left: t.Ledger().Left() - r.Cost}
}

// Result is a result of the right shape: 500 people in all, 200 a source.
func (t *Town) Result(r federation.Round) protocol.Result {
	t.tb.Helper()
	m := r.Content()
	result := protocol.Result{RoundRef: r.Ref(), Size: t.figure(500, m.Noise.Total)}
	for _, s := range m.Sources {
		result.Sources = append(result.Sources, protocol.SourceFigure{Source: s.Name, Figure: t.figure(200, m.Noise.Sources)})
	}
	return result
}

func (t *Town) figure(value int64, v dp.Variance) protocol.Figure {
	t.tb.Helper()
	low, high, err := dp.Interval(value, v, 95)
	t.Must(err)
	return protocol.Figure{Value: value, Low: low, High: high, Variance: v}
}

// Advance takes a round forward, everybody willing, until it is at a stage.
func (t *Town) Advance(id protocol.RoundID, to federation.Stage) federation.Round {
	t.tb.Helper()
	for range 16 {
		r := t.Round(id)
		if r.Stage == to {
			return r
		}
		t.step(r)
	}
	t.tb.Fatalf("the round does not reach %s", to)
	return federation.Round{}
}

func (t *Town) step(r federation.Round) {
	t.tb.Helper()
	m := r.Content()
	switch r.Stage {
	case federation.Proposed:
		for _, id := range m.Participants() {
			t.Must(Node(t, t.Member(id), protocol.Ack{RoundRef: r.Ref()}))
		}
	case federation.Accepted:
		t.Must(State(t, t.Reservation(r)))
	case federation.Reserved:
		for _, id := range m.Participants() {
			t.Must(Node(t, t.Member(id), protocol.KeyConfirm{RoundRef: r.Ref(), MAC: protocol.HashOf([]byte("round key"))}))
		}
	case federation.Keyed:
		for _, s := range m.Sources {
			digest := protocol.HashOf([]byte(s.Name))
			t.Must(Node(t, t.Member(s.Member), protocol.Upload{RoundRef: r.Ref(), Source: s.Name, Digest: digest}))
		}
		t.Must(State(t, protocol.Opening{RoundRef: r.Ref()}))
	case federation.Opened:
		t.Must(State(t, t.Result(r)))
	case federation.Published:
		for _, name := range m.Recipients {
			t.Must(Node(t, t.Member(m.Owner(name)), protocol.Collected{RoundRef: r.Ref(), Source: name}))
		}
	}
}
