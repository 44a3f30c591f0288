package warehouse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/protocol"
)

func ticket(who *identity.Identifier, order, event string, quantity int64) importer.TicketRow {
	return importer.TicketRow{
		Email: who, Order: order, Event: event, Discipline: "dance.contemporary", Venue: "Usine C",
		Day: "2026-02-03", Quantity: quantity, Cents: quantity * 4500, Consents: []importer.Consent{says(true, 0)},
	}
}

// crowd makes ticket rows of half as many people.
func crowd(rows int) []importer.TicketRow {
	list := make([]importer.TicketRow, rows)
	for i := range list {
		id, err := identity.Restore(identity.KindEmail, fmt.Sprintf("person.%d@example.org", i/2))
		if err != nil {
			panic(err)
		}
		list[i] = ticket(&id, fmt.Sprint("order ", i/3), fmt.Sprint("event ", i%50), 1)
		list[i].Line = int64(i + 2)
	}
	return list
}

func wantSummary(t *testing.T, w *Warehouse, people, pooling, tickets, imports int64) {
	t.Helper()
	s, err := w.Summary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.People != people || s.Consented[protocol.PurposePooling] != pooling || s.Tickets != tickets || s.Imports != imports {
		t.Errorf("summary %+v, want %d people, %d pooling, %d tickets, %d imports", s, people, pooling, tickets, imports)
	}
}

func TestSameFileTwice(t *testing.T) {
	w := fresh(t)
	rows := crowd(10)
	mustTake(t, w, "a", nil, rows...)
	err := take(t.Context(), w, "a", nil, rows)
	if !errors.Is(err, ErrAlreadyImported) || !strings.Contains(err.Error(), time.Now().Format("2006-01-")) {
		t.Errorf("importing a file twice: %v", err)
	}
	wantSummary(t, w, 5, 5, 10, 1)

	imports, err := w.Imports(t.Context())
	if err != nil || len(imports) != 1 || imports[0].File != "a.csv" || imports[0].Kind != importer.Tickets ||
		!strings.HasPrefix(string(imports[0].Report), "{") || time.Since(imports[0].At) > time.Minute {
		t.Errorf("imports %+v, %v", imports, err)
	}
}

// A file as members have it, through the importer.
func TestImportedFile(t *testing.T) {
	w := fresh(t)
	file := "Courriel;Commande;Spectacle;Discipline;Salle;Date;Quantité;Montant;Code postal\n" +
		"Claire@Example.org;1;Icare;Danse contemporaine;Usine C;2026-02-03;2;90,50;h2x 1y4\n" +
		"claire@example.org;1;Icare;Danse contemporaine;Usine C;2026-02-03;-1;-45,25;h2x 1y4\n" +
		"info@example.org;2;Icare;Danse contemporaine;Usine C;2026-02-03;1;45,25;\n"
	options := importer.Options{Kind: importer.Tickets, File: "ventes.csv", SpoolDir: t.TempDir(),
		MemberDefaults: importer.Defaults{Consents: []importer.Consent{says(true, 0)}}}
	report, err := importer.Import(t.Context(), strings.NewReader(file), options, w.Intake())
	if err != nil || report.Kept != 2 || report.Refused != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	wantSummary(t, w, 1, 1, 1, 1)
	d := everybody
	d.Disciplines, d.Venues, d.PostalPrefixes, d.MinCents = []string{"dance"}, []string{"USINE C"}, []string{"H2X"}, 4525
	wantWho(t, w, d, "claire@example.org")
	if _, err := importer.Import(t.Context(), strings.NewReader(file), options, w.Intake()); !errors.Is(err, ErrAlreadyImported) {
		t.Errorf("importing it again: %v", err)
	}
	imports, err := w.Imports(t.Context())
	if err != nil || len(imports) != 1 || imports[0].ID != report.Run || !strings.Contains(string(imports[0].Report), `"kept":2`) {
		t.Errorf("imports %+v, %v", imports, err)
	}
}

// The same order in a second export counts once; equal lines of one order all
// count; a refund is a line of its own.
func TestOverlappingFiles(t *testing.T) {
	w := fresh(t)
	claire := email(t, "claire@example.org")
	twice := []importer.TicketRow{ticket(claire, "1", "Icare", 1), ticket(claire, "1", "Icare", 1)}
	mustTake(t, w, "january", nil, twice...)
	wantSummary(t, w, 1, 1, 2, 1)
	mustTake(t, w, "february", nil, append(twice, ticket(claire, "2", "Icare", 3), ticket(claire, "1", "Icare", -1))...)
	wantSummary(t, w, 1, 1, 4, 2)
	// A group's order: somebody else's equal line is another line.
	luc := email(t, "luc@example.org")
	third := append(twice, ticket(luc, "1", "Icare", 1), ticket(claire, "1", "Icare", 1))
	mustTake(t, w, "march", nil, third...)
	wantSummary(t, w, 2, 2, 6, 3)
	slices.Reverse(third)
	third[0].Day = "" // unknown, and still the same when it comes again
	mustTake(t, w, "undated", nil, third[0])
	wantSummary(t, w, 2, 2, 7, 4)
	mustTake(t, w, "april", nil, third...)
	wantSummary(t, w, 2, 2, 7, 5)
}

