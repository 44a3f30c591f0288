package rounds

import (
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
		set, err := adopted(view)
		if err != nil {
			return err
		}
		request, err := request(tx, view, hash, m, initiator, at)
		if err != nil {
			return err
		}
		decision = set.With(own).Decide(request)
		return nil
	})
	return decision, err
}

// adopted is the policies in force. One that does not parse here was written
// for a newer version: nothing is permitted until this node is upgraded.
func adopted(view governance.View) (policies.Set, error) {
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

func request(tx federation.Tx, view governance.View, hash protocol.Hash, m protocol.Manifest, initiator protocol.MemberID, at protocol.Millis) (policies.Request, error) {
	ledger, err := federation.ReadLedger(tx)
	if err != nil {
		return policies.Request{}, err
	}
	request := policies.About(m, initiator, func(id protocol.MemberID) policies.Party {
		member, _ := view.Member(id)
		return policies.Party{ID: id, Kind: member.Card.Kind, GoodStanding: member.Active()}
	})
	request.Federation = view.Charter.Namespace
	request.At = at
	request.BudgetLeft = ledger.Left()
	request.Floors = view.Charter.Floors
	request.RecentLabels = policies.Counted(recentLabels(tx, hash, m, at))
	return request, nil
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
