package federation

import (
	"fmt"

	"coulisse/crypto/dp"
	"coulisse/protocol"
)

const ledgerKey = "ledger"

// Ledger is the privacy budget: what was granted, what opened rounds spent,
// and what rounds under way have set aside.
type Ledger struct {
	Granted  dp.NanoRho `json:"granted_nano_rho"`
	Spent    dp.NanoRho `json:"spent_nano_rho"`
	Reserved dp.NanoRho `json:"reserved_nano_rho"`
}

// Left is what a new round may still reserve.
func (l Ledger) Left() dp.NanoRho { return l.Granted - l.Spent - l.Reserved }

// ReadLedger is the present state of the budget.
func ReadLedger(tx Tx) (Ledger, error) {
	view, err := View(tx)
	if err != nil {
		return Ledger{}, err
	}
	l := loadOr(tx, ledgerKey, Ledger{})
	l.Granted = view.Charter.Budget.Total
	return l, nil
}

// applyReserve sets the cost aside. The replica states the cost and what is
// left, so that the entry reads alone; both are computed again here.
func applyReserve(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Reserve](tx, e)
	if err != nil {
		return err
	}
	if r, err := FindRound(tx, doc.Round); err == nil && r.Hash == doc.Manifest && r.ReserveSeq != 0 {
		return ErrAlready
	}
	r, _, err := findInTime(tx, doc.RoundRef, e.At, Accepted)
	if err != nil {
		return err
	}
	ledger, err := ReadLedger(tx)
	if err != nil {
		return err
	}
	if r.Cost > ledger.Left() {
		return refuse("la ronde coûte %d nano-rho et il en reste %d au budget; demandez moins de précision, ou un vote qui accorde un nouveau budget",
			"the round costs %d nano-rho and the budget has %d left; ask for less precision, or for a vote that grants more budget", r.Cost, ledger.Left())
	}
	ledger.Reserved += r.Cost
	if doc.Cost != r.Cost || doc.Left != ledger.Left() {
		return refuse("le coût ou le reste annoncé n'est pas celui du grand livre",
			"the stated cost or remainder is not what the ledger gives")
	}
	save(tx, ledgerKey, ledger)
	r.Stage, r.ReserveSeq = Reserved, e.Seq
	update(tx, r)
	return nil
}

func applyAbort(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.Abort](tx, e)
	if err != nil {
		return err
	}
	if r, err := FindRound(tx, doc.Round); err == nil && r.Stage == Aborted && r.By == protocol.PartyID(by) {
		return ErrAlready
	}
	r, err := findStage(tx, doc.RoundRef, Proposed, Accepted, Reserved, Keyed, Opened)
	if err != nil {
		return err
	}
	if !isParticipant(r.Content(), by) {
		return notInRound(by)
	}
	end(tx, &r, Aborted, protocol.PartyID(by), doc.Reason)
	update(tx, r)
	return nil
}

// applyLapse ends a round at its deadline, or one that the ledger cannot pay
// for, or one whose recipients do not come for their labels.
func applyLapse(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Lapse](tx, e)
	if err != nil {
		return err
	}
	if r, err := FindRound(tx, doc.Round); err == nil && r.Hash == doc.Manifest && r.Stage.Ended() {
		return ErrAlready
	}
	r, err := findStage(tx, doc.RoundRef, Proposed, Accepted, Reserved, Keyed, Opened, Published)
	if err != nil {
		return err
	}
	m := r.Content()
	ledger, err := ReadLedger(tx)
	if err != nil {
		return err
	}
	late := e.At > m.Deadline
	broke := r.Stage == Accepted && r.Cost > ledger.Left()
	switch {
	case late && r.Stage == Published:
		r.Stage = Closed
	case late:
		end(tx, &r, Aborted, "", doc.Reason)
	case broke:
		end(tx, &r, Refused, "", doc.Reason)
	default:
		return refuse("la ronde est dans ses délais et dans ses moyens", "the round is within its deadline and its means")
	}
	update(tx, r)
	return nil
}

// end stops a round. What it had reserved is free again; what it had spent is
// not.
func end(tx Tx, r *Round, stage Stage, by protocol.PartyID, reason protocol.Text) {
	if r.Stage == Reserved || r.Stage == Keyed {
		ledger := loadOr(tx, ledgerKey, Ledger{})
		ledger.Reserved -= r.Cost
		save(tx, ledgerKey, ledger)
	}
	r.Stage, r.By, r.Reason = stage, by, &reason
}

// endOutruled stops the rounds that were agreed under the rules before a
// decision and are not opened: a new rule binds from its decision on, and no
// figure comes out under one that the members have left.
func endOutruled(tx Tx, decision int, e protocol.Effect) {
	endUnopened(tx, protocol.Text{
		FR: fmt.Sprintf("La décision %d a changé les règles ou les membres de cette ronde avant son ouverture. Proposez-la de nouveau.", decision),
		EN: fmt.Sprintf("Decision %d changed the rules or the members of this round before it was opened. Propose it again.", decision),
	}, func(r Round) bool { return outrules(e, r) })
}

// endUnopened stops those of the rounds that are not opened: what is opened has
// been paid for, and runs to its end.
func endUnopened(tx Tx, reason protocol.Text, those func(Round) bool) {
	for _, r := range RunningRounds(tx) {
		if !r.unopened() || !those(r) {
			continue
		}
		end(tx, &r, Aborted, "", reason)
		update(tx, r)
	}
}

func outrules(e protocol.Effect, r Round) bool {
	for _, id := range []protocol.MemberID{e.Expel, e.Suspend} {
		if id != "" && isParticipant(r.Content(), id) {
			return true
		}
	}
	if e.ReplaceCard != nil {
		return isParticipant(r.Content(), protocol.MemberID(e.ReplaceCard.By))
	}
	return e.SetPolicy != nil || e.RemovePolicy != "" || e.SetFloors != nil || e.SetCharter != nil
}
