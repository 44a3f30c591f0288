package governance

import (
	"slices"

	"coulisse/protocol"
)

// applyEffect returns the view with one thing changed.
func (v View) applyEffect(e protocol.Effect) (View, error) {
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
		return v.expel(e.Expel, decision)
	case e.SetCharter != nil:
		return v.setCharter(*e.SetCharter)
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

func (v View) setCharter(c protocol.Charter) (View, error) {
	if c.Namespace != v.Charter.Namespace {
		return v, protocol.Refuse(ErrEffect,
			"l'espace de noms entre dans chaque jeton et ne change pas; reprenez %s",
			"the namespace is in every token and cannot change; keep %s", v.Charter.Namespace)
	}
	v.Charter = c
	return v, nil
}

// elect refuses a roll in which two stewards belong to the same group: they
// could collude without anybody's leave.
func (v View) elect(roll protocol.StewardRoll) (View, error) {
	groups := map[string]bool{}
	for _, id := range roll.Members {
		m, ok := v.Active(id)
		if !ok {
			return v, notActive(id)
		}
		if groups[m.Card.Group] {
			return v, protocol.Refuse(ErrEffect,
				"deux gardiens de clé appartiennent au groupe %s; élisez-en de groupes différents",
				"two stewards belong to the group %s; elect them from different groups", m.Card.Group)
		}
		groups[m.Card.Group] = true
	}
	v.Stewards = &roll
	v.Rolls++
	return v, nil
}

func (v View) expel(id protocol.MemberID, decision int) (View, error) {
	i, ok := v.find(id)
	if !ok || !v.Members[i].Active() {
		return v, notActive(id)
	}
	if v.Stewards != nil && slices.Contains(v.Stewards.Members, id) {
		return v, protocol.Refuse(ErrEffect,
			"le membre %s détient une part de la clé; élisez d'abord d'autres gardiens",
			"the member %s holds a share of the key; elect other stewards first", id)
	}
	v.Members = slices.Clone(v.Members)
	v.Members[i].Left = decision
	return v, nil
}

func notActive(id protocol.MemberID) error {
	return protocol.Refuse(ErrEffect,
		"l'organisation %s n'est pas un membre en règle",
		"the organisation %s is not a member in good standing", id)
}
