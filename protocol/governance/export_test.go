package governance

import "coulisse/protocol"

// Know makes this build one that knows other rules, in which a kind of document
// came with the second. It returns how to undo that.
func Know(rules int, label protocol.Label) (undo func()) {
	before := known
	known = rules
	labelRules[label] = 2
	return func() {
		known = before
		delete(labelRules, label)
	}
}
