// Package federationtest founds small federations with real keys and takes
// them through votes, key ceremonies and rounds, for tests of whatever reads
// their log. Nothing in it is simulated but the clock; what the log refuses, it
// hands back.
package federationtest

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// Town is a federation with all its keys, and its log in memory.
type Town struct {
	tb         testing.TB
	Founding   protocol.Founding
	Federation protocol.Hash
	Members    []*Member // ascending
	Replica    key.Private[key.Replica]
	Log        federation.Memory
	// Entries are what the log accepted, in order.
	Entries []protocol.Entry
	// Now stamps the next entry; each one takes a second.
	Now protocol.Millis
}

// Member is an organisation with its private keys.
type Member struct {
	ID       protocol.MemberID
	Card     protocol.Card
	Signed   protocol.Signed[protocol.Card]
	Vote     key.Private[key.Vote]
	Node     key.Private[key.Node]
	Envelope *seal.EnvelopeKey
	// Of the last ceremony in which it received a share.
	ceremony *seal.EnvelopeKey
	Share    oprf.Share
}

// ReplicaID is the town's only replica.
const ReplicaID protocol.ReplicaID = "coord-1"

// Spans of a town's life.
const (
	Second = protocol.Millis(1000)
	Hour   = 3600 * Second
	Day    = 24 * Hour
	// Morning is when every town is founded.
	Morning = protocol.Millis(1_763_900_000_000)
)

// NewMember makes an organisation with its keys and its signed card.
func NewMember(tb testing.TB, id protocol.MemberID) *Member {
	tb.Helper()
	m := &Member{ID: id}
	var err error
	if m.Vote, err = key.Generate[key.Vote](); err != nil {
		tb.Fatal(err)
	}
	if m.Node, err = key.Generate[key.Node](); err != nil {
		tb.Fatal(err)
	}
	if m.Envelope, err = seal.NewEnvelopeKey(); err != nil {
		tb.Fatal(err)
	}
	m.Card = protocol.Card{
		ID: id, Name: protocol.Text{FR: "Membre " + string(id), EN: "Member " + string(id)},
		Kind: protocol.KindHouse, Group: "groupe-" + string(id),
		Vote: m.Vote.Public(), Node: m.Node.Public(), Envelope: m.Envelope.Public(),
	}
	m.Resign(tb)
	return m
}

// Resign signs the card again, after a test has changed it.
func (m *Member) Resign(tb testing.TB) {
	tb.Helper()
	m.Signed = sign(tb, protocol.Signer[key.Vote]{By: protocol.PartyID(m.ID), Key: m.Vote}, protocol.Head{}, m.Card)
}

