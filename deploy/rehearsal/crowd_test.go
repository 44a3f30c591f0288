package rehearsal_test

import (
	"slices"
	"testing"

	"coulisse/coordinator/matcher"
	"coulisse/deploy/rehearsal"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// TestRoundsAtOnce runs more rounds at once than the matcher has memory for: some
// wait in line, and all of them end as they would alone.
func TestRoundsAtOnce(t *testing.T) {
	people := invent(2000, houses...)
	f := rehearsal.FoundIn(t, rehearsal.Setting{Charter: rehearsal.Charter(), Memory: matcher.MinMemory}, append(slices.Clone(houses), "journal")...)
	fill(f, people)
	prepare(f)
	var ids []protocol.RoundID
	for range 4 { // of five sources each: 20 uploads, in memory for 16
		ids = append(ids, propose(t, f, audience()))
	}
	for _, id := range ids {
		end := ended(t, f, id)
		if end.Stage != federation.Closed {
			t.Fatalf("a round ended %s: %s", end.Stage, end.Reason.EN)
		}
		checkSize(t, end, people)
		checkLabels(t, f, id, people)
	}
}
