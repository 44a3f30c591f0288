package witness

import (
	"time"

	"coulisse/protocol/federation"
)

// maxAhead is how far the log's time may be ahead of this machine's before one
// of the two clocks must be wrong.
const maxAhead = 10 * time.Minute

// Ahead is by how much the last entry, when it was taken, was dated ahead of
// this machine's clock; 0 for no more than clocks differ.
//
// When an entry was made is the leader's word: the rules keep it only from
// going back. One that runs ahead ends votes and rounds before their time. It
// is no evidence, since this machine's clock may be the wrong one.
func (w *Witness) Ahead() time.Duration {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.ahead
}

// readClock compares the clocks when an entry was just taken. mu is held.
func (w *Witness) readClock() {
	w.ahead = federation.Time(&w.memory).Time().Sub(w.now())
	if w.ahead <= maxAhead {
		w.ahead = 0
	}
}
