package rounds_test

import (
	"slices"
	"testing"

	"coulisse/node/warehouse"
	"coulisse/protocol/federation"
)

// Somebody is erased between the upload, which has a pseudonym, and the labels:
// the labels do not come to name the person, what was sent goes with the round,
// and labels from before lose the person.
func TestErasingSomebodyDuringARound(t *testing.T) {
	t.Parallel()
	s := play(t)
	h, ctx := s.houses[0], t.Context()
	earlier := s.propose(nil)
	s.until(earlier, federation.Closed, nil)
	s.wantClean(earlier)
	labelled, err := h.rounds.Labelled(earlier)
	s.town.Must(err)
	person := labelled[3]

	id := s.propose(nil)
	if sent, err := h.rounds.Sent(ctx); err != nil || len(sent) > 0 {
		t.Errorf("sent for %v before any upload: %v", sent, err)
	}
	s.until(id, federation.Opened, nil)
	if naming, err := h.rounds.Naming(person); err != nil || len(naming) != 1 || naming[0] != earlier {
		t.Errorf("named in %v: %v", naming, err)
	}
	_, err = h.cfg.Warehouse.Erase(ctx, person)
	s.town.Must(err)
	s.town.Must(h.tokens.Erase(ctx, []warehouse.PersonID{person}))
	s.town.Must(h.rounds.Erase(person))
	if naming, err := h.rounds.Naming(person); err != nil || len(naming) > 0 {
		t.Errorf("named in %v after the erasure: %v", naming, err)
	}
	if sent, err := h.rounds.Sent(ctx); err != nil || len(sent) != 1 || sent[0] != id {
		t.Errorf("the erasure would wait for %v: %v", sent, err)
	}
	s.until(id, federation.Closed, nil)
	s.wantClean(id)
	if sent, err := h.rounds.Sent(ctx); err != nil || len(sent) > 0 {
		t.Errorf("the erasure would still wait for %v: %v", sent, err)
	}
	s.wantLabels(h, earlier, truth(0, 50)-1)
	s.wantLabels(h, id, truth(0, 50)-1)
	if after, err := h.rounds.Labelled(id); err != nil || slices.Contains(after, person) {
		t.Errorf("the new labels name the person: %v", err)
	}
}
