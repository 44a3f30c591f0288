package witness_test

import (
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
)

// An entry from the future is taken, since this machine's clock may be the
// wrong one, and told.
func TestEntriesFromTheFuture(t *testing.T) {
	town := federationtest.Found(t, 3)
	w := open(t, t.TempDir(), town.Federation)
	for _, step := range []struct{ dated, told time.Duration }{
		{0, 0},
		{10 * time.Minute, 0},
		{10*time.Minute + time.Second, 10*time.Minute + time.Second},
		{72 * time.Hour, 72 * time.Hour},
		{-time.Hour, 0}, // an old entry, which this node catches up with
	} {
		town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
		last := town.Entries[len(town.Entries)-1]
		w.SetClock(last.At.Time().Add(-step.dated))
		feed(t, w, town.Entries[w.Size():])
		if got := w.Ahead(); got != step.told {
			t.Errorf("dated %v ahead, told as %v", step.dated, got)
		}
	}
}
