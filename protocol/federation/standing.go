package federation

import (
	"fmt"
	"slices"

	"coulisse/protocol"
)

// applyKeyChange gives a member new keys under its old one. What the old node
// key signed is in the log and stays; nothing new counts under it.
func applyKeyChange(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.KeyChange](tx, e)
	if err != nil {
		return err
	}
	if err := act(tx, protocol.Act{KeyChange: &s}, e.At); err != nil {
		return err
	}
	id := protocol.MemberID(s.By)
	endRoundsOf(tx, id, protocol.Text{
		FR: fmt.Sprintf("Le membre %s a changé de clés avant l'ouverture de cette ronde. Proposez-la de nouveau.", id),
		EN: fmt.Sprintf("The member %s changed its keys before this round was opened. Propose it again.", id),
	})
	return nil
}

// endRoundsOf stops the rounds of a member that are not opened: its
// acknowledgement is read under the keys that it had at the manifest.
func endRoundsOf(tx Tx, id protocol.MemberID, reason protocol.Text) {
	endUnopened(tx, reason, func(r Round) bool { return isParticipant(r.Content(), id) })
}

// applyLeave ends a membership. The rounds that wait for the member end, and a
// key ceremony goes on without it.
func applyLeave(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Leave](tx, e)
	if err != nil {
		return err
	}
	if err := act(tx, protocol.Act{Leave: &s}, e.At); err != nil {
		return err
	}
	id := protocol.MemberID(s.By)
	endRoundsOf(tx, id, protocol.Text{
		FR: fmt.Sprintf("Le membre %s a quitté la fédération avant l'ouverture de cette ronde. Proposez-la de nouveau sans lui.", id),
		EN: fmt.Sprintf("The member %s left the federation before this round was opened. Propose it again without it.", id),
	})
	if err := leaveCeremony(tx, id, e.At); err != nil {
		return err
	}
	return settleDeparted(tx, id)
}

// applyRoll says who the coordinator is from now on.
func applyRoll(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.RollChange](tx, e)
	if err != nil {
		return err
	}
	return act(tx, protocol.Act{Roll: &s}, e.At)
}

// act adds what was decided without a vote to the chain of decisions.
func act(tx Tx, a protocol.Act, at protocol.Millis) error {
	view, err := View(tx)
	if err != nil {
		return err
	}
	d := view.Link(a, at)
	next, err := view.Apply(d, nil)
	if err != nil {
		return err
	}
	save(tx, decisionKey(d.Number), d)
	saveView(tx, next)
	return nil
}

// settleDeparted takes a departed author's proposals off the lists: nobody can
// support them any more. Those that are open run to their end.
func settleDeparted(tx Tx, id protocol.MemberID) error {
	for _, w := range loadOr(tx, pendingKey(protocol.PartyID(id)), []pending{}) {
		p, err := FindProposal(tx, w.ID)
		if err != nil {
			return err
		}
		if p.OpenedAt == 0 {
			p.Withdrawn = true
			save(tx, proposalKey(p.ID), p)
			settle(tx, p)
		}
	}
	return nil
}

// leaveCeremony starts the ceremony under way again without a member that has
// left, as if all had complained of its silence.
func leaveCeremony(tx Tx, id protocol.MemberID, at protocol.Millis) error {
	c, ok := CurrentCeremony(tx)
	if !ok || c.Done || c.Failed {
		return nil
	}
	_, receives := findHolder(c.Receivers, id)
	_, deals := findHolder(c.Dealers, id)
	if !receives && !deals {
		return nil
	}
	return stand(tx, c.without(id, "", at), at)
}

// without is the next attempt, with one more member left out.
func (c Ceremony) without(accused, accuser protocol.MemberID, at protocol.Millis) Ceremony {
	next := Ceremony{
		Attempt: c.Attempt, Receivers: c.Receivers, Threshold: c.Threshold, Old: c.Old, Since: at,
		Accused:  append(slices.Clone(c.Accused), accused),
		Accusers: append(slices.Clone(c.Accusers), accuser),
	}
	next.Attempt.Number++
	next.arrange()
	return next
}
