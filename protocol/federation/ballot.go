package federation

import (
	"errors"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/governance"

	"github.com/go-json-experiment/json"
)

// cast is a vote in the state: what deciding when its proposal closes, and the
// count, need of the ballot that holds it, which stays in the log.
type cast struct {
	By     protocol.PartyID `json:"by"`
	Choice protocol.Choice  `json:"choice"`
	// Delegation is what a proxy cast it under.
	Delegation *protocol.Signed[protocol.Delegation] `json:"delegation,omitempty"`
	// Document is the hash of the ballot, by which the log finds it.
	Document protocol.Hash `json:"document"`
	// Void says that the member whose key signed it has lost that key.
	Void bool `json:"void,omitzero"`

	Voice protocol.MemberID `json:"-"` // whose it is: in the key
}

// own reports whether a member cast it for itself.
func (c cast) own() bool { return c.Delegation == nil }

func (c cast) voice() governance.Voice {
	return governance.Voice{Member: c.Voice, By: c.By, Choice: c.Choice}
}

func castsKey(id protocol.Hash) string { return "ballot/" + id.String() + "/" }

func castKey(id protocol.Hash, voice protocol.MemberID) string { return castsKey(id) + string(voice) }

// castOn are the votes on a proposal that are not void, ascending by whose they
// are.
func castOn(tx Tx, id protocol.Hash) []cast {
	prefix, valid := castsKey(id), []cast{}
	tx.Ascend(prefix, func(key, raw string) bool {
		var c cast
		if decode(key, raw, &c); !c.Void {
			c.Voice = protocol.MemberID(strings.TrimPrefix(key, prefix))
			valid = append(valid, c)
		}
		return true
	})
	return valid
}

// counting are the votes that count now: their signers and those whose voice
// they are belong to the members in good standing, and no proxy carries more
// than the charter allows.
func counting(tx Tx, view governance.View, id protocol.Hash) []cast {
	counted, carried := []cast{}, map[protocol.PartyID]int{}
	for _, c := range castOn(tx, id) {
		if _, ok := view.Active(protocol.MemberID(c.By)); !ok {
			continue
		}
		if !c.own() {
			if _, ok := view.Active(c.Voice); !ok || carried[c.By] >= view.Charter.MaxProxies {
				continue
			}
			carried[c.By]++
		}
		counted = append(counted, c)
	}
	return counted
}

// Counting are the votes on a proposal that count now, by whose voice.
func Counting(tx Tx, view governance.View, id protocol.Hash) []governance.Voice {
	voices := []governance.Voice{}
	for _, c := range counting(tx, view, id) {
		voices = append(voices, c.voice())
	}
	return voices
}

// applyBallot counts all votes of a ballot, or none. Those that stand already as
// it says stay, even on a proposal that is closed: an agenda that is voted on again,
// with more on it, is not refused for what was said before.
func applyBallot(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Ballot](tx, e)
	if err != nil {
		return err
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	b, err := view.CheckBallot(s)
	if err != nil {
		return err
	}
	c := casting{tx: tx, view: view, at: e.At, cast: cast{
		By: s.By, Document: protocol.HashOf(e.Doc), Voice: b.Principal(s.By),
	}, encoded: map[protocol.Choice]string{}}
	counted := 0
	for _, v := range b.Votes {
		switch err := c.count(v); {
		case err == nil:
			counted++
		case !errors.Is(err, ErrAlready):
			return notCounted(v, err)
		}
	}
	if counted == 0 {
		return ErrAlready
	}
	return nil
}

// notCounted says which vote keeps its ballot from being counted.
func notCounted(v protocol.Vote, err error) error {
	var r protocol.Refusal
	if !errors.As(err, &r) {
		return err
	}
	return protocol.Refuse(r.Kind, "proposition %[1]s\u00a0: %[2]s; rien de ce bulletin n'est compté",
		"proposal %[1]s: %[3]s; nothing of this ballot is counted", v.Proposal.Short(), r.Text.FR, r.Text.EN)
}

// casting is a verified ballot that is being counted.
type casting struct {
	tx   Tx
	view governance.View
	at   protocol.Millis
	cast cast
	// encoded are the member's own votes as they are stored, the same on every
	// proposal.
	encoded map[protocol.Choice]string
}

