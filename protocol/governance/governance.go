// Package governance counts votes and applies decisions: it is how anybody
// who holds the genesis and the chain of decisions knows who the members are
// and what they decided, without believing whoever handed them the chain.
//
// It implements protocol.md section 6. It is pure: no clock, no randomness, no
// network and no storage. The coordinator's replicated state and every node's
// witness run this same code.
package governance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"coulisse/crypto/key"
	"coulisse/protocol"
)

// Errors that say what is wrong with a decision, or with a document that would
// become part of one. Each is final: whoever presents it is at fault, or it
// was altered on the way. They come as a [protocol.Refusal], with their words.
var (
	// ErrGenesis: a founder's assent is missing, repeated or forged.
	ErrGenesis = errors.New("the genesis is not what its founders signed")
	// ErrChain: a decision is missing, repeated or out of order.
	ErrChain = errors.New("the decision does not follow the one before it")
	// ErrProposal: the proposal is forged or not a member's.
	ErrProposal = errors.New("the proposal does not count")
	// ErrCosign: the cosignature is forged, its author's own, or for another
	// proposal.
	ErrCosign = errors.New("the cosignature does not count")
	// ErrBallot: a ballot is forged, for another proposal, or from an
	// organisation that has no vote.
	ErrBallot = errors.New("a ballot does not count")
	// ErrOrder: the ballots are repeated or not in order.
	ErrOrder = errors.New("the ballots are not in order, one a member")
	// ErrEarly: the vote was closed before its time with ballots missing.
	ErrEarly = errors.New("the vote was closed before its time")
	// ErrRoster: the count is over other members than those in good standing.
	ErrRoster = errors.New("the decision counts other members than the roster")
	// ErrTally: the stated count or outcome is not what the ballots give.
	ErrTally = errors.New("the stated count is not what the ballots give")
	// ErrEffect: what was decided cannot be done, e.g. expelling a stranger.
	ErrEffect = errors.New("the decision cannot be applied")
)

// View is a federation after a number of decisions. It is a value: Apply
// returns another and leaves its receiver as it was.
type View struct {
	Federation protocol.Hash         `json:"federation"`
	Genesis    protocol.Genesis      `json:"-"` // stored once, with the founding
	Charter    protocol.Charter      `json:"charter"`
	Members    []Member              `json:"-"`        // ascending, those who left included; stored by themselves
	Policies   []Policy              `json:"policies"` // ascending by name
	Stewards   *protocol.StewardRoll `json:"stewards,omitempty"`
	Rolls      int                   `json:"rolls"` // steward elections so far
	// Epoch is the newest key epoch that was decided, the first needing no
	// decision, and Until is when the key of the one before it is retired.
	Epoch     protocol.Epoch       `json:"epoch"`
	Until     protocol.Millis      `json:"until,omitzero"`
	Workers   *protocol.WorkerRoll `json:"workers,omitempty"`
	Fees      *protocol.Fees       `json:"fees,omitempty"`
	Roll      protocol.Roll        `json:"roll"` // who the coordinator is
	Decisions int                  `json:"decisions"`
	// Last is the ID of the last decision, or of the genesis before any.
	Last protocol.Hash `json:"last"`
}

// Member is an organisation with its standing.
type Member struct {
	Card  protocol.Card `json:"card"`
	Since int           `json:"since"` // number of the decision that admitted it; 0 for a founder
	// Left is when it was expelled or went; zero while it belongs. Suspended is
	// the number of the decision that suspended it, until one reinstates it.
	Left      protocol.Millis `json:"left,omitzero"`
	Suspended int             `json:"suspended,omitzero"`
	// Earlier are the voting keys that it has replaced. A vote that opened
	// before may hold ballots under them.
	Earlier []EarlierKey `json:"earlier,omitempty"`
}

// EarlierKey is a voting key that was good until then. Lost says that a vote
// replaced it, since nobody knows who has it: no ballot counts under it.
type EarlierKey struct {
	Vote  key.Public[key.Vote] `json:"vote_key"`
	Until protocol.Millis      `json:"until"`
	Lost  bool                 `json:"lost,omitzero"`
}