func TestPersonIsAddressElsePhone(t *testing.T) {
	w := fresh(t)
	yes := []importer.Consent{says(true, 0)}
	mustTake(t, w, "a", []importer.PersonRow{
		{Email: email(t, "claire@example.org"), Phone: phone(t, "+15145550100"), Consents: yes},
		{Phone: phone(t, "+15145550100"), Consents: yes},
		{Email: email(t, "luc@example.org"), Phone: phone(t, "+15145550100"), Consents: yes},
		{Email: email(t, "claire@example.org"), PostalCode: "h2x 1y4", Consents: yes},
	})
	wantWho(t, w, everybody, "+15145550100", "claire@example.org", "luc@example.org")
	home := everybody
	home.PostalPrefixes = []string{"H2X1"}
	wantWho(t, w, home, "claire@example.org")
	mustTake(t, w, "b", []importer.PersonRow{{Email: email(t, "claire@example.org"), PostalCode: "G1R1A1"}, {Email: email(t, "luc@example.org")}})
	wantWho(t, w, home)
	// A file without the postal code does not take it away.
	mustTake(t, w, "c", []importer.PersonRow{{Email: email(t, "claire@example.org"), Phone: phone(t, "+15145550100")}})
	home.PostalPrefixes = []string{"G1R"}
	wantWho(t, w, home, "claire@example.org")

	var beside int
	if err := w.db.QueryRow(`SELECT count(*) FROM identities WHERE NOT principal AND kind = 'phone'`).Scan(&beside); err != nil || beside != 2 {
		t.Errorf("%d telephones beside an address, want 2 (%v)", beside, err)
	}
}

// The last word counts, in whatever order the files come; history stays.
func TestConsentWithdrawal(t *testing.T) {
	claire := email(t, "claire@example.org")
	said := func(c ...importer.Consent) []importer.PersonRow {
		return []importer.PersonRow{{Email: claire, Consents: c}}
	}
	for name, c := range map[string]struct {
		files  [][]importer.PersonRow
		stands bool
	}{
		"never asked":                 {[][]importer.PersonRow{said()}, false},
		"withdrawn later":             {[][]importer.PersonRow{said(says(true, 0)), said(says(false, 1))}, false},
		"older withdrawal comes late": {[][]importer.PersonRow{said(says(true, 1)), said(says(false, 0))}, true},
		"granted again":               {[][]importer.PersonRow{said(says(true, 0), says(false, 1)), said(says(true, 2))}, true},
		"both at once":                {[][]importer.PersonRow{said(says(true, 1)), said(says(false, 1), says(true, 0))}, false},
		"within one file":             {[][]importer.PersonRow{said(says(false, 1), says(true, 2), says(true, 0))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := fresh(t)
			words := 0
			for i, file := range c.files {
				mustTake(t, w, fmt.Sprint(i), file)
				words += len(file[0].Consents)
			}
			want := []string{}
			if c.stands {
				want = append(want, "claire@example.org")
			}
			wantWho(t, w, everybody, want...)
			var kept int
			if err := w.db.QueryRow(`SELECT count(*) FROM consents`).Scan(&kept); err != nil || kept != words {
				t.Errorf("%d of %d words kept, %v", kept, words, err)
			}
		})
	}
}

func TestPurposesAreApart(t *testing.T) {
	w := fresh(t)
	mustTake(t, w, "a", []importer.PersonRow{
		{Email: email(t, "pool@example.org"), Consents: []importer.Consent{says(true, 0)}},
		{Email: email(t, "both@example.org"), Consents: []importer.Consent{says(true, 0), {Purpose: protocol.PurposeActivation, Granted: true, At: noon}}},
	})
	var ids []PersonID
	for id := range w.Evaluate(t.Context(), everybody, protocol.PurposePooling) {
		ids = append(ids, id)
	}
	var found []string
	for p, err := range w.Identifiers(t.Context(), append(ids, 999)) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, p.Identifier.Reveal())
	}
	if len(ids) != 2 || len(found) != 1 || found[0] != "both@example.org" {
		t.Errorf("of %d pooled people, %d may be acted on", len(ids), len(found))
	}
}

