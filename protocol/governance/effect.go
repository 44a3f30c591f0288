package governance

import (
	"slices"

	"coulisse/protocol"
)

// applyEffect returns the view with one thing changed, by the next decision,
// which closes at that time.
func (v View) applyEffect(e protocol.Effect, at protocol.Millis) (View, error) {
	if err := v.InForce(rulesOf(e)); err != nil {
		return v, err
	}
	decision := v.Decisions + 1
	switch {
	case e.SetPolicy != nil:
		v.setPolicy(Policy{PolicyText: *e.SetPolicy, Decision: decision})
		return v, nil
	case e.RemovePolicy != "":
		return v.removePolicy(e.RemovePolicy)
	case e.SetFloors != nil:
		v.Charter.Floors = *e.SetFloors
		return v, nil
	case e.GrantBudget != nil:
		return v.grant(*e.GrantBudget)
	case e.ElectStewards != nil:
		return v.elect(*e.ElectStewards)
	case e.Admit != nil:
		card, err := protocol.OpenCard(*e.Admit)
		if err != nil {
			return v, both(ErrEffect, err)
		}
		err = v.admit(card, decision) // before v is read for the return
		return v, err
	case e.Expel != "":
		return v.expel(e.Expel, at)
	case e.Suspend != "":
		return v.suspend(e.Suspend, decision)
	case e.Reinstate != "":
		return v.reinstate(e.Reinstate)
	case e.ReplaceCard != nil:
		card, err := protocol.OpenCard(*e.ReplaceCard)
		if err != nil {
			return v, both(ErrEffect, err)
		}
		return v.replaceCard(card, true, at)
	case e.ElectWorkers != nil:
		return v.electWorkers(*e.ElectWorkers)
	case e.SetFees != nil:
		v.Fees = e.SetFees
		return v, nil
	case e.StartEpoch != nil:
		return v.startEpoch(*e.StartEpoch, at)
	case e.SetCharter != nil:
		return v.setCharter(*e.SetCharter)
	case e.SoleReplica != nil:
		return v.goOnWith(*e.SoleReplica)
	}
	return v, protocol.Refuse(ErrEffect,
		"cette version ne connaît pas l'effet proposé; mettez le nœud à jour",
		"this version does not know the proposed effect; upgrade the node")
}

func (v *View) setPolicy(p Policy) {
	policies := slices.DeleteFunc(slices.Clone(v.Policies), func(q Policy) bool { return q.Name == p.Name })
	i := slices.IndexFunc(policies, func(q Policy) bool { return q.Name > p.Name })
	if i < 0 {
		i = len(policies)
	}
	v.Policies = slices.Insert(policies, i, p)
}

func (v View) removePolicy(name protocol.PolicyName) (View, error) {
	i := slices.IndexFunc(v.Policies, func(p Policy) bool { return p.Name == name })
	if i < 0 {
		return v, protocol.Refuse(ErrEffect,
			"il n'y a pas de politique %s",
			"there is no policy %s", name)
	}
	v.Policies = slices.Delete(slices.Clone(v.Policies), i, i+1)
	return v, nil
}

// grant keeps the budget within its bound: both numbers are below it, so the
// sum does not overflow.
func (v View) grant(g protocol.Grant) (View, error) {
	if g.NanoRho < 1 || g.NanoRho > protocol.MaxBudget-v.Charter.Budget.Total {
		return v, protocol.Refuse(ErrEffect,
			"le budget de confidentialité dépasserait %d nano-rho; proposez un octroi plus petit",
			"the privacy budget would exceed %d nano-rho; propose a smaller grant", protocol.MaxBudget)
	}
	v.Charter.Budget.Total += g.NanoRho
	return v, nil
}

// setCharter replaces the charter that it was written from, and no other: a
// grant or a floor decided meanwhile would be undone by accident.
func (v View) setCharter(change protocol.CharterChange) (View, error) {
	present, err := v.Charter.ID()
	if err != nil {
		return v, err
	}
	if change.From != present {
		return v, protocol.Refuse(ErrEffect,
			"la charte a changé depuis que celle-ci a été écrite; partez de la charte actuelle et proposez de nouveau",
			"the charter has changed since this one was written; start from the present charter and propose again")
	}
	c := change.Charter
	if c.Namespace != v.Charter.Namespace {
		return v, protocol.Refuse(ErrEffect,
			"l'espace de noms entre dans chaque jeton et ne change pas; reprenez %s",
			"the namespace is in every token and cannot change; keep %s", v.Charter.Namespace)
	}
	if _, ok := v.Active(c.Chair); c.Chair != "" && !ok {
		return v, notActive(c.Chair)
	}
	v.Charter = c
	return v, nil
}

func notActive(id protocol.MemberID) error {
	return protocol.Refuse(ErrEffect,
		"l'organisation %s n'est pas un membre en règle",
		"the organisation %s is not a member in good standing", id)
}
