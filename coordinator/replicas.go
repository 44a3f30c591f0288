package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/crypto/durable"
	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/wire"
)

// FileReplica is what a prepared replica shows to the office.
const FileReplica = "replica-card.json"

// PrepareReplica makes the folder of a replica that is to join, out of the
// folder of one that runs: it takes the founding and the roll from there, and
// makes its own keys and its own authority. What it returns is also in the
// folder, as its card.
func PrepareReplica(ctx context.Context, dir, from string, peer consensus.Peer, now time.Time) (replica protocol.Replica, err error) {
	if _, err := os.Lstat(dir); err == nil {
		return replica, protocol.Refuse(ErrFolder,
			"le dossier %s existe déjà; une nouvelle réplique a un nouveau dossier", "the folder %s is there already; a new replica has a new folder", dir)
	}
	r, err := Open(Config{Dir: from})
	if errors.Is(err, ErrUnfounded) {
		err = protocol.Refuse(ErrUnfounded,
			"le dossier %s n'a pas d'acte de fondation; démarrez d'abord cette réplique", "the folder %s has no founding; start that replica first", from)
	}
	if err != nil {
		return replica, err
	}
	r.hearOwn(ctx) // its folder may be behind, and then the new one would not know who lets it in
	settings := Settings{Namespace: r.settings.Namespace, ID: peer.ID, Joins: true}
	for _, p := range r.settings.Peers {
		if p.ID == peer.ID || p.Address == peer.Address {
			return replica, nameTaken(peer.ID, string(peer.Address))
		}
	}
	settings.Peers = append(slices.Clone(r.settings.Peers), peer)
	if replica, _, err = createReplica(dir, settings, now); err != nil {
		return replica, errors.Join(err, os.RemoveAll(dir))
	}
	replica.Address = string(peer.Address)
	for name, doc := range map[string]any{
		fileFounding: r.founding, FileReplica: replica,
		fileRoll: known{Roll: r.trust.roll(), Departed: []protocol.Replica{}},
	} {
		text, err := protocol.Indented(doc)
		if err != nil {
			return replica, err
		}
		if err := durable.WriteFile(filepath.Join(dir, name), text); err != nil {
			return replica, err
		}
	}
	return replica, nil
}

// Admit puts a prepared replica on the roll, in the place of another if one is
// named. The leader lets it in, brings it up to date and gives it its vote, and
// only then lets the other go: [Office.Status] shows how far that is.
func (o *Office) Admit(ctx context.Context, joining protocol.Replica, replaces protocol.ReplicaID) (protocol.Roll, error) {
	return o.changeRoll(ctx, func(r *protocol.Roll) error {
		for _, there := range r.Replicas {
			if there.ID == joining.ID || there.Address == joining.Address {
				return nameTaken(joining.ID, joining.Address)
			}
		}
		if replaces != "" {
			if err := drop(r, replaces); err != nil {
				return err
			}
		}
		r.Replicas = append(r.Replicas, joining)
		return nil
	})
}

// Remove takes a replica off the roll.
func (o *Office) Remove(ctx context.Context, id protocol.ReplicaID) (protocol.Roll, error) {
	return o.changeRoll(ctx, func(r *protocol.Roll) error {
		if len(r.Replicas) == 1 {
			return protocol.Refuse(governance.ErrRoll, "c'est la dernière réplique", "it is the last replica")
		}
		return drop(r, id)
	})
}

func drop(r *protocol.Roll, id protocol.ReplicaID) error {
	i := slices.IndexFunc(r.Replicas, func(r protocol.Replica) bool { return r.ID == id })
	if i < 0 {
		return protocol.Refuse(governance.ErrRoll,
			"il n'y a pas de réplique %s; `coulisse coordinator status` les nomme", "there is no replica %s; `coulisse coordinator status` names them", id)
	}
	r.Replicas = slices.Delete(slices.Clone(r.Replicas), i, i+1)
	return nil
}

