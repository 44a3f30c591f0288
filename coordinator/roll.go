package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/wire"
)

// ErrRemoved: the federation's roll no longer has this replica.
var ErrRemoved = protocol.Refuse(errRemoved,
	"cette réplique n'est plus sur la liste du coordonnateur: elle a été remplacée ou retirée; gardez son dossier en lieu sûr, ou détruisez-le",
	"this replica is no longer on the coordinator's roll: it was replaced or removed; keep its folder in a safe place, or destroy it")

var errRemoved = errors.New("the replica is no longer on the roll")

// roll keeps consensus in step with the roll in the log: who is on it is let
// in, brought up to date and given a vote, and who is not is let go. What is
// left to do follows from the two lists alone, so the next leader goes on where
// the last one stopped.
type roll struct {
	self     protocol.ReplicaID
	node     *consensus.Node
	view     func(func(federation.Tx) error) error
	grown    func() <-chan struct{}
	progress func(context.Context, consensus.Address) (uint64, error)
	// leaving is who is to go next, and how far it must have read by then.
	leaving struct {
		id    protocol.ReplicaID
		reads uint64
		since time.Time
	}
	failed func(error)
	review func() // closes the raft connections that admits would refuse
	// kept stores the roll in the folder, once it is newer than the one there.
	kept func([]consensus.Member) error
}

const (
	rollTick = time.Second
	// near is how many commands behind a replica may be to be given its vote.
	near = 256
)

// now is the roll in force; its number is 0 while the genesis's is, or while
// there is no log.
func (r *roll) now() (current protocol.Roll) {
	_ = r.view(func(tx federation.Tx) error { // an empty log has no view
		view, err := federation.View(tx)
		if err == nil {
			current = view.Roll
		}
		return err
	})
	return current
}

// keep does the leader's part until ctx ends.
func (r *roll) keep(ctx context.Context) {
	timer := time.NewTicker(rollTick)
	defer timer.Stop()
	for ctx.Err() == nil {
		grown := r.grown()
		if current := r.now(); current.Number > 0 {
			if err := r.step(ctx, current); err != nil && ctx.Err() == nil {
				r.failed(err)
				grown = nil // what is in the way is no entry of the log
			}
		}
		select {
		case <-ctx.Done():
		case <-grown:
		case <-timer.C:
		}
	}
}

// move is one change of consensus.
type move struct {
	what string
	peer consensus.Peer
}

// The moves, in the order in which they are made: nobody leaves before whoever
// replaces it votes.
const (
	admit   = "admit"
	promote = "promote"
	remove  = "remove"
	stay    = ""
)

// next finds the next move from the list of consensus to the roll. A roll brings
// in one replica at most. Where consensus lacks more, it was restored without
// them, and nobody is let in before the members have voted: the others may be
// running together, and would halt at another restoration's leader.
func next(current protocol.Roll, members []consensus.Member) move {
	on, missing := map[protocol.ReplicaID]bool{}, []consensus.Peer{}
	for _, replica := range current.Replicas {
		on[replica.ID] = true
		peer := consensus.Peer{ID: replica.ID, Address: consensus.Address(replica.Address)}
		i := slices.IndexFunc(members, func(m consensus.Member) bool { return m.ID == replica.ID })
		switch {
		case i < 0:
			missing = append(missing, peer)
		case !members[i].Votes:
			return move{promote, peer}
		}
	}
	switch len(missing) {
	case 0:
	case 1:
		return move{admit, missing[0]}
	default:
		return move{what: stay}
	}
	for _, m := range members {
		if !on[m.ID] {
			return move{remove, m.Peer}
		}
	}
	return move{what: stay}
}

func (r *roll) step(ctx context.Context, current protocol.Roll) error {
	status := r.node.Status()
	// What a replica signs that is off the roll is refused, so another leads as
	// soon as one can: no vote would close before the newcomer has come.
	heir := func(m consensus.Member) bool { return m.Votes && onRoll(current, m.ID) }
	if !onRoll(current, r.self) && slices.ContainsFunc(status.Members, heir) && r.node.HandOver() == nil {
		return nil
	}
	m := next(current, status.Members)
	switch m.what {
	case admit:
		return r.node.Admit(ctx, m.peer)
	case promote:
		applied, err := r.progress(ctx, m.peer.Address)
		if err != nil || applied+near < status.Commit {
			return err // still catching up, or not started yet
		}
		return r.node.Promote(ctx, m.peer.ID)
	case remove:
		if m.peer.ID == r.self {
			return nil // its heir will, once it leads
		}
		if r.mustHear(ctx, m.peer, status.Applied) {
			return nil
		}
		return r.node.Remove(ctx, m.peer.ID)
	}
	return nil
}