func sign[R key.Role, T protocol.Document[R]](tb testing.TB, s protocol.Signer[R], head protocol.Head, doc T) protocol.Signed[T] {
	tb.Helper()
	signed, err := protocol.Sign(s, head, doc)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// Charter is what towns are founded under.
func Charter() protocol.Charter {
	return protocol.Charter{
		Namespace: "ville", Name: protocol.Text{FR: "La ville", EN: "The town"},
		Ordinary:  protocol.VotingRule{QuorumPercent: 50, Numerator: 1, Denominator: 2, MaxOpen: protocol.Span(30 * Day)},
		Special:   protocol.VotingRule{QuorumPercent: 66, Numerator: 2, Denominator: 3, MaxOpen: protocol.Span(30 * Day)},
		Cosigners: 1, MaxProxies: 2,
		Floors: protocol.Floors{
			MinMembers: 2, MinParticipants: 2, MinSize: 20, MinVariance: 100, MaxRoundCost: 20_000_000,
		},
		Budget:    protocol.Budget{Total: 100_000_000, DeltaExponent: 9},
		Allowance: 10_000,
	}
}

// Found founds a town of n members, "membre-01" and so on, and appends its
// genesis. Edits change the charter first.
func Found(tb testing.TB, n int, edits ...func(*protocol.Charter)) *Town {
	tb.Helper()
	t := New(tb, n, edits...)
	document, err := protocol.Canonical(t.Founding)
	if err != nil {
		tb.Fatal(err)
	}
	if err := t.Append(protocol.LabelGenesis, document); err != nil {
		tb.Fatal(err)
	}
	return t
}

// New is Found with an empty log.
func New(tb testing.TB, n int, edits ...func(*protocol.Charter)) *Town {
	tb.Helper()
	t := &Town{tb: tb, Now: Morning}
	var err error
	if t.Replica, err = key.Generate[key.Replica](); err != nil {
		tb.Fatal(err)
	}
	g := protocol.Genesis{
		Charter: Charter(), At: t.Now,
		Replicas: []protocol.Replica{{
			ID: ReplicaID, Key: t.Replica.Public(), TLS: protocol.HashOf([]byte("tls")), Authority: protocol.HashOf([]byte("authority")),
		}},
	}
	for _, edit := range edits {
		edit(&g.Charter)
	}
	width := max(2, len(strconv.Itoa(n))) // so that names sort as numbers
	for i := range n {
		m := NewMember(tb, protocol.MemberID(fmt.Sprintf("membre-%0*d", width, i+1)))
		t.Members = append(t.Members, m)
		g.Founders = append(g.Founders, m.Signed)
	}
	if t.Federation, err = g.ID(); err != nil {
		tb.Fatal(err)
	}
	t.Founding.Genesis = g
	for _, m := range t.Members {
		s := protocol.Signer[key.Vote]{Federation: t.Federation, By: protocol.PartyID(m.ID), Key: m.Vote}
		t.Founding.Assents = append(t.Founding.Assents, sign(tb, s, protocol.Head{}, protocol.Assent{Genesis: t.Federation}))
	}
	return t
}

// Again is another town with the same members and the same log up to now.
func (t *Town) Again() *Town {
	t.tb.Helper()
	again := &Town{
		tb: t.tb, Founding: t.Founding, Federation: t.Federation, Members: t.Members,
		Replica: t.Replica, Entries: slices.Clone(t.Entries), Now: t.Now,
	}
	for _, e := range t.Entries {
		t.Must(again.Log.Apply(e))
	}
	return again
}

// Append gives a document its place, a second after the last one.
func (t *Town) Append(label protocol.Label, document []byte) error {
	e := protocol.Entry{Seq: federation.Size(&t.Log), At: t.Now, Label: label, Doc: document}
	if err := t.Log.Apply(e); err != nil {
		return err
	}
	t.Entries = append(t.Entries, e)
	t.Now += Second
	return nil
}

// Head is the log's present head.
func (t *Town) Head() protocol.Head {
	t.tb.Helper()
	head, err := federation.Head(&t.Log)
	if err != nil {
		t.tb.Fatal(err)
	}
	return head
}

// View is the present state of the town's governance.
func (t *Town) View() governance.View {
	t.tb.Helper()
	view, err := federation.View(&t.Log)
	if err != nil {
		t.tb.Fatal(err)
	}
	return view
}

// Ballots are those that the town's decisions name.
func (t *Town) Ballots() governance.Ballots {
	t.tb.Helper()
	ballots, err := governance.BallotsOf(federation.BallotsOf(&t.Log, federation.Decisions(&t.Log, 0)...))
	if err != nil {
		t.tb.Fatal(err)
	}
	return ballots
}

// Ledger is the privacy budget.
func (t *Town) Ledger() federation.Ledger {
	t.tb.Helper()
	ledger, err := federation.ReadLedger(&t.Log)
	if err != nil {
		t.tb.Fatal(err)
	}
	return ledger
}

// SignVote signs with a member's voting key.
func SignVote[T protocol.Document[key.Vote]](t *Town, m *Member, doc T) protocol.Signed[T] {
	t.tb.Helper()
	return sign(t.tb, protocol.Signer[key.Vote]{Federation: t.Federation, By: protocol.PartyID(m.ID), Key: m.Vote}, t.Head(), doc)
}

// SignNode signs with a member's node key.
func SignNode[T protocol.Document[key.Node]](t *Town, m *Member, doc T) protocol.Signed[T] {
	t.tb.Helper()
	return sign(t.tb, protocol.Signer[key.Node]{Federation: t.Federation, By: protocol.PartyID(m.ID), Key: m.Node}, t.Head(), doc)
}

// SignReplica signs with the replica's key.
func SignReplica[T protocol.Document[key.Replica]](t *Town, doc T) protocol.Signed[T] {
	t.tb.Helper()
	return sign(t.tb, protocol.Signer[key.Replica]{Federation: t.Federation, By: protocol.PartyID(ReplicaID), Key: t.Replica}, t.Head(), doc)
}

// Post appends a document that is signed already.
func Post[T interface{ Label() protocol.Label }](t *Town, s protocol.Signed[T]) error {
	t.tb.Helper()
	document, err := protocol.Canonical(s)
	if err != nil {
		t.tb.Fatal(err)
	}
	var doc T
	return t.Append(doc.Label(), document)
}

// Vote signs with a member's voting key and appends.
func Vote[T protocol.Document[key.Vote]](t *Town, m *Member, doc T) error {
	t.tb.Helper()
	return Post(t, SignVote(t, m, doc))
}

// Node signs with a member's node key and appends.
func Node[T protocol.Document[key.Node]](t *Town, m *Member, doc T) error {
	t.tb.Helper()
	return Post(t, SignNode(t, m, doc))
}

// State signs with the replica's key and appends.
func State[T protocol.Document[key.Replica]](t *Town, doc T) error {
	t.tb.Helper()
	return Post(t, SignReplica(t, doc))
}

// Must fails the test on an error.
func (t *Town) Must(err error) {
	t.tb.Helper()
	if err != nil {
		t.tb.Fatal(err)
	}
}

// Noise is what the town's rounds use.
const Noise dp.Variance = 400
