package governance

import (
	"slices"

	"coulisse/protocol"
)

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
	return v, v.checkApart()
}

// startEpoch has the present stewards make another key. What came of the last
// one, the chain does not tell: the log sees to it that there are two at most.
func (v View) startEpoch(start protocol.EpochStart, at protocol.Millis) (View, error) {
	if v.Stewards == nil {
		return v, protocol.Refuse(ErrEffect,
			"il n'y a pas encore de gardiens de clé; élisez-en, et ils feront la première clé",
			"there are no key stewards yet; elect them, and they make the first key")
	}
	if start.Until <= at {
		return v, protocol.Refuse(ErrEffect,
			"la date à laquelle l'ancienne clé serait retirée est passée; proposez-en une autre",
			"the date on which the former key would be retired has passed; propose another")
	}
	v.Epoch, v.Until = v.Epoch+1, start.Until
	return v, nil
}

// electWorkers refuses two share workers of the same group: together they could
// undo what each alone cannot.
func (v View) electWorkers(roll protocol.WorkerRoll) (View, error) {
	first, ok := v.Active(roll.First)
	if !ok {
		return v, notActive(roll.First)
	}
	second, ok := v.Active(roll.Second)
	if !ok {
		return v, notActive(roll.Second)
	}
	if first.Card.Group == second.Card.Group {
		return v, protocol.Refuse(ErrEffect,
			"les deux dépositaires de parts appartiennent au groupe %s; élisez-en de groupes différents",
			"both share workers belong to the group %s; elect them from different groups", first.Card.Group)
	}
	v.Workers = &roll
	return v, v.checkApart()
}

// checkApart refuses a member that would be key steward and share worker: the
// charter's claim counts on those being different organisations (protocol.md
// section 1).
func (v View) checkApart() error {
	if v.Workers == nil || v.Stewards == nil {
		return nil
	}
	for _, id := range v.Workers.Members() {
		if slices.Contains(v.Stewards.Members, id) {
			return protocol.Refuse(ErrEffect,
				"le membre %s serait gardien de clé et dépositaire de parts; ce sont des organisations différentes",
				"the member %s would be key steward and share worker; those are different organisations", id)
		}
	}
	return nil
}

// expel refuses to send away a steward: it is asked first for the key.
func (v View) expel(id protocol.MemberID, at protocol.Millis) (View, error) {
	if m, ok := v.Member(id); !ok || !m.Belongs() {
		return v, notActive(id)
	}
	if err := v.checkNoOffice(id); err != nil {
		return v, err
	}
	return v.change(id, func(m *Member) { m.Left = at }), nil
}

func (v View) suspend(id protocol.MemberID, decision int) (View, error) {
	if _, ok := v.Active(id); !ok {
		return v, notActive(id)
	}
	if err := v.checkNoOffice(id); err != nil {
		return v, err
	}
	return v.change(id, func(m *Member) { m.Suspended = decision }), nil
}

func (v View) reinstate(id protocol.MemberID) (View, error) {
	if m, ok := v.Member(id); !ok || !m.Belongs() || m.Suspended == 0 {
		return v, protocol.Refuse(ErrEffect,
			"l'organisation %s n'est pas un membre suspendu",
			"the organisation %s is not a suspended member", id)
	}
	return v.change(id, func(m *Member) { m.Suspended = 0 }), nil
}

// checkNoOffice refuses to take away a member on whom others rely.
func (v View) checkNoOffice(id protocol.MemberID) error {
	if v.Stewards != nil && slices.Contains(v.Stewards.Members, id) {
		return protocol.Refuse(ErrEffect,
			"le membre %s détient une part de la clé; élisez d'abord d'autres gardiens",
			"the member %s holds a share of the key; elect other stewards first", id)
	}
	if v.Workers != nil && slices.Contains(v.Workers.Members(), id) {
		return protocol.Refuse(ErrEffect,
			"le membre %s est dépositaire de parts; élisez-en d'abord d'autres",
			"the member %s is a share worker; elect others first", id)
	}
	return nil
}