// farewell is how long a replica that answers is given to read that it is off
// the roll. Consensus tells it nothing more once it was let go.
const farewell = 15 * time.Second

// mustHear reports whether a replica that is to go answers, and has not read
// yet what the leader had when it was first to go. Only keep calls it.
func (r *roll) mustHear(ctx context.Context, peer consensus.Peer, applied uint64) bool {
	if r.leaving.id != peer.ID {
		r.leaving.id, r.leaving.reads, r.leaving.since = peer.ID, applied, time.Now()
	}
	has, err := r.progress(ctx, peer.Address)
	return err == nil && has < r.leaving.reads && time.Since(r.leaving.since) < farewell
}

// check refuses a roll while consensus has not caught up with the one before it:
// replicas that go on must vote already. One that never came up may be given
// up, so that a new replica that does not start holds nothing up.
func (r *roll) check(coming protocol.Roll) error {
	return ready(r.now(), coming, r.node.Status().Members)
}

// nameTaken: consensus knows a replica by its name at its address, for good. A
// machine that moves, or that takes over an address, is a new replica: whoever
// dials an address must not find another that answers for the first.
func nameTaken(id protocol.ReplicaID, address string) error {
	return protocol.Refuse(governance.ErrRoll,
		"le nom %s ou l'adresse %s est déjà celui d'une réplique; une machine qui change d'adresse est remplacée, sous un autre nom et à une autre adresse",
		"the name %s or the address %s is a replica's already; a machine that moves is replaced, under another name and at another address", id, address)
}

func ready(current, coming protocol.Roll, members []consensus.Member) error {
	for _, replica := range coming.Replicas {
		for _, m := range members {
			if (m.ID == replica.ID) != (string(m.Address) == replica.Address) {
				return nameTaken(replica.ID, replica.Address)
			}
		}
	}
	if current.Number == 0 {
		return nil // consensus began with the genesis's
	}
	for _, replica := range current.Replicas {
		votes := slices.ContainsFunc(members, func(m consensus.Member) bool { return m.ID == replica.ID && m.Votes })
		if !votes && onRoll(coming, replica.ID) {
			return protocol.Refuse(governance.ErrRoll,
				"la réplique %[1]s n'a pas encore son vote; démarrez-la et attendez (`coulisse coordinator status`), ou renoncez à elle avec `coulisse coordinator replica remove %[1]s`",
				"replica %[1]s does not vote yet; start it and wait (`coulisse coordinator status`), or give it up with `coulisse coordinator replica remove %[1]s`", replica.ID)
		}
	}
	return nil
}

// gone waits until this replica is off the roll and consensus does without it,
// and reports [ErrRemoved]; nil when ctx ends first. Meanwhile it looks over
// the connections of consensus, which outlive what let them in, and keeps the
// roll for the next start.
func (r *roll) gone(ctx context.Context) error {
	timer := time.NewTicker(rollTick)
	defer timer.Stop()
	for ctx.Err() == nil {
		if r.removed() {
			return ErrRemoved
		}
		r.review()
		if err := r.kept(r.node.Status().Members); err != nil {
			r.failed(err)
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	return nil
}

// forsaken is how long a replica that is off the roll waits for a leader: one
// that was let go is not told.
const forsaken = 10 * time.Second

func (r *roll) removed() bool {
	current := r.now()
	if current.Number == 0 || onRoll(current, r.self) {
		return false
	}
	status := r.node.Status()
	if status.Role == "leader" {
		return false
	}
	for _, m := range status.Members {
		if m.ID == r.self {
			silence, err := time.ParseDuration(status.Silence)
			return err == nil && silence > forsaken
		}
	}
	return true
}

func onRoll(current protocol.Roll, id protocol.ReplicaID) bool {
	for _, replica := range current.Replicas {
		if replica.ID == id {
			return true
		}
	}
	return false
}

// admits reports whether a replica's certificate lets it speak consensus now:
// it is on the roll, or consensus still counts on it. A replica whose log is
// still empty takes any, since it knows no roll.
func (r *roll) admits(id protocol.ReplicaID) bool {
	current := r.now()
	if len(current.Replicas) == 0 || onRoll(current, id) {
		return true
	}
	for _, m := range r.node.Status().Members {
		if m.ID == id {
			return true
		}
	}
	return false
}

// appliedAt asks a replica how far it is.
func (r *Replica) appliedAt(ctx context.Context, address consensus.Address) (applied uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	err = r.callAs(address, func(stub wire.CoordinatorClient) error {
		reply, err := stub.Status(ctx, &wire.StatusRequest{})
		applied = reply.GetAppliedIndex()
		return err
	})
	return applied, err
}