// Active reports whether the member votes and takes part in rounds.
func (m Member) Active() bool { return m.Belongs() && m.Suspended == 0 }

// Belongs reports whether the organisation is a member, in good standing or
// suspended: it may read the log.
func (m Member) Belongs() bool { return m.Left == 0 }

// voteKeys are those under which a vote that opened then may hold ballots: the
// present one, and those replaced since, or in the same instant. Documents that
// arrive together share one, and a vote may have opened, taken a ballot and seen
// its key replaced in it.
func (m Member) voteKeys(opened protocol.Millis) []key.Public[key.Vote] {
	keys := []key.Public[key.Vote]{m.Card.Vote}
	for _, e := range m.Earlier {
		if opened <= e.Until && !e.Lost {
			keys = append(keys, e.Vote)
		}
	}
	return keys
}

// everyVoteKey are all that the member ever had. A proposal, and support for
// it, count under any: both are in the log, and neither is a voice.
func (m Member) everyVoteKey() []key.Public[key.Vote] {
	keys := []key.Public[key.Vote]{m.Card.Vote}
	for _, e := range m.Earlier {
		keys = append(keys, e.Vote)
	}
	return keys
}

// Policy is an adopted policy.
type Policy struct {
	protocol.PolicyText
	Decision int `json:"decision"` // number of the decision that adopted this text
}

