package federation

import (
	"slices"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// The state keeps short lists of what is under way, so that nobody who waits
// for something to do reads all that ever was. Each is bounded, and one value.

// Bounds of what may be under way. They keep one member, or a broken node,
// from filling the log and everybody's memory.
const (
	// MaxPending bounds the proposals of one member that wait or are open.
	MaxPending = 20
	// MaxRunning bounds the rounds under way that one member has initiated.
	MaxRunning = 8
	// MaxRounds bounds all rounds under way; a member that has none may begin
	// one even so, or a few members could keep out the rest.
	MaxRounds = 64
)

const (
	runningKey = "running"
	votingKey  = "voting"
)

func pendingKey(by protocol.PartyID) string { return "pending/" + string(by) }

// running is a round that has not ended.
type running struct {
	ID protocol.RoundID  `json:"id"`
	By protocol.MemberID `json:"by"`
}

// pending is a proposal that waits or is open.
type pending struct {
	ID     protocol.Hash   `json:"id"`
	Closes protocol.Millis `json:"closes"`
}

// RunningRounds are the rounds that have not ended, oldest first.
func RunningRounds(tx Tx) []Round {
	list := loadOr(tx, runningKey, []running{})
	rounds := make([]Round, 0, len(list))
	for _, entry := range list {
		if r, err := FindRound(tx, entry.ID); err == nil {
			rounds = append(rounds, r)
		}
	}
	return rounds
}

// begin saves a new round, if there is room for it.
func begin(tx Tx, r Round, by protocol.MemberID) error {
	list := loadOr(tx, runningKey, []running{})
	own := 0
	for _, entry := range list {
		if entry.By == by {
			own++
		}
	}
	if own >= MaxRunning {
		return refuse("le membre %s a déjà %d rondes en cours; attendez que l'une se termine, ou mettez-y fin",
			"the member %s has %d rounds under way; wait until one ends, or end one", by, own)
	}
	if own > 0 && len(list) >= MaxRounds {
		return refuse("il y a déjà %d rondes en cours dans la fédération; attendez que la vôtre se termine",
			"there are %d rounds under way in the federation; wait until yours ends", len(list))
	}
	save(tx, runningKey, append(list, running{ID: r.ID, By: by}))
	save(tx, roundKey(r.ID), r)
	return nil
}

// update saves a round that has moved.
func update(tx Tx, r Round) {
	if r.Stage.Ended() {
		list := loadOr(tx, runningKey, []running{})
		save(tx, runningKey, slices.DeleteFunc(list, func(entry running) bool { return entry.ID == r.ID }))
	}
	save(tx, roundKey(r.ID), r)
}

// OpenProposals are those on which ballots are taken, in the order in which
// they opened.
func OpenProposals(tx Tx) []Proposal {
	ids := loadOr(tx, votingKey, []protocol.Hash{})
	open := make([]Proposal, 0, len(ids))
	for _, id := range ids {
		if p, err := FindProposal(tx, id); err == nil {
			open = append(open, p)
		}
	}
	return open
}

// DueProposals are those whose vote is over at this time and may be closed; see
// [MayClose] for by whom.
func DueProposals(tx Tx, at protocol.Millis) ([]protocol.Hash, error) {
	view, err := View(tx)
	if err != nil {
		return nil, err
	}
	due := []protocol.Hash{}
	for _, p := range OpenProposals(tx) {
		if at >= p.OpenedAt && mayBeDue(tx, view, p, at) && view.Due(p.Content(), ownVoices(tx, view, p.ID), at) && closable(tx, view, p, at) {
			due = append(due, p.ID)
		}
	}
	return due, nil
}

// mayBeDue counts the votes without reading them.
func mayBeDue(tx Tx, view governance.View, p Proposal, at protocol.Millis) bool {
	count := 0
	tx.Ascend(castsKey(p.ID), func(string, string) bool {
		count++
		return true
	})
	return view.Due(p.Content(), count, at)
}

// closable reports whether a close would be accepted of a vote that is due: one
// that the keys in use do not allow yet waits, unless it does not carry.
func closable(tx Tx, view governance.View, p Proposal, at protocol.Millis) bool {
	if checkTimely(tx, view, p.Content().Effect) == nil {
		return true
	}
	_, _, err := decide(tx, view, p, at)
	return err == nil
}

// wait keeps a new proposal with its author's, if there is room.
func wait(tx Tx, by protocol.PartyID, p pending, at protocol.Millis) error {
	// One that nobody cosigned in time needs no room any more, and one whose
	// time is up is closed at once.
	list := slices.DeleteFunc(loadOr(tx, pendingKey(by), []pending{}), func(q pending) bool { return q.Closes < at })
	if len(list) >= MaxPending {
		return refuse("le membre %s a déjà %d propositions en attente ou ouvertes; attendez que l'une se ferme",
			"the member %s has %d proposals that wait or are open; wait until one closes", by, len(list))
	}
	save(tx, pendingKey(by), append(list, p))
	return nil
}

// settle takes a closed vote off the lists.
func settle(tx Tx, p Proposal) {
	by := p.Signed.By
	list := loadOr(tx, pendingKey(by), []pending{})
	save(tx, pendingKey(by), slices.DeleteFunc(list, func(q pending) bool { return q.ID == p.ID }))
	voting := loadOr(tx, votingKey, []protocol.Hash{})
	save(tx, votingKey, slices.DeleteFunc(voting, func(id protocol.Hash) bool { return id == p.ID }))
}
