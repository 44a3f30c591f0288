package federation

import (
	"slices"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// Delegation is a delegation that has not been revoked.
type Delegation struct {
	ID     protocol.Hash                        `json:"id"`
	Signed protocol.Signed[protocol.Delegation] `json:"signed"`
}

// Content is the delegation itself. It was verified before it was stored.
func (d Delegation) Content() protocol.Delegation {
	content, err := protocol.Peek(d.Signed)
	if err != nil {
		panic("federation: a stored delegation does not decode: " + err.Error())
	}
	return content
}

// maxDelegations bounds the delegations of one member that are not over.
const maxDelegations = 24

func delegationsKey(by protocol.MemberID) string { return "delegations/" + string(by) }

// Delegations are those that a member has given and not revoked, in the order
// in which it gave them; some may be over.
func Delegations(tx Tx, by protocol.MemberID) []Delegation {
	return loadOr(tx, delegationsKey(by), []Delegation{})
}

// delegationOn is the member's delegation for what closes then. No two overlap.
func delegationOn(tx Tx, by protocol.MemberID, closes protocol.Millis) (protocol.Signed[protocol.Delegation], bool) {
	for _, d := range Delegations(tx, by) {
		if d.Content().Covers(closes) {
			return d.Signed, true
		}
	}
	return protocol.Signed[protocol.Delegation]{}, false
}

func applyDelegation(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Delegation](tx, e)
	if err != nil {
		return err
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	d, err := governance.CheckOwn(view, s)
	if err != nil {
		return err
	}
	if _, ok := view.Active(d.To); !ok || d.To == protocol.MemberID(s.By) {
		return refuse("une procuration se donne à un autre membre en règle", "a delegation is given to another member in good standing")
	}
	if view.Charter.MaxProxies == 0 {
		return refuse("la charte ne permet pas de procuration", "the charter allows no delegation")
	}
	if d.Until < e.At {
		return refuse("la procuration serait déjà échue", "the delegation would be over already")
	}
	by := protocol.MemberID(s.By)
	list := slices.DeleteFunc(Delegations(tx, by), func(other Delegation) bool { return other.Content().Until < e.At })
	for _, other := range list {
		if o := other.Content(); o.From <= d.Until && d.From <= o.Until {
			return refuse("une procuration en cours couvre déjà une partie de cette période; révoquez-la d'abord",
				"a delegation that stands covers part of this span already; revoke it first")
		}
	}
	if len(list) >= maxDelegations {
		return refuse("le membre a déjà %d procurations en cours", "the member has %d delegations that stand", len(list))
	}
	save(tx, delegationsKey(by), append(list, Delegation{ID: protocol.ID(view.Federation, s), Signed: s}))
	return nil
}

func applyRevocation(tx Tx, e protocol.Entry) error {
	s, err := signed[protocol.Revocation](tx, e)
	if err != nil {
		return err
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	r, err := governance.CheckOwn(view, s)
	if err != nil {
		return err
	}
	by := protocol.MemberID(s.By)
	list := Delegations(tx, by)
	i := slices.IndexFunc(list, func(d Delegation) bool { return d.ID == r.Delegation })
	if i < 0 {
		return refuse("ce n'est pas une de vos procurations en cours", "it is not one of your delegations that stand")
	}
	save(tx, delegationsKey(by), slices.Delete(list, i, i+1))
	return nil
}
