package governance

import (
	"errors"
	"slices"

	"coulisse/protocol"
)

// ErrRoll: a change of the coordinator's roll is not what a majority of its
// replicas has endorsed.
var ErrRoll = errors.New("the replicas have not agreed on this roll")

// changeRoll puts the next roll in force, if a majority of the present replicas
// has endorsed exactly it.
func (v View) changeRoll(s protocol.Signed[protocol.RollChange]) (View, error) {
	k, ok := v.Replica(protocol.ReplicaID(s.By))
	if !ok {
		return v, noReplica()
	}
	change, err := protocol.Open(v.Federation, s, k)
	if err != nil {
		return v, both(ErrRoll, err)
	}
	if err := v.CheckNextRoll(change.Roll); err != nil {
		return v, err
	}
	id, err := change.Roll.ID()
	if err != nil {
		return v, err
	}
	for _, s := range change.Endorsements {
		k, ok := v.Replica(protocol.ReplicaID(s.By))
		if !ok {
			return v, noReplica()
		}
		endorsement, err := protocol.Open(v.Federation, s, k)
		if err != nil {
			return v, both(ErrRoll, err)
		}
		if endorsement.Roll != id {
			return v, protocol.Refuse(ErrRoll,
				"la réplique %s a consenti à une autre liste", "replica %s has endorsed another roll", s.By)
		}
	}
	if 2*len(change.Endorsements) <= len(v.Roll.Replicas) {
		return v, protocol.Refuse(ErrRoll,
			"%d répliques sur %d y ont consenti; il en faut la majorité",
			"%d of %d replicas have endorsed it; it takes a majority", len(change.Endorsements), len(v.Roll.Replicas))
	}
	if err := survives(v.Roll, change); err != nil {
		return v, err
	}
	v.Roll = change.Roll
	return v, nil
}

// goOnWith leaves the roll with one of its replicas, which keeps its key and its
// address. The members' votes stand for the endorsements of a majority that is
// lost. Nobody comes in this way: whoever joins is endorsed by the replica that
// is left.
func (v View) goOnWith(s protocol.SoleReplica) (View, error) {
	i := slices.IndexFunc(v.Roll.Replicas, func(r protocol.Replica) bool { return r.ID == s.Replica })
	if i < 0 {
		return v, protocol.Refuse(ErrEffect,
			"la réplique %s n'est pas sur la liste du coordonnateur", "the replica %s is not on the coordinator's roll", s.Replica)
	}
	if len(v.Roll.Replicas) == 1 {
		return v, protocol.Refuse(ErrEffect,
			"le coordonnateur n'a que la réplique %s; il n'y en a pas d'autre à laisser", "the coordinator has the replica %s only; there is no other to leave behind", s.Replica)
	}
	left := v.Roll.Replicas[i]
	if left.Address != "" && left.Address != s.Address {
		return v, protocol.Refuse(ErrEffect,
			"la réplique %s répond à %s, et garde cette adresse", "the replica %s answers at %s, and keeps that address", s.Replica, left.Address)
	}
	left.Address = s.Address
	v.Roll.Number++
	v.Roll.Replicas = []protocol.Replica{left}
	return v, v.Roll.Check()
}

// soleWithin is how long after a vote the replica that it leaves may close it.
const soleWithin = protocol.Span(7 * 24 * 3600 * 1000)

// overtaken reports whether a vote for one replica comes to nothing, since that
// one has not led for so long: the others are there, then, and whoever voted
// does not expect them to be sent away on the day when it happens to lead.
func overtaken(p protocol.Proposal, closed protocol.Millis) bool {
	return p.Effect.SoleReplica != nil && protocol.Span(closed-p.Closes) > soleWithin
}