func TestAbortAndCancel(t *testing.T) {
	w := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	in := w.Intake()
	begin := func(ctx context.Context) {
		t.Helper()
		if err := in.Begin(ctx, importer.Run{ID: "a", Kind: importer.Tickets, Digest: "a"}); err != nil {
			t.Fatal(err)
		}
		if err := in.Tickets(ctx, crowd(3000)); err != nil {
			t.Fatal(err)
		}
	}
	begin(ctx)
	if err := w.Intake().Begin(ctx, importer.Run{}); !errors.Is(err, ErrImporting) {
		t.Errorf("two imports at once: %v", err)
	}
	if err := in.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	wantSummary(t, w, 0, 0, 0, 0)

	begin(ctx)
	cancel()
	if err := in.Tickets(ctx, crowd(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("rows after the cancellation: %v", err)
	}
	if err := in.Commit(ctx, importer.Report{}); err == nil {
		t.Error("a cancelled import was committed")
	}
	wantSummary(t, w, 0, 0, 0, 0)

	begin(t.Context())
	if err := in.People(t.Context(), []importer.PersonRow{{}}); !errors.Is(err, errNobody) {
		t.Errorf("a row about nobody: %v", err)
	}
	if err := in.Commit(t.Context(), importer.Report{}); err != nil {
		t.Fatal(err)
	}
	if err := in.Commit(t.Context(), importer.Report{}); !errors.Is(err, errNotBegun) {
		t.Errorf("committing twice: %v", err)
	}
	wantSummary(t, w, 1500, 1500, 3000, 1)
}

// A number handed out is gone, even if its import failed: a token cached for
// it must never come to stand for somebody else.
func TestNumbersAreNotReused(t *testing.T) {
	w := fresh(t)
	mustTake(t, w, "a", nil, crowd(20)...)
	before, err := w.lastPerson(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Exec(`DELETE FROM people`); err != nil {
		t.Fatal(err)
	}
	mustTake(t, w, "b", []importer.PersonRow{{Email: email(t, "new@example.org")}})
	if after, err := w.lastPerson(t.Context()); err != nil || after <= before {
		t.Errorf("person %d after person %d, %v", after, before, err)
	}
}

// Whatever text a cell holds, it is stored as text.
func TestOddText(t *testing.T) {
	w := fresh(t)
	row := ticket(email(t, "claire@example.org"), "'; DROP TABLE people; --", "nul\x00byte", 1)
	row.Venue, row.Discipline, row.PostalCode = "bad\xffutf8", "%", "é\xc3"
	mustTake(t, w, "a", nil, row)
	var order, event string
	if err := w.db.QueryRow(`SELECT order_code, event FROM tickets`).Scan(&order, &event); err != nil || order != row.Order || event != row.Event {
		t.Errorf("stored %q %q, %v", order, event, err)
	}
	d := everybody
	d.Venues = []string{"BAD\ufffdUTF8"}
	wantWho(t, w, d, "claire@example.org")
	d.Venues = []string{"%", "' OR true --"}
	wantWho(t, w, d)
}

const killedRows = 10_000

// Killing the process at any point leaves all of an import or nothing.
func TestKilledImport(t *testing.T) {
	for _, c := range []struct {
		point string
		grown int64 // by how much the files have grown since, in bytes
	}{
		{"staged", 0}, {"committing", 0}, {"committing", 1}, {"committing", 100_000}, {"committing", 500_000}, {"committed", 0},
	} {
		t.Run(fmt.Sprint(c.point, " ", c.grown), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "warehouse.duckdb")
			w, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			mustTake(t, w, "before", nil, crowd(10)...)
			w.Close()
			killAt(t, path, c.point, c.grown)

			w = open(t, path)
			s, err := w.Summary(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case s.Imports == 2 && c.point != "staged":
				wantSummary(t, w, killedRows/2, killedRows/2, killedRows, 2)
			case s.Imports == 1 && c.point != "committed":
				wantSummary(t, w, 5, 5, 10, 1)
				mustTake(t, w, "killed", nil, crowd(killedRows)...)
				wantSummary(t, w, killedRows/2, killedRows/2, killedRows, 2)
			default:
				t.Errorf("%d imports after the kill", s.Imports)
			}
			if left, _ := os.ReadDir(path + ".tmp"); len(left) > 0 {
				t.Errorf("%d spilled files are left", len(left))
			}
		})
	}
}

// killAt starts an import in another process and kills it once it said that it
// is at the point and its files have grown since.
func killAt(t *testing.T, path, point string, grown int64) {
	t.Helper()
	cmd := command(point, path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() && said.Text() != point {
	}
	if said.Text() != point {
		t.Errorf("the other process ended early: %s", said.Text())
	}
	for before := sizes(path); t.Context().Err() == nil && sizes(path) < before+grown; {
	}
	cmd.Process.Kill()
	cmd.Wait()
}

func sizes(path string) (total int64) {
	for _, file := range []string{path, path + ".wal"} {
		if info, err := os.Stat(file); err == nil {
			total += info.Size()
		}
	}
	return total
}

// One writer and many readers: each reader sees whole imports only.
func TestReadersDuringImports(t *testing.T) {
	w := fresh(t)
	const files, rows = 4, 600
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				n := int64(0)
				for _, err := range w.Evaluate(t.Context(), everybody, protocol.PurposePooling) {
					if err != nil {
						t.Error(err)
						return
					}
					n++
				}
				s, err := w.Summary(t.Context())
				if err != nil || s.Lines%rows != 0 || n%(rows/2) != 0 {
					t.Errorf("a reader sees %d lines and %d people: %v", s.Lines, n, err)
					return
				}
			}
		})
	}
	all := crowd(files * rows)
	for i := range files {
		mustTake(t, w, fmt.Sprint(i), nil, all[i*rows:(i+1)*rows]...)
	}
	close(done)
	readers.Wait()
	wantSummary(t, w, files*rows/2, files*rows/2, files*rows, files)
}