// RaiseRules puts the newest rules in force that every replica knows. Each
// replica must answer: one that is away might not know them.
func (o *Office) RaiseRules(ctx context.Context) (protocol.Roll, error) {
	rules := 0
	for _, s := range o.Status(ctx) {
		if s.Error != "" {
			return protocol.Roll{}, protocol.Refuse(governance.ErrRules,
				"la réplique %s ne répond pas, et sa version n'est pas connue; mettez toutes les répliques à jour et en marche d'abord",
				"replica %s does not answer, and its version is not known; upgrade and start every replica first", s.ID)
		}
		rules = cmp.Or(min(rules, s.Rules), s.Rules)
	}
	return o.changeRoll(ctx, func(r *protocol.Roll) error {
		if r.Rules >= rules {
			return protocol.Refuse(governance.ErrRules,
				"les règles %d sont en vigueur, et toutes les répliques n'en connaissent pas de plus récentes",
				"rules %d are in force, and not every replica knows newer ones", r.Rules)
		}
		r.Rules = rules
		return nil
	})
}

// changeRoll draws the next roll up, has a majority of the replicas endorse it,
// and hands it to the leader.
func (o *Office) changeRoll(ctx context.Context, edit func(*protocol.Roll) error) (protocol.Roll, error) {
	current, err := o.roll(ctx)
	if err != nil {
		return current, err
	}
	next := current
	next.Replicas = slices.Clone(current.Replicas)
	next.Number++
	if err := edit(&next); err != nil {
		return current, err
	}
	raw, err := protocol.Canonical(next)
	if err != nil {
		return current, err
	}
	// First of all: a roll that lets the office's authority go would shut it out.
	if err := o.keepCertified(ctx, next, time.Now()); err != nil {
		return current, err
	}
	endorsements, err := o.endorsed(ctx, current, raw)
	if err != nil {
		return current, err
	}
	err = o.anywhere(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		_, err := stub.ChangeRoll(ctx, &wire.ChangeRollRequest{Roll: raw, Endorsements: endorsements})
		return err
	})
	if err != nil {
		return current, err
	}
	return next, o.keepRoll(next)
}

// roll is the one in force, from whichever replica has the longest log.
func (o *Office) roll(ctx context.Context) (protocol.Roll, error) {
	var longest stated
	denied := error(errNobody)
	for _, address := range o.card.Addresses {
		err := o.call(address, func(stub wire.CoordinatorClient) error {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			reply, err := stub.Status(ctx, &wire.StatusRequest{})
			if err != nil || reply.GetLogSize() <= longest.size {
				return err
			}
			current, err := protocol.Decode[protocol.Roll](reply.GetRoll())
			if err == nil {
				longest = stated{address, reply.GetLogSize(), current}
			}
			return err
		})
		if isDenial(err) {
			denied = err
		}
	}
	if longest.size == 0 {
		return protocol.Roll{}, denied
	}
	return o.believed(ctx, longest)
}

// endorsed asks every replica of the roll in force, and returns what a majority
// has signed, in the order of their names.
func (o *Office) endorsed(ctx context.Context, current protocol.Roll, next []byte) ([][]byte, error) {
	replicas := slices.Clone(current.Replicas)
	slices.SortFunc(replicas, func(a, b protocol.Replica) int { return cmp.Compare(a.ID, b.ID) })
	var endorsements [][]byte
	var last error
	for _, replica := range replicas {
		err := o.call(consensus.Address(replica.Address), func(stub wire.CoordinatorClient) error {
			ctx, cancel := context.WithTimeout(ctx, answer)
			defer cancel()
			reply, err := stub.Endorse(ctx, &wire.EndorseRequest{Roll: next})
			if err == nil {
				endorsements = append(endorsements, reply.GetEndorsement())
			}
			return err
		})
		last = cmp.Or(last, err)
	}
	if 2*len(endorsements) > len(replicas) {
		return endorsements, nil
	}
	if last != nil && !errors.Is(last, context.DeadlineExceeded) {
		return nil, fmt.Errorf("%d of %d replicas endorse it: %w", len(endorsements), len(replicas), last)
	}
	return nil, errNobody
}

// keepRoll keeps the new list in the office's folder, for its next command.
func (o *Office) keepRoll(current protocol.Roll) error {
	o.card.Roll, o.card.Replicas, o.card.Addresses = current.Number, nil, nil
	for _, replica := range current.Replicas {
		o.card.Replicas = append(o.card.Replicas, replica)
		o.card.Addresses = append(o.card.Addresses, consensus.Address(replica.Address))
	}
	text, err := protocol.Indented(o.card)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(o.dir, FileCard), text)
}