// survives wants a majority of the next roll to be there: those who go on and
// have just signed, and whoever joins, since nobody leaves before it votes.
// Otherwise a roll could leave those behind who no longer answer.
func survives(current protocol.Roll, change protocol.RollChange) error {
	on := func(list []protocol.Replica, id protocol.ReplicaID) bool {
		return slices.ContainsFunc(list, func(r protocol.Replica) bool { return r.ID == id })
	}
	there := 0
	for _, replica := range change.Roll.Replicas {
		signed := slices.ContainsFunc(change.Endorsements, func(s protocol.Signed[protocol.Endorsement]) bool {
			return s.By == protocol.PartyID(replica.ID)
		})
		if signed || !on(current.Replicas, replica.ID) {
			there++
		}
	}
	if 2*there > len(change.Roll.Replicas) {
		return nil
	}
	return protocol.Refuse(ErrRoll,
		"il ne resterait que %d répliques qui répondent sur %d, et plus rien ne serait décidé; remplacez d'abord celles qui ne répondent pas",
		"only %d replicas of %d would be left that answer, and nothing more could be decided; replace those first that do not answer",
		there, len(change.Roll.Replicas))
}

// CheckNextRoll checks what anybody can of a roll that is to follow the present
// one. A replica that goes on keeps its key; a machine that lost its folder
// comes back under another name.
func (v View) CheckNextRoll(r protocol.Roll) error {
	if err := r.Check(); err != nil {
		return err
	}
	if r.Number != v.Roll.Number+1 || r.Rules < v.Roll.Rules {
		return protocol.Refuse(ErrRoll,
			"la liste des répliques a changé depuis; relisez-la et recommencez",
			"the roll of replicas has changed since; read it again and start over")
	}
	if err := Known(r); err != nil {
		return err
	}
	stay := 0
	for _, replica := range r.Replicas {
		k, ok := v.Replica(replica.ID)
		if !ok {
			continue
		}
		if k != replica.Key {
			return protocol.Refuse(ErrRoll,
				"la réplique %s ne change pas de clé; une machine remplacée revient sous un autre nom",
				"replica %s does not change its key; a machine that is replaced comes back under another name", replica.ID)
		}
		if err := v.checkAuthority(replica); err != nil {
			return err
		}
		stay++
	}
	// Consensus changes one replica at a time, and the log with it.
	if joined, gone := len(r.Replicas)-stay, len(v.Roll.Replicas)-stay; joined > 1 || gone > 1 {
		return protocol.Refuse(ErrRoll,
			"une liste fait entrer une réplique et en fait sortir une, au plus",
			"a roll brings in one replica and lets one go, at most")
	}
	return nil
}

// checkAuthority checks what a replica that goes on may change of what it shows
// and issues on the wire: it takes a new authority beside the one that it has,
// or lets the former one go. Its TLS key is how the others know it, for good.
func (v View) checkAuthority(next protocol.Replica) error {
	i := slices.IndexFunc(v.Roll.Replicas, func(r protocol.Replica) bool { return r.ID == next.ID })
	now := v.Roll.Replicas[i]
	stays := next.Authority == now.Authority && next.Former == now.Former
	rotated := now.Former.IsZero() && next.Former == now.Authority
	retired := next.Authority == now.Authority && next.Former.IsZero()
	if next.TLS == now.TLS && (stays || rotated || retired) {
		return nil
	}
	return protocol.Refuse(ErrRoll,
		"la réplique %s prend une nouvelle autorité à côté de la sienne, ou retire l'ancienne, et rien d'autre; retirez d'abord l'ancienne (`coulisse coordinator authority retire`)",
		"replica %s takes a new authority beside its own, or retires the former one, and nothing else; retire the former one first (`coulisse coordinator authority retire`)", next.ID)
}

// Known refuses a roll whose rules this build does not know.
func Known(r protocol.Roll) error {
	if r.Rules <= known {
		return nil
	}
	return protocol.Refuse(ErrRules,
		"le journal passe aux règles %d, et cette version ne connaît que les règles %d; mettez-la à jour, rien n'est perdu",
		"the log goes on to rules %d, and this version knows rules %d only; upgrade it, nothing is lost", r.Rules, known)
}

func noReplica() error {
	return protocol.Refuse(ErrRoll,
		"ce document n'est pas signé par une réplique de cette fédération",
		"this document is not signed by a replica of this federation")
}