// count takes one vote, or returns [ErrAlready] for one that stands, before it reads
// the proposal: who repeats itself is not held up, and should cost little.
func (c *casting) count(v protocol.Vote) error {
	key, vote := castKey(v.Proposal, c.cast.Voice), c.cast
	vote.Choice = v.Choice
	if earlier, ok := load[cast](c.tx, key); ok && !earlier.Void {
		if err := mayReplace(earlier, vote); err != nil {
			return err
		}
	}
	p, err := FindProposal(c.tx, v.Proposal)
	if err != nil {
		return protocol.Refuse(ErrNotFound, "cette proposition n'existe pas dans cette fédération", "there is no such proposal in this federation")
	}
	if p.State(c.at) != ProposalOpen {
		return refuse("le vote n'est pas ouvert", "the vote is not open")
	}
	if c.at > p.Content().Closes {
		return refuse("le vote est terminé", "the vote is over")
	}
	if vote.Voice == protocol.MemberID(vote.By) {
		c.keepOwn(key, vote)
		return nil
	}
	if vote.Delegation, err = proxyFor(c.tx, c.view, p, vote.Voice, vote.By); err != nil {
		return err
	}
	save(c.tx, key, vote)
	return nil
}

func (c *casting) keepOwn(key string, vote cast) {
	raw, ok := c.encoded[vote.Choice]
	if !ok {
		encoded, err := json.Marshal(vote)
		if err != nil {
			panic("federation: a vote does not encode: " + err.Error())
		}
		raw = string(encoded)
		c.encoded[vote.Choice] = raw
	}
	c.tx.Set(key, raw)
}

// mayReplace lets a member's own vote take the place of its proxy's, and
// nothing else.
func mayReplace(earlier, later cast) error {
	if earlier.By == later.By && earlier.Choice == later.Choice {
		return ErrAlready
	}
	if later.Voice == protocol.MemberID(later.By) && !earlier.own() {
		return nil
	}
	return refuse("vous avez déjà voté; un bulletin est définitif", "you have voted already; a ballot is final")
}

// proxyFor finds the delegation under which one member votes for another, if
// the charter lets it carry one more.
func proxyFor(tx Tx, view governance.View, p Proposal, voice protocol.MemberID, by protocol.PartyID) (*protocol.Signed[protocol.Delegation], error) {
	closes := p.Content().Closes
	given, ok := delegationOn(tx, voice, closes)
	if !ok {
		return nil, refuse("le membre %s ne vous a pas donné de procuration pour ce vote", "the member %s has given you no delegation for this vote", voice)
	}
	to, err := view.CheckDelegation(given, p.OpenedAt, closes)
	if err != nil {
		return nil, protocol.Refuse(governance.ErrBallot, "la procuration du membre %s ne vaut pas pour ce vote; il doit en donner une autre",
			"the delegation of the member %s is not good for this vote; it has to give another", voice)
	}
	if to != protocol.MemberID(by) {
		return nil, refuse("le membre %s a donné sa procuration à un autre", "the member %s has delegated its ballot to another", voice)
	}
	carried := 0
	for _, c := range castOn(tx, p.ID) {
		if c.By == by && !c.own() {
			carried++
		}
	}
	if carried >= view.Charter.MaxProxies {
		return nil, refuse("la charte permet de porter la voix de %d autres membres, et vous les portez déjà",
			"the charter lets a member carry %d ballots of others, and you carry as many", view.Charter.MaxProxies)
	}
	return &given, nil
}

// voidBallots makes the votes that a member's lost key has signed, or let
// somebody sign, count for nothing in the votes under way: whoever found the
// key may have cast them. The member votes again. Its delegations are void as
// well, and end: it may give another for the same votes at once.
func voidBallots(tx Tx, id protocol.MemberID) {
	for _, p := range OpenProposals(tx) {
		for _, c := range castOn(tx, p.ID) {
			if c.Voice == id || c.By == protocol.PartyID(id) {
				c.Void = true
				save(tx, castKey(p.ID, c.Voice), c)
			}
		}
	}
	if len(Delegations(tx, id)) > 0 {
		save(tx, delegationsKey(id), []Delegation{})
	}
}