// replaceCard gives a member the keys of a new card. Its kind and its group
// stay: members were admitted, and elected, as what they are.
func (v View) replaceCard(card protocol.Card, lost bool, at protocol.Millis) (View, error) {
	m, ok := v.Member(card.ID)
	if !ok || !m.Belongs() {
		return v, notActive(card.ID)
	}
	if card.Kind != m.Card.Kind || card.Group != m.Card.Group {
		return v, protocol.Refuse(ErrEffect,
			"la nouvelle carte de %s change son genre ou son groupe; gardez-les, seuls le nom et les clés changent",
			"the new card of %s changes its kind or its group; keep them, only its name and keys change", card.ID)
	}
	if err := v.checkNewKeys(card); err != nil {
		return v, err
	}
	if len(m.Earlier) >= maxEarlier {
		return v, protocol.Refuse(ErrEffect,
			"le membre %s a déjà changé de clés %d fois; faites-le admettre sous un autre nom",
			"the member %s has changed its keys %d times; have it admitted under another name", card.ID, len(m.Earlier))
	}
	return v.change(card.ID, func(m *Member) {
		m.Earlier = append(slices.Clone(m.Earlier), EarlierKey{Vote: m.Card.Vote, Until: at})
		for i := range m.Earlier {
			// Who had the last key may have had the one before it, and have
			// put the last in its place.
			m.Earlier[i].Lost = m.Earlier[i].Lost || lost
		}
		m.Card = card
	}), nil
}

// maxEarlier bounds the keys of one member that are remembered.
const maxEarlier = 64

// act does what was decided without a vote.
func (v View) act(a protocol.Act, at protocol.Millis) (View, error) {
	switch {
	case a == (protocol.Act{KeyChange: a.KeyChange}) && a.KeyChange != nil:
		return v.changeKeys(*a.KeyChange, at)
	case a == (protocol.Act{Leave: a.Leave}) && a.Leave != nil:
		return v.depart(*a.Leave, at)
	case a == (protocol.Act{Roll: a.Roll}) && a.Roll != nil:
		return v.changeRoll(*a.Roll)
	}
	return v, protocol.Refuse(ErrEffect,
		"cette version ne connaît pas cet acte; mettez le nœud à jour",
		"this version does not know this act; upgrade the node")
}

// Link is the decision by which a member's act follows the chain.
func (v View) Link(a protocol.Act, at protocol.Millis) protocol.Decision {
	return protocol.Decision{Number: v.Decisions + 1, Act: &a, ClosedAt: at, Previous: v.Last}
}

// checkLink refuses an act that holds anything of a vote, such as ballots that
// nobody would look at.
func (v View) checkLink(d protocol.Decision) error {
	link, err := v.Link(*d.Act, d.ClosedAt).ID()
	if err != nil {
		return err
	}
	stated, err := d.ID()
	if err != nil {
		return err
	}
	if stated != link {
		return protocol.Refuse(ErrChain,
			"la décision %d est un acte, et contient quelque chose d'un vote", "decision %d is an act, and holds something of a vote", d.Number)
	}
	return nil
}

// changeKeys verifies a member's own change of keys, under the voting key that
// it replaces, and returns the view after it. A suspended member may still put
// its keys out of a thief's reach.
func (v View) changeKeys(s protocol.Signed[protocol.KeyChange], at protocol.Millis) (View, error) {
	m, ok := v.Member(protocol.MemberID(s.By))
	if !ok || !m.Belongs() {
		return v, notActive(protocol.MemberID(s.By))
	}
	change, err := protocol.Open(v.Federation, s, m.Card.Vote)
	if err != nil {
		return v, err
	}
	card, err := protocol.OpenCard(change.Card)
	if err != nil {
		return v, both(ErrEffect, err)
	}
	if card.ID != m.Card.ID {
		return v, protocol.Refuse(ErrEffect,
			"un membre ne change que ses propres clés", "a member changes its own keys only")
	}
	return v.replaceCard(card, false, at)
}

// depart verifies a member's leaving and returns the view after it. Nobody can
// hold it back, not even an office: the others elect another.
func (v View) depart(s protocol.Signed[protocol.Leave], at protocol.Millis) (View, error) {
	m, ok := v.Member(protocol.MemberID(s.By))
	if !ok || !m.Belongs() {
		return v, notActive(protocol.MemberID(s.By))
	}
	leave, err := protocol.Open(v.Federation, s, m.Card.Vote)
	if err != nil {
		return v, err
	}
	if leave.Member != m.Card.ID {
		return v, protocol.Refuse(ErrEffect, "un membre ne part que lui-même", "a member leaves for itself only")
	}
	return v.change(m.Card.ID, func(m *Member) { m.Left = at }), nil
}

// change returns the view with one member changed. The members are copied: a
// view's are never written to.
func (v View) change(id protocol.MemberID, change func(*Member)) View {
	i, _ := v.find(id)
	v.Members = slices.Clone(v.Members)
	change(&v.Members[i])
	return v
}
