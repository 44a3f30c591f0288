package federation

import (
	"fmt"
	"sync/atomic"

	"coulisse/protocol/governance"
)

// A view is stored in parts: the genesis once, with the founding; the members
// when they change; the rest with every decision.
const (
	viewKey    = "view"
	membersKey = "members"
)

// lastView remembers the view that was stored or decoded last, with its stored
// texts: almost every entry reads it, it changes with a decision only, and with
// hundreds of members it takes milliseconds to decode. It is a function of the
// texts alone, so it cannot part two replicas.
var lastView atomic.Pointer[decodedView]

type decodedView struct {
	rest, members string
	view          governance.View
}

// View is the federation's governance as decided so far. It is shared: its
// slices are never written to.
func View(tx Tx) (governance.View, error) {
	rest, ok := tx.Get(viewKey)
	if !ok {
		return governance.View{}, fmt.Errorf("%w: the log has no genesis yet", ErrNotFound)
	}
	members, _ := tx.Get(membersKey)
	if last := lastView.Load(); last != nil && last.rest == rest && last.members == members {
		return last.view, nil
	}
	founding, err := Founding(tx)
	if err != nil {
		return governance.View{}, err
	}
	d := &decodedView{rest: rest, members: members}
	decode(viewKey, rest, &d.view)
	decode(membersKey, members, &d.view.Members)
	d.view.Genesis = founding.Genesis
	lastView.Store(d)
	return d.view, nil
}

// saveView stores the view after a decision.
func saveView(tx Tx, v governance.View) {
	if last, err := View(tx); err != nil || !sameMembers(last, v) {
		save(tx, membersKey, v.Members)
	}
	save(tx, viewKey, v)
	d := &decodedView{view: v}
	d.rest, _ = tx.Get(viewKey)
	d.members, _ = tx.Get(membersKey)
	lastView.Store(d)
}

// sameMembers reports whether two views share their members. A view's members
// are never written to, so that what is shared is equal.
func sameMembers(a, b governance.View) bool {
	return len(a.Members) == len(b.Members) && len(a.Members) > 0 && &a.Members[0] == &b.Members[0]
}
