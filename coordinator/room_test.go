package coordinator

import (
	"errors"
	"strings"
	"testing"

	"coulisse/coordinator/consensus"
	"coulisse/protocol/refusal"
)

// A member whose document finds no room learns what is wrong, that nothing is
// lost, and who does something about it, across the wire, in its language.
func TestAFullDiskIsRefusedInWords(t *testing.T) {
	err := refusal.FromStatus(refusal.ToStatus(explain(consensus.ErrNoRoom)))
	if !errors.Is(err, refusal.ErrFull) {
		t.Errorf("it arrives as %v", err)
	}
	words := refusal.Words(err)
	if !strings.Contains(words.FR, "disque du coordonnateur est presque plein; rien n'est perdu") ||
		!strings.Contains(words.EN, "coordinator's disk is nearly full; nothing is lost") {
		t.Errorf("it says %q", words)
	}
}
