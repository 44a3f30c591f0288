package state

import (
	"slices"
	"testing"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// BenchmarkVote is what a replica takes to apply one vote of 150 members that vote
// at once, with a 150th of the count: signatures verified, rules checked, the log
// extended. Commands hold a hundred ballots, each of one vote (single) or of 20
// (agenda).
func BenchmarkVote(b *testing.B) {
	const batch, proposals = 100, 20
	for _, kind := range []struct {
		name  string
		votes int
	}{{"single", 1}, {"agenda", proposals}} {
		b.Run(kind.name, func(b *testing.B) {
			p := newPolling(b)
			for done := 0; done < b.N; done += proposals * len(p.town.Members) {
				b.StopTimer()
				documents := p.sitting(proposals, kind.votes)
				b.StartTimer()
				for part := range slices.Chunk(documents, batch) {
					p.apply(part...)
				}
				for _, id := range p.open {
					p.apply(p.close(id))
				}
			}
		})
	}
}

type polling struct {
	b     *testing.B
	town  *federationtest.Town
	state *State
	index uint64
	open  []protocol.Hash
}

func newPolling(b *testing.B) *polling {
	b.Helper()
	s, err := New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	p := &polling{b: b, town: federationtest.New(b, 150), state: s}
	document, err := protocol.Canonical(p.town.Founding)
	if err != nil {
		b.Fatal(err)
	}
	p.apply(Append{Label: protocol.LabelGenesis, Document: document})
	return p
}

func (p *polling) apply(documents ...Append) {
	p.index++
	raw, err := Command{At: p.town.Now, Append: documents}.Encode()
	if err != nil {
		p.b.Fatal(err)
	}
	for _, o := range p.state.Apply(p.index, raw).([]Outcome) {
		if o.Err != nil {
			p.b.Fatal(o.Err)
		}
	}
}

func (p *polling) head() (head protocol.Head) {
	err := p.state.View(func(tx federation.Tx) (err error) {
		head, err = federation.Head(tx)
		return err
	})
	if err != nil {
		p.b.Fatal(err)
	}
	return head
}

func signed[R key.Role, T protocol.Document[R]](p *polling, by protocol.PartyID, k key.Private[R], doc T) (Append, protocol.Hash) {
	s, err := protocol.Sign(protocol.Signer[R]{Federation: p.town.Federation, By: by, Key: k}, p.head(), doc)
	if err != nil {
		p.b.Fatal(err)
	}
	document, err := protocol.Canonical(s)
	if err != nil {
		p.b.Fatal(err)
	}
	return Append{Label: doc.Label(), Document: document}, protocol.ID(p.town.Federation, s)
}

func (p *polling) close(id protocol.Hash) Append {
	document, _ := signed(p, protocol.PartyID(federationtest.ReplicaID), p.town.Replica, protocol.Close{Proposal: id})
	return document
}

// sitting opens proposals and returns all ballots on them, each of so many votes.
func (p *polling) sitting(proposals, votes int) (ballots []Append) {
	p.town.Now += federationtest.Second
	p.open = nil
	floors := p.town.Founding.Genesis.Charter.Floors
	author, second := p.town.Members[0], p.town.Members[1]
	for range proposals {
		p.town.Now += federationtest.Second // so that each is another document
		document, id := signed(p, protocol.PartyID(author.ID), author.Vote, p.town.Proposal(protocol.Effect{SetFloors: &floors}))
		cosign, _ := signed(p, protocol.PartyID(second.ID), second.Vote, protocol.Cosign{Proposal: id})
		p.apply(document)
		p.apply(cosign)
		p.open = append(p.open, id)
	}
	var agenda []protocol.Vote
	for _, id := range p.open {
		agenda = append(agenda, protocol.Vote{Proposal: id, Choice: protocol.For})
	}
	for part := range slices.Chunk(agenda, votes) {
		ballot := protocol.NewBallot(part...)
		for _, m := range p.town.Members {
			document, _ := signed(p, protocol.PartyID(m.ID), m.Vote, ballot)
			ballots = append(ballots, document)
		}
	}
	return ballots
}
