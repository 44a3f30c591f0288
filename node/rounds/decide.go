package rounds

import (
	"coulisse/crypto/dp"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// Decide evaluates the policies that this node saw voted, and the member's
// own, on a manifest. The hash is zero for a manifest that is not proposed
// yet.
func (r *Rounds) Decide(hash protocol.Hash, m protocol.Manifest, initiator protocol.MemberID, at protocol.Millis) (policies.Decision, error) {
	own, err := r.cfg.Own()
	if err != nil {
		return policies.Decision{}, err
	}
	var decision policies.Decision
	err = r.cfg.Author.Witness.View(func(tx federation.Tx) error {
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		set, err := Adopted(view)
		if err != nil {
			return err
		}
		ledger, err := federation.ReadLedger(tx)
		if err != nil {
			return err
		}
		asked := Asked{Hash: hash, Manifest: m, Initiator: initiator, At: at, Left: ledger.Left()}
		decision = set.With(own).Decide(Request(tx, view, asked))
		return nil
	})
	return decision, err
}

// Adopted is the policies in force. One that does not parse here was written
// for a newer version: nothing is permitted until this node is upgraded.
func Adopted(view governance.View) (policies.Set, error) {
	var texts []policies.Policy
	for _, p := range view.Policies {
		parsed, err := policies.Parse(p.Name, p.Text)
		if err != nil {
			return policies.Set{}, err
		}
		parsed.Version = p.Decision
		texts = append(texts, parsed)
	}
	return policies.NewSet(texts...)
}

// Asked is a manifest with what the log says of its place: who asked, when, and
// what the budget had left without it.
type Asked struct {
	Hash      protocol.Hash // zero for a manifest that is not proposed yet
	Manifest  protocol.Manifest
	Initiator protocol.MemberID
	At        protocol.Millis
	Left      dp.NanoRho
}

// Request is what every participant asks the policies about a manifest.
func Request(tx federation.Tx, view governance.View, a Asked) policies.Request {
	request := policies.About(a.Manifest, a.Initiator, func(id protocol.MemberID) policies.Party {
		member, _ := view.Member(id)
		return policies.Party{ID: id, Kind: member.Card.Kind, GoodStanding: member.Active()}
	})
	request.Federation = view.Charter.Namespace
	request.At = a.At
	request.BudgetLeft = a.Left
	request.Floors = view.Charter.Floors
	request.RecentLabels = policies.Counted(recentLabels(tx, a.Hash, a.Manifest, a.At))
	return request
}

// recentLabels counts, for the recipient of this manifest that has had most,
// the other rounds of the last days that gave it labels or still may.
func recentLabels(tx federation.Tx, hash protocol.Hash, m protocol.Manifest, at protocol.Millis) int {
	had := map[protocol.MemberID]int{}
	since := at - protocol.Millis(policies.HistoryDays*24*3600*1000)
	for _, round := range federation.Rounds(tx) {
		failed := round.Stage == federation.Refused || round.Stage == federation.Aborted
		if round.Hash == hash || round.At < since || round.At > at || failed {
			continue
		}
		for member := range recipients(round.Content()) {
			had[member]++
		}
	}
	most := 0
	for member := range recipients(m) {
		most = max(most, had[member])
	}
	return most
}

func recipients(m protocol.Manifest) map[protocol.MemberID]bool {
	members := map[protocol.MemberID]bool{}
	for _, name := range m.Recipients {
		members[m.Owner(name)] = true
	}
	return members
}
