package federation

import (
	"bytes"
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// FindDecision finds a decision by its number.
func FindDecision(tx Tx, number int) (protocol.Decision, bool) {
	return load[protocol.Decision](tx, decisionKey(number))
}

// Decisions are the chain after the first skip of them.
func Decisions(tx Tx, skip int) []protocol.Decision {
	chain := []protocol.Decision{}
	for number := skip + 1; ; number++ {
		d, ok := FindDecision(tx, number)
		if !ok {
			return chain
		}
		chain = append(chain, d)
	}
}

// BallotsOf are the ballots that decisions name, each once, as they are in the log.
func BallotsOf(tx Tx, chain ...protocol.Decision) []protocol.Signed[protocol.Ballot] {
	ballots, seen := []protocol.Signed[protocol.Ballot]{}, map[protocol.Hash]bool{}
	for _, d := range chain {
		for _, hash := range d.Ballots {
			if !seen[hash] {
				seen[hash] = true
				ballots = append(ballots, ballotOf(tx, hash))
			}
		}
	}
	return ballots
}

// ballotOf is the ballot with a hash.
func ballotOf(tx Tx, hash protocol.Hash) protocol.Signed[protocol.Ballot] {
	seq, _ := loadInt(tx, hashKey(hash))
	document, ok := documentAt(tx, seq)
	if !ok {
		panic("federation: the state is damaged: a ballot's entry is missing")
	}
	s, err := protocol.Decode[protocol.Signed[protocol.Ballot]](document)
	if err != nil {
		panic("federation: a stored ballot does not decode: " + err.Error())
	}
	return s
}

func decisionKey(number int) string { return fmt.Sprintf("decision/%08d", number) }

// applyClose counts the votes and applies the decision. The replica states
// only that it is time; whoever replays the log counts again.
func applyClose(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Close](tx, e)
	if err != nil {
		return err
	}
	p, err := FindProposal(tx, doc.Proposal)
	if err != nil {
		return err
	}
	if p.Decision != 0 {
		return ErrAlready
	}
	if p.State(e.At) != ProposalOpen {
		return refuse("le vote n'est pas ouvert", "the vote is not open")
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	d, next, err := decide(tx, view, p, e.At)
	if err != nil {
		return err
	}
	if err := checkLeft(p, d, e); err != nil {
		return err
	}
	save(tx, decisionKey(d.Number), d)
	saveView(tx, next)
	p.Decision, p.Carried = d.Number, d.Carried
	save(tx, proposalKey(p.ID), p)
	settle(tx, p)
	if d.Carried {
		effect := p.Content().Effect
		if effect.ReplaceCard != nil {
			voidBallots(tx, protocol.MemberID(effect.ReplaceCard.By))
		}
		endOutruled(tx, d.Number, effect)
		if effect.Expel != "" {
			if err := settleDeparted(tx, effect.Expel); err != nil {
				return err
			}
		}
	}
	switch {
	case next.Rolls > view.Rolls:
		return beginCeremony(tx, next, e.At)
	case next.Epoch > view.Epoch:
		c, _ := CurrentCeremony(tx) // of the key in use
		return stand(tx, c, e.At)
	}
	return nil
}

// checkLeft wants a vote that leaves one replica closed by that one: it is there,
// then, and leads. Else a roll could leave one behind that answers no more.
func checkLeft(p Proposal, d protocol.Decision, e protocol.Entry) error {
	sole := p.Content().Effect.SoleReplica
	if sole == nil || !d.Carried {
		return nil
	}
	if by, err := protocol.Author(e.Doc); err != nil || by != protocol.PartyID(sole.Replica) {
		return refuse("seule la réplique %s ferme ce vote, quand elle dirige", "only the replica %s closes this vote, when it leads", sole.Replica)
	}
	return nil
}

// MayClose reports whether a replica's close of a vote that is due would be
// taken; see checkLeft.
func MayClose(tx Tx, id protocol.Hash, replica protocol.ReplicaID, at protocol.Millis) bool {
	p, err := FindProposal(tx, id)
	if err != nil {
		return false
	}
	if sole := p.Content().Effect.SoleReplica; sole == nil || sole.Replica == replica {
		return true
	}
	view, err := View(tx)
	if err != nil {
		return false
	}
	d, _, err := decide(tx, view, p, at)
	return err == nil && !d.Carried
}

func decide(tx Tx, view governance.View, p Proposal, at protocol.Millis) (protocol.Decision, governance.View, error) {
	d := protocol.Decision{Proposal: p.Signed, Cosigns: p.Cosigns, OpenedAt: p.OpenedAt, ClosedAt: at}
	counted := counting(tx, view, p.ID)
	voices := make([]governance.Voice, len(counted))
	d.Ballots = make([]protocol.Hash, len(counted))
	own := 0
	for i, c := range counted {
		voices[i], d.Ballots[i] = c.voice(), c.Document
		if c.own() {
			own++
		} else {
			d.Delegations = append(d.Delegations, *c.Delegation)
		}
	}
	content := p.Content()
	if !view.Due(content, own, at) {
		closes := content.Closes.Time().Format("2006-01-02 15:04 MST")
		return d, view, refuse("le vote est ouvert jusqu'au %s, ou jusqu'à ce que tous aient voté",
			"the vote is open until %s, or until everybody has voted", closes)
	}
	d, next, err := view.Conclude(d, voices)
	if err != nil {
		return d, view, err
	}
	if err := checkTimely(tx, view, content.Effect); err != nil && d.Carried {
		return d, view, err
	}
	return d, next, nil
}

// ownVoices counts the members in good standing that have voted themselves.
func ownVoices(tx Tx, view governance.View, id protocol.Hash) int {
	own := 0
	for _, c := range counting(tx, view, id) {
		if c.own() {
			own++
		}
	}
	return own
}

// checkTimely refuses what the keys in use do not allow yet. Once they do, the
// vote closes.
func checkTimely(tx Tx, view governance.View, e protocol.Effect) error {
	if err := checkHolder(tx, e); err != nil {
		return err
	}
	return checkStart(tx, view, e)
}

// checkHolder refuses to send away, or to suspend, a holder of a key in use: it
// may be needed to hand the key on, and would keep its share.
func checkHolder(tx Tx, e protocol.Effect) error {
	for _, k := range Keys(tx) {
		for _, id := range []protocol.MemberID{e.Expel, e.Suspend} {
			if _, holds := k.Holder(id); holds {
				return refuse("le membre %s détient une part d'une clé en usage; élisez d'autres gardiens et attendez qu'ils l'aient reçue, ou que l'ancienne clé soit retirée",
					"the member %s holds a share of a key in use; elect other stewards and wait until they have it, or until the former key is retired", id)
			}
		}
	}
	return nil
}

// again tells a document that says what the log holds already from one with
// which its author contradicts itself.
func again(said, now []byte) error {
	if bytes.Equal(said, now) {
		return ErrAlready
	}
	return refuse("l'auteur a déjà dit autre chose, et sa première réponse est définitive",
		"its author has said something else before, and the first answer is final")
}
