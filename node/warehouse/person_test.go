package warehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/node/importer"
)

// Of each table it is known whether its rows are about people: the erasure and
// what a person is shown are read off the columns.
func TestEveryTableIsAboutPeopleOrNot(t *testing.T) {
	w := fresh(t)
	tables, err := texts(t.Context(), w.db, `SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	mustTake(t, w, "a", []importer.PersonRow{{Email: email(t, "claire@example.org")}})
	rows, err := w.Held(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range rows {
		held[h.Table] = true
	}
	nobody := []string{"campaigns", "daily", "daily_channels", "daily_pages", "imports", "schema_version", "segments", "spool"}
	for _, table := range tables {
		if held[table] == slices.Contains(nobody, table) {
			t.Errorf("is %s about people? If it is, give it a column that says whom; else name it here", table)
		}
	}
}

// house is a store with two people, who share a browser, one of whom has one of
// her own, and an order on the site by nobody known.
func house(t *testing.T) *Warehouse {
	w := fresh(t)
	claire, paul := email(t, "claire@example.org"), email(t, "paul@example.org")
	mustTake(t, w, "a", []importer.PersonRow{
		{Email: claire, Phone: phone(t, "+15145550100"), PostalCode: "H2X 1Y4", Consents: []importer.Consent{says(true, 0)}},
		{Email: paul, Consents: []importer.Consent{says(true, 0)}},
	}, importer.TicketRow{Email: claire, Order: "A-1", Event: "Giselle", Quantity: 2, Cents: 5000},
		importer.TicketRow{Email: paul, Order: "B-1", Event: "Giselle", Quantity: 1, Cents: 2500})
	sold := happening(30, 0, 90, "purchase", "/merci")
	sold.Visitor, sold.Order, sold.Cents = VisitorID{}, "A-1", 5000
	mustBatch(t, w, Batch{
		Events: []Event{
			view(1, 1, 0, "/claire"), view(2, 1, 5, "/claire/2"), // her own
			view(10, 2, 0, "/hers"), view(20, 2, 300, "/his"), // shared
			sold,
		},
		Consents: []Consent{
			{Visitor: browser(1), At: noon, Purpose: "analytics", Granted: true, Proof: "call"},
			{Visitor: browser(2), At: noon, Purpose: "analytics", Granted: true, Proof: "call"},
		},
		Links: []Link{
			{browser(1), noon, "email", "claire@example.org"}, {browser(1), noon, "account", "K-77"},
			{browser(2), noon, "email", "claire@example.org"}, {browser(2), noon.Add(200 * time.Minute), "email", "paul@example.org"},
		},
		Upto: then(1),
	})
	return w
}

func counts(t *testing.T, w *Warehouse, id PersonID) map[string]int {
	t.Helper()
	held, err := w.Held(t.Context(), id)
	if err != nil && !errors.Is(err, ErrNoPerson) {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, h := range held {
		if len(h.Rows) > 0 {
			n[h.Table] = len(h.Rows)
		}
	}
	return n
}

// A person is shown, and loses, her own rows everywhere, and nobody else's.
func TestErasingReachesEveryTable(t *testing.T) {
	w := house(t)
	his := map[string]int{"people": 1, "identities": 1, "consents": 1, "standing": 1, "tickets": 1, "visitors": 1, "sessions": 1, "events": 1}
	hers := map[string]int{"people": 1, "identities": 2, "consents": 1, "standing": 1, "tickets": 1, "visitors": 3,
		"sessions": 2, "events": 4, "visitor_consents": 1}
	if got := counts(t, w, 1); !maps.Equal(got, hers) {
		t.Errorf("she is shown %v, want %v", got, hers)
	}
	if got := counts(t, w, 2); !maps.Equal(got, his) {
		t.Errorf("he is shown %v, want %v", got, his)
	}
	erased, err := w.Erase(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range erased {
		if int(e.Rows) != hers[e.Table] {
			t.Errorf("%d rows of %s were erased, want %d", e.Rows, e.Table, hers[e.Table])
		}
	}
	if got := counts(t, w, 1); len(got) > 0 {
		t.Errorf("left of her: %v", got)
	}
	his["visitor_consents"] = 1 // the browser is his alone now
	if got := counts(t, w, 2); !maps.Equal(got, his) {
		t.Errorf("left of him: %v, want %v", got, his)
	}
	wantRows(t, w, `SELECT path FROM events`, "/his")
	if again, err := w.Erase(t.Context(), 1); err != nil || again[0].Rows != 0 {
		t.Errorf("erasing nobody: %v, %v", again, err)
	}
	if present, err := w.Present(t.Context(), []PersonID{3, 2, 1}); err != nil || !slices.Equal(present, []PersonID{2}) {
		t.Errorf("present are %v, %v", present, err)
	}
}

func TestFinding(t *testing.T) {
	w := house(t)
	mustTake(t, w, "b", []importer.PersonRow{{Email: email(t, "enfant@example.org"), Phone: phone(t, "+15145550100")}})
	for name, tt := range map[string]struct {
		traits Traits
		want   []PersonID
	}{
		"address":         {Traits{Email: *email(t, "claire@example.org")}, []PersonID{1}},
		"shared phone":    {Traits{Phone: *phone(t, "+15145550100")}, []PersonID{1, 3}},
		"order":           {Traits{Text: "B-1"}, []PersonID{2}},
		"number":          {Traits{Number: 2}, []PersonID{2}},
		"nothing":         {Traits{}, nil},
		"unknown":         {Traits{Email: *email(t, "x@example.org"), Text: "Z"}, nil},
		"number or order": {Traits{Number: 1, Text: "B-1"}, []PersonID{1, 2}},
	} {
		if got, err := w.Find(t.Context(), tt.traits); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, tt.want)
		}
	}
}

func TestRectifying(t *testing.T) {
	const who = `SELECT kind, value, principal FROM identities WHERE person = 1 ORDER BY principal DESC, kind`
	for name, tt := range map[string]struct {
		to      Correction
		renamed bool
		want    []string
	}{
		"address":     {Correction{Email: *email(t, "claire@example.com")}, true, []string{"email claire@example.com true", "phone +15145550100 false"}},
		"same":        {Correction{Email: *email(t, "claire@example.org")}, false, []string{"email claire@example.org true", "phone +15145550100 false"}},
		"telephone":   {Correction{Phone: *phone(t, "+15145550199")}, false, []string{"email claire@example.org true", "phone +15145550199 false"}},
		"both":        {Correction{Email: *email(t, "c@example.com"), Phone: *phone(t, "+15145550199")}, true, []string{"email c@example.com true", "phone +15145550199 false"}},
		"postal code": {Correction{PostalCode: "h3a 1a1"}, false, []string{"email claire@example.org true", "phone +15145550100 false"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := house(t)
			renamed, err := w.Rectify(t.Context(), 1, tt.to)
			if err != nil || renamed != tt.renamed {
				t.Errorf("renamed is %v, %v", renamed, err)
			}
			wantRows(t, w, who, tt.want...)
		})
	}
	w := house(t)
	if _, err := w.Rectify(t.Context(), 1, Correction{Email: *email(t, "paul@example.org")}); !errors.Is(err, ErrTaken) {
		t.Errorf("another's address: %v", err)
	}
	if _, err := w.Rectify(t.Context(), 99, Correction{PostalCode: "H3A1A1"}); !errors.Is(err, ErrNoPerson) {
		t.Errorf("nobody: %v", err)
	}
	mustTake(t, w, "c", []importer.PersonRow{{Phone: phone(t, "+15145550155")}})
	renamed, err := w.Rectify(t.Context(), 3, Correction{Email: *email(t, "neuve@example.org")})
	if err != nil || !renamed {
		t.Errorf("a first address: %v, %v", renamed, err)
	}
	wantRows(t, w, `SELECT kind, value, principal FROM identities WHERE person = 3 ORDER BY principal DESC`,
		"email neuve@example.org true", "phone +15145550155 false")
}

// The engine leaves an erased row in its file, whatever is asked of it. Only a
// new file does not have it. Three people are so few that the engine does not
// compress their addresses: what this looks for, it would find.
func TestErasedRowsAreInTheFileUntilItIsRewritten(t *testing.T) {
	w := fresh(t)
	path := w.path(t)
	mustTake(t, w, "a", []importer.PersonRow{{Email: email(t, "claire.oubliee@example.org")}, {Email: email(t, "paul@example.org")}, {Email: email(t, "anne@example.org")}})
	in := func(address string) (found bool) {
		t.Helper()
		for _, name := range []string{path, path + ".wal"} {
			content, err := os.ReadFile(name)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			// Statistics keep the first eight bytes of the least and the greatest.
			found = found || bytes.Contains(content, []byte(address)) || bytes.Contains(content, []byte(address[:8]))
		}
		return found
	}
	checkpoint := func() {
		t.Helper()
		if _, err := w.db.Exec(`CHECKPOINT`); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint()
	if _, err := w.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	checkpoint()
	if !in("claire.oubliee@example.org") {
		t.Error("a checkpoint takes erased rows out of the file by now: is a rewriting still needed?")
	}
	if err := w.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	if in("claire.oubliee@example.org") {
		t.Error("the rewritten file has the erased person")
	}
	if !in("paul@example.org") {
		t.Error("this test would not find what is there")
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
		t.Errorf("beside the store: %v, %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the rewritten file: %v", err)
	}
	// Numbers go on, and nobody gets the erased one.
	mustTake(t, w, "b", []importer.PersonRow{{Email: email(t, "neuve@example.org")}})
	wantRows(t, w, `SELECT person FROM people ORDER BY person`, "2", "3", "4")
	if _, err := w.db.Exec(`COPY (SELECT 1) TO '` + path + `.out'`); err == nil {
		t.Error("after a rewriting the engine is not shut in")
	}
}

// Queries and imports go on through rewritings; they wait, and nothing is lost.
func TestRewritingUnderWork(t *testing.T) {
	w := fresh(t)
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	imported := 0
	work.Go(func() {
		for ; ctx.Err() == nil; imported++ {
			person := email(t, fmt.Sprintf("personne.%d@example.org", imported))
			if err := take(t.Context(), w, fmt.Sprint(imported), []importer.PersonRow{{Email: person, Consents: []importer.Consent{says(true, 0)}}}, nil); err != nil && !errors.Is(err, ErrImporting) {
				t.Error(err)
				return
			} else if err != nil {
				imported--
			}
		}
	})
	for range 3 {
		work.Go(func() {
			for ctx.Err() == nil {
				if _, err := w.Count(t.Context(), everybody, "pooling"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 10 {
		if err := w.Rewrite(t.Context()); err != nil {
			t.Error(err)
		}
	}
	stop()
	work.Wait()
	if n, err := w.Count(t.Context(), everybody, "pooling"); err != nil || n != int64(imported) || imported == 0 {
		t.Errorf("%d people of %d imported: %v", n, imported, err)
	}
}

// Whoever reads for long is let finish, and an end of patience changes nothing.
func TestRewritingWaitsForReaders(t *testing.T) {
	w := fresh(t)
	mustTake(t, w, "a", []importer.PersonRow{{Email: email(t, "claire@example.org"), Consents: []importer.Consent{says(true, 0)}}})
	conn, err := w.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.gate.without(ended, func() error { t.Error("under a reader"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("with a reader: %v", err)
	}
	wantWho(t, w, everybody, "claire@example.org")
	conn.Close()
	if err := w.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantWho(t, w, everybody, "claire@example.org")
}

// A process that is killed while it rewrites leaves the store whole.
func TestKilledRewriting(t *testing.T) {
	for round := range 12 {
		path := filepath.Join(t.TempDir(), "warehouse.duckdb")
		w, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		mustTake(t, w, "a", nil, crowd(2000)...)
		before := fingerprint(t, w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := command("rewrite", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		killAfter := time.NewTimer(time.Duration(round*17) * time.Millisecond)
		<-killAfter.C
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		again := open(t, path)
		if after := fingerprint(t, again); after != before {
			t.Errorf("killed in round %d, the store is %s, was %s", round, after, before)
		}
		wantRows(t, again, `SELECT nextval('person_numbers') FROM range(1)`, "1001")
		if left, _ := filepath.Glob(path + "*"); slices.ContainsFunc(left, func(name string) bool { return strings.HasSuffix(name, rewriteSuffix) }) {
			t.Errorf("left: %v", left)
		}
	}
}

func fingerprint(t *testing.T, w *Warehouse) string {
	t.Helper()
	print, err := texts(t.Context(), w.db, `SELECT concat_ws(' ', (SELECT bit_xor(hash(t)) FROM tickets t), (SELECT count(*) FROM tickets),
		(SELECT bit_xor(hash(i)) FROM identities i), (SELECT count(*) FROM identities))`)
	if err != nil {
		t.Fatal(err)
	}
	return print[0]
}