// Begin verifies a founding: every founder's card, and every founder's assent
// to exactly this genesis.
func Begin(f protocol.Founding) (View, error) {
	if err := f.Genesis.Check(); err != nil {
		return View{}, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	id, err := f.Genesis.ID()
	if err != nil {
		return View{}, err
	}
	v := View{Federation: id, Genesis: f.Genesis, Charter: f.Genesis.Charter, Last: id, Epoch: 1, Roll: protocol.Roll{Replicas: f.Genesis.Replicas, Rules: protocol.FirstRules}}
	for _, signed := range f.Genesis.Founders {
		card, err := protocol.OpenCard(signed)
		if err != nil {
			return View{}, fmt.Errorf("%w: %w", ErrGenesis, err)
		}
		if err := v.admit(card, 0); err != nil {
			return View{}, fmt.Errorf("%w: %w", ErrGenesis, err)
		}
	}
	if err := v.checkAssents(f.Assents); err != nil {
		return View{}, err
	}
	return v, nil
}

// checkAssents wants one assent of each founder.
func (v View) checkAssents(assents []protocol.Signed[protocol.Assent]) error {
	assented := map[protocol.PartyID]bool{}
	for _, signed := range assents {
		founder, ok := v.Member(protocol.MemberID(signed.By))
		if !ok || assented[signed.By] {
			return protocol.Refuse(ErrGenesis,
				"un assentiment est répété, ou n'est pas celui d'un membre fondateur",
				"an assent is repeated or not a founder's")
		}
		assent, err := protocol.Open(v.Federation, signed, founder.Card.Vote)
		if err != nil || assent.Genesis != v.Federation {
			return protocol.Refuse(ErrGenesis,
				"l'assentiment de %s porte sur autre chose; faites-lui signer cette charte-ci",
				"the assent of %s is for something else; have it sign this charter", founder.Card.ID)
		}
		assented[signed.By] = true
	}
	if len(assented) != len(v.Members) {
		return protocol.Refuse(ErrGenesis,
			"il manque des signatures\u00a0: %d membres fondateurs sur %d ont signé, il les faut tous",
			"signatures are missing: %d of %d founders have signed, all of them must", len(assented), len(v.Members))
	}
	return nil
}

// Replay is Begin and then Apply of each decision. No proposal is decided twice.
func Replay(f protocol.Founding, chain []protocol.Decision, ballots Ballots) (View, error) {
	v, err := Begin(f)
	if err != nil {
		return View{}, err
	}
	decided := map[protocol.Hash]bool{}
	for _, d := range chain {
		if v, err = v.Apply(d, ballots); err != nil {
			return View{}, err
		}
		if d.Act != nil {
			continue
		}
		id := protocol.ID(v.Federation, d.Proposal)
		if decided[id] {
			return View{}, protocol.Refuse(ErrChain,
				"la décision %d porte sur une proposition qui est déjà décidée",
				"decision %d is on a proposal that is decided already", d.Number)
		}
		decided[id] = true
	}
	return v, nil
}

// Member finds an organisation, whatever its standing.
func (v View) Member(id protocol.MemberID) (Member, bool) {
	i, ok := v.find(id)
	if !ok {
		return Member{}, false
	}
	return v.Members[i], true
}

// Active finds an organisation in good standing.
func (v View) Active(id protocol.MemberID) (Member, bool) {
	m, ok := v.Member(id)
	return m, ok && m.Active()
}

// Roster is the members in good standing, ascending.
func (v View) Roster() []Member {
	return slices.DeleteFunc(slices.Clone(v.Members), func(m Member) bool { return !m.Active() })
}

// RosterHash names the members in good standing and their keys.
func (v View) RosterHash() (protocol.Hash, error) {
	if last := lastRoster.Load(); last != nil && len(v.Members) > 0 && len(last.members) == len(v.Members) && &last.members[0] == &v.Members[0] {
		return last.hash, nil
	}
	body, err := protocol.Canonical(v.Roster())
	if err != nil {
		return protocol.Hash{}, err
	}
	hash := protocol.HashOf(body)
	lastRoster.Store(&hashedRoster{v.Members, hash})
	return hash, nil
}

// lastRoster remembers the hash of the last roster: every vote states it, and
// it takes milliseconds over hundreds of members. The members of a view are
// never written to, so the same slice holds the same members.
var lastRoster atomic.Pointer[hashedRoster]

type hashedRoster struct {
	members []Member
	hash    protocol.Hash
}

// Replica finds a replica's key.
func (v View) Replica(id protocol.ReplicaID) (key.Public[key.Replica], bool) {
	for _, r := range v.Roll.Replicas {
		if r.ID == id {
			return r.Key, true
		}
	}
	return key.Public[key.Replica]{}, false
}

func (v View) find(id protocol.MemberID) (int, bool) {
	return slices.BinarySearchFunc(v.Members, id, func(m Member, id protocol.MemberID) int {
		return strings.Compare(string(m.Card.ID), string(id))
	})
}

// admit puts a new organisation in its place. No two organisations share a
// name or a key: one member, one vote, and the keys of one that left stay its
// own.
func (v *View) admit(card protocol.Card, decision int) error {
	i, taken := v.find(card.ID)
	if taken {
		return protocol.Refuse(ErrEffect,
			"le nom %s est déjà pris; choisissez-en un autre",
			"the name %s is taken; choose another", card.ID)
	}
	if len(v.Members) >= protocol.MaxMembers {
		return protocol.Refuse(ErrEffect,
			"une fédération a au plus %d membres",
			"a federation has at most %d members", protocol.MaxMembers)
	}
	if err := v.checkNewKeys(card); err != nil {
		return err
	}
	v.Members = slices.Insert(slices.Clone(v.Members), i, Member{Card: card, Since: decision})
	return nil
}

// checkNewKeys refuses keys that are, or were, anybody's.
func (v View) checkNewKeys(card protocol.Card) error {
	for _, m := range v.Members {
		used := m.Card.Vote == card.Vote || m.Card.Node == card.Node || m.Card.Envelope == card.Envelope
		used = used || slices.ContainsFunc(m.Earlier, func(e EarlierKey) bool { return e.Vote == card.Vote })
		if used {
			return protocol.Refuse(ErrEffect,
				"%s et %s présentent la même clé; chaque organisation crée les siennes",
				"%s and %s present the same key; each makes its own", m.Card.ID, card.ID)
		}
	}
	return nil
}
