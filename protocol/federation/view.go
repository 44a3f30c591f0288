package federation

import (
	"fmt"
	"sync/atomic"

	"coulisse/protocol/governance"
)

const viewKey = "view"

// lastView remembers the view that was decoded last, with the stored text that
// it came from: almost every entry reads it, it changes with a decision only,
// and with hundreds of members it takes milliseconds to decode. It is a
// function of the text alone, so it cannot part two replicas.
var lastView atomic.Pointer[decodedView]

type decodedView struct {
	raw  string
	view governance.View
}

// View is the federation's governance as decided so far. It is shared: its
// slices are never written to.
func View(tx Tx) (governance.View, error) {
	raw, ok := tx.Get(viewKey)
	if !ok {
		return governance.View{}, fmt.Errorf("%w: the log has no genesis yet", ErrNotFound)
	}
	if last := lastView.Load(); last != nil && last.raw == raw {
		return last.view, nil
	}
	d := &decodedView{raw: raw}
	decode(viewKey, raw, &d.view)
	lastView.Store(d)
	return d.view, nil
}
