package federation

import (
	"bytes"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// cast is a ballot in the state: the entry that holds it, and the delegation
// under which a proxy cast it. Void says that the member whose key signed it has
// lost that key.
type cast struct {
	Entry      int64                                 `json:"entry"`
	Delegation *protocol.Signed[protocol.Delegation] `json:"delegation,omitempty"`
	Void       bool                                  `json:"void,omitzero"`

	Signed protocol.Signed[protocol.Ballot] `json:"-"` // read from the entry
}

// read fills in the ballot of one that was loaded.
func (c *cast) read(tx Tx) {
	document, ok := documentAt(tx, c.Entry)
	if !ok {
		panic("federation: the state is damaged: a ballot's entry is missing")
	}
	var err error
	if c.Signed, err = protocol.Decode[protocol.Signed[protocol.Ballot]](document); err != nil {
		panic("federation: a stored ballot does not decode: " + err.Error())
	}
}

func castBy(tx Tx, id protocol.Hash, voice protocol.MemberID) (cast, bool) {
	c, ok := load[cast](tx, ballotKey(id, voice))
	if ok {
		c.read(tx)
	}
	return c, ok
}

// own reports whether a member cast it for itself.
func (c cast) own() bool { return c.Delegation == nil }

// voice is whose ballot it is.
func (c cast) voice() protocol.MemberID {
	b, err := protocol.Peek(c.Signed)
	if err != nil {
		panic("federation: a stored ballot does not decode: " + err.Error())
	}
	return b.Principal(c.Signed.By)
}

func ballotKey(id protocol.Hash, voice protocol.MemberID) string {
	return strings.Join([]string{"ballot", id.String(), string(voice)}, "/")
}

// castOn are the ballots on a proposal that are not void, ascending by whose
// they are.
func castOn(tx Tx, id protocol.Hash) []cast {
	all := collect[cast](tx, ballotKey(id, ""))
	valid := all[:0]
	for _, c := range all {
		if !c.Void {
			c.read(tx)
			valid = append(valid, c)
		}
	}
	return valid
}

// Ballots are those cast on a proposal, ascending by whose voice they are.
func Ballots(tx Tx, id protocol.Hash) []protocol.Signed[protocol.Ballot] {
	ballots := []protocol.Signed[protocol.Ballot]{}
	for _, c := range castOn(tx, id) {
		ballots = append(ballots, c.Signed)
	}
	return ballots
}

// counting are the ballots that count now: their signers and those whose voice
// they are belong to the members in good standing, and no proxy carries more
// than the charter allows.
func counting(tx Tx, view governance.View, id protocol.Hash) []cast {
	ballots, carried := []cast{}, map[protocol.PartyID]int{}
	for _, c := range castOn(tx, id) {
		if _, ok := view.Active(protocol.MemberID(c.Signed.By)); !ok {
			continue
		}
		if !c.own() {
			if _, ok := view.Active(c.voice()); !ok || carried[c.Signed.By] >= view.Charter.MaxProxies {
				continue
			}
			carried[c.Signed.By]++
		}
		ballots = append(ballots, c)
	}
	return ballots
}

// Counting are the ballots on a proposal that count now, by whose voice.
func Counting(tx Tx, view governance.View, id protocol.Hash) []protocol.Signed[protocol.Ballot] {
	ballots := []protocol.Signed[protocol.Ballot]{}
	for _, c := range counting(tx, view, id) {
		ballots = append(ballots, c.Signed)
	}
	return ballots
}

func applyBallot(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Ballot](tx, e)
	if err != nil {
		return err
	}
	view, p, err := findReferred(tx, s)
	if err != nil {
		return err
	}
	b, err := view.CheckBallot(s)
	if err != nil {
		return err
	}
	ballot, voice := cast{Entry: e.Seq, Signed: s}, b.Principal(s.By)
	if earlier, ok := castBy(tx, p.ID, voice); ok && !earlier.Void {
		if err := mayReplace(earlier, s); err != nil {
			return err
		}
	}
	if p.State(e.At) != ProposalOpen {
		return refuse("le vote n'est pas ouvert", "the vote is not open")
	}
	if e.At > p.Content().Closes {
		return refuse("le vote est terminé", "the vote is over")
	}
	if voice != protocol.MemberID(s.By) {
		if ballot.Delegation, err = proxyFor(tx, view, p, voice, s.By); err != nil {
			return err
		}
	}
	save(tx, ballotKey(p.ID, voice), ballot)
	return nil
}

// mayReplace lets a member's own ballot take the place of its proxy's, and
// nothing else.
func mayReplace(earlier cast, s protocol.Signed[protocol.Ballot]) error {
	if earlier.Signed.By == s.By && bytes.Equal(earlier.Signed.Body, s.Body) {
		return ErrAlready
	}
	later := cast{Signed: s}
	if later.voice() == protocol.MemberID(s.By) && !earlier.own() {
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
		return nil, err
	}
	if to != protocol.MemberID(by) {
		return nil, refuse("le membre %s a donné sa procuration à un autre", "the member %s has delegated its ballot to another", voice)
	}
	carried := 0
	for _, c := range castOn(tx, p.ID) {
		if c.Signed.By == by && !c.own() {
			carried++
		}
	}
	if carried >= view.Charter.MaxProxies {
		return nil, refuse("la charte permet de porter la voix de %d autres membres, et vous les portez déjà",
			"the charter lets a member carry %d ballots of others, and you carry as many", view.Charter.MaxProxies)
	}
	return &given, nil
}

// voidBallots makes the ballots that a member's lost key has signed, or let
// somebody sign, count for nothing in the votes under way: whoever found the
// key may have cast them. The member votes again. Its delegations are void as
// well, and end: it may give another for the same votes at once.
func voidBallots(tx Tx, id protocol.MemberID) {
	for _, p := range OpenProposals(tx) {
		for _, c := range castOn(tx, p.ID) {
			if voice := c.voice(); voice == id || c.Signed.By == protocol.PartyID(id) {
				c.Void = true
				save(tx, ballotKey(p.ID, voice), c)
			}
		}
	}
	if len(Delegations(tx, id)) > 0 {
		save(tx, delegationsKey(id), []Delegation{})
	}
}
