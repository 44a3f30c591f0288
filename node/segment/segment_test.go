package segment

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

func store(t *testing.T) (*Store, *warehouse.Warehouse) {
	t.Helper()
	w, err := warehouse.Open(t.Context(), warehouse.Config{Path: filepath.Join(t.TempDir(), "warehouse.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return New(w), w
}

func definition(name string) protocol.Definition {
	return protocol.Definition{
		Name: name, Title: protocol.Text{FR: "Danse", EN: "Dance"},
		Disciplines: []string{"dance"}, Venues: []string{"Usine C"}, From: "2025-09-01", MinVisits: 2,
		PostalPrefixes: []string{"H2"},
	}
}

func TestSaveAndList(t *testing.T) {
	s, _ := store(t)
	saved, err := s.Save(t.Context(), definition("dance-lovers"), false)
	if err != nil || saved.Version != 1 || saved.Pooled || time.Since(saved.Updated) > time.Minute {
		t.Fatalf("saved %+v, %v", saved, err)
	}
	if again, err := s.Save(t.Context(), definition("dance-lovers"), false); err != nil || again.Version != 1 || !again.Updated.Equal(saved.Updated) {
		t.Errorf("saving the same again made version %d, %v", again.Version, err)
	}
	if _, err := s.Save(t.Context(), definition("dance-lovers"), true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), definition("another"), false); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Definition.Name != "another" {
		t.Fatalf("list %+v, %v", list, err)
	}
	got, err := s.Get(t.Context(), "dance-lovers")
	if err != nil || got.Version != 2 || !got.Pooled || !slices.Equal(got.Definition.Venues, []string{"Usine C"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.Delete(t.Context(), "another"); err != nil {
		t.Error(err)
	}
	_, err = s.Get(t.Context(), "another")
	if !errors.Is(err, ErrNotFound) || !errors.Is(s.Delete(t.Context(), "another"), ErrNotFound) {
		t.Errorf("a deleted segment: %v", err)
	}
}

func TestSaveRefuses(t *testing.T) {
	s, _ := store(t)
	bad := definition("dance-lovers")
	bad.Disciplines = []string{"dance.quantum"}
	if _, err := s.Save(t.Context(), bad, false); !errors.Is(err, ErrUnknownDiscipline) {
		t.Errorf("an unknown discipline: %v", err)
	}
	if _, err := s.Save(t.Context(), definition("Not A Name"), false); !errors.Is(err, protocol.ErrMalformed) {
		t.Errorf("a malformed definition: %v", err)
	}
}

// Versions count every change once, however many pages save at the same time.
func TestSaveConcurrently(t *testing.T) {
	s, _ := store(t)
	var savers sync.WaitGroup
	for i := range 8 {
		savers.Go(func() {
			d := definition("dance-lovers")
			d.MinTickets = i + 1
			if _, err := s.Save(t.Context(), d, false); err != nil {
				t.Error(err)
			}
		})
	}
	savers.Wait()
	if got, err := s.Get(t.Context(), "dance-lovers"); err != nil || got.Version != 8 {
		t.Errorf("version %d, %v", got.Version, err)
	}
}

func TestCount(t *testing.T) {
	s, w := store(t)
	in := w.Intake()
	if err := in.Begin(t.Context(), importer.Run{ID: "a", Kind: importer.Tickets, Digest: "a"}); err != nil {
		t.Fatal(err)
	}
	for person := range 3 {
		id, err := identity.Restore(identity.KindEmail, fmt.Sprintf("p%d@example.org", person))
		if err != nil {
			t.Fatal(err)
		}
		for visit := range person + 1 {
			err := in.Tickets(t.Context(), []importer.TicketRow{{
				Email: &id, Event: fmt.Sprint(visit), Discipline: "dance.ballet", Venue: "usine c", Day: "2025-10-01", Quantity: 1,
				PostalCode: "H2X1Y4", Consents: []importer.Consent{{Purpose: protocol.PurposePooling, Granted: true, At: time.Unix(1, 0)}},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := in.Commit(t.Context(), importer.Report{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), definition("dance-lovers"), false); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Count(t.Context(), "dance-lovers"); err != nil || n != 2 {
		t.Errorf("count %d, %v, want 2", n, err)
	}
	if _, err := s.Count(t.Context(), "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("counting nothing: %v", err)
	}
}
