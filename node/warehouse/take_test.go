package warehouse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/node/importer"
)

// happening is an event of a visitor, some minutes after noon.
func happening(id uint64, visitor byte, minutes int, kind, path string) Event {
	e := Event{At: noon.Add(time.Duration(minutes) * time.Minute), Kind: kind, Host: "example.org", Path: path, Title: "Page " + path, Channel: "Direct"}
	binary.BigEndian.PutUint64(e.ID[:], id)
	e.Visitor = browser(visitor)
	return e
}

func browser(visitor byte) (id VisitorID) {
	id[0] = visitor
	return id
}

func view(id uint64, visitor byte, minutes int, path string) Event {
	return happening(id, visitor, minutes, "page_view", path)
}

// then is where the spool stands after a batch.
func then(n int64) Position { return Position{Segment: 1, Offset: n} }

func mustBatch(t testing.TB, w *Warehouse, b Batch) int {
	t.Helper()
	added, err := w.Take(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func wantRows(t testing.TB, w *Warehouse, query string, want ...string) {
	t.Helper()
	got, err := texts(t.Context(), w.db, `SELECT concat_ws(' ', *COLUMNS(*)) FROM (`+query+`)`)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\ngot  %q\nwant %q", query, got, want)
	}
}

// What closed the gap between two visits makes them one, for everything that
// was counted from them.
func TestLateEvent(t *testing.T) {
	w := fresh(t)
	first, last := view(1, 1, 0, "/a"), view(2, 1, 50, "/b")
	if n := mustBatch(t, w, Batch{Events: []Event{first, last, first}, Upto: then(10)}); n != 2 {
		t.Errorf("%d events are new, want 2", n)
	}
	const visits = `SELECT entry_path, exit_path, page_views, engaged FROM sessions ORDER BY started_at`
	const figures = `SELECT visits, visitors, page_views, engaged FROM daily`
	wantRows(t, w, visits, "/a /a 1 false", "/b /b 1 false")
	wantRows(t, w, figures, "2 1 2 0")
	if n := mustBatch(t, w, Batch{Events: []Event{first, view(3, 1, 25, "/c")}, Upto: then(20)}); n != 1 {
		t.Errorf("%d events are new, want 1", n)
	}
	wantRows(t, w, visits, "/a /b 3 true")
	wantRows(t, w, figures, "1 1 3 1")
	wantRows(t, w, `SELECT count(DISTINCT session), count(*) FROM events JOIN sessions USING (session)`, "1 3")
	wantRows(t, w, `SELECT path, page_views FROM daily_pages ORDER BY path`, "/a 1", "/b 1", "/c 1")
}

// A spool that is read again from an earlier place adds nothing.
func TestPosition(t *testing.T) {
	w := fresh(t)
	if p, err := w.Position(t.Context()); err != nil || p != (Position{}) {
		t.Errorf("a new store has taken in up to %v, %v", p, err)
	}
	b := Batch{
		Events:   []Event{view(1, 1, 0, "/a")},
		Consents: []Consent{{Visitor: browser(1), At: noon, Purpose: "analytics", Granted: true}},
		Upto:     Position{2, 10},
	}
	mustBatch(t, w, b)
	for _, upto := range []Position{{}, {1, 99}, {2, 9}, {2, 10}} {
		b.Events[0].ID[15]++ // even what is not known yet
		b.Upto = upto
		if n := mustBatch(t, w, b); n != 0 {
			t.Errorf("a batch up to %v added %d events", upto, n)
		}
	}
	if p, err := w.Position(t.Context()); err != nil || p != (Position{2, 10}) {
		t.Errorf("taken in up to %v, %v", p, err)
	}
	if n := mustBatch(t, w, Batch{Upto: Position{3, 0}}); n != 0 {
		t.Errorf("an empty batch added %d events", n)
	}
	if p, _ := w.Position(t.Context()); p != (Position{3, 0}) {
		t.Errorf("an empty batch left the position at %v", p)
	}
}

// An event from before the consent belongs to nobody, and is counted.
func TestNoVisitor(t *testing.T) {
	w := fresh(t)
	mustBatch(t, w, Batch{Events: []Event{view(1, 0, 0, "/a"), view(2, 0, 1, "/a")}, Upto: then(1)})
	wantRows(t, w, `SELECT visits, visitors, page_views FROM daily`, "0 0 2")
	wantRows(t, w, `SELECT count(*), count(session) FROM events`, "2 0")
	wantRows(t, w, `SELECT count(*) FROM sessions`, "0")
}

// A visit that lasts over midnight is one, of the day on which it began; its
// visitor was there on both.
func TestMidnight(t *testing.T) {
	zone, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Skip("no zones on this machine")
	}
	w, err := Open(t.Context(), Config{Path: t.TempDir() + "/w.duckdb", Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	midnight := 17 * 60 // of Toronto, in minutes from noon UTC
	mustBatch(t, w, Batch{Events: []Event{view(1, 1, midnight-10, "/a"), view(2, 1, midnight+10, "/b"), view(3, 2, midnight+5, "/b")}, Upto: then(1)})
	wantRows(t, w, `SELECT day, visits, visitors, page_views FROM daily ORDER BY day`, "2026-01-01 1 1 1", "2026-01-02 1 2 2")
	wantRows(t, w, `SELECT day, last_day FROM sessions ORDER BY day`, "2026-01-01 2026-01-02", "2026-01-02 2026-01-02")
}

func TestPurchase(t *testing.T) {
	w := fresh(t)
	buy := happening(2, 1, 1, "purchase", "/merci")
	buy.Cents, buy.Currency, buy.Order = 9050, "CAD", "A1"
	buy.Items = []Item{{ID: "x", Name: "Icare", Cents: 4525, Quantity: 2}}
	back := happening(3, 1, 2, "refund", "/merci")
	back.Cents, back.Currency = 4525, "CAD"
	abroad := happening(4, 1, 3, "purchase", "/merci")
	abroad.Cents, abroad.Currency = 1000, "USD"
	mustBatch(t, w, Batch{Events: []Event{buy, back, abroad}, Upto: then(1)})
	wantRows(t, w, `SELECT visits, engaged, purchases, cents FROM daily`, "1 1 2 4525")
	wantRows(t, w, `SELECT channel, visits, purchases, cents FROM daily_channels`, "Direct 1 2 4525")
	wantRows(t, w, `SELECT items ->> '$[0].name', items ->> '$[0].quantity' FROM events WHERE order_code = 'A1'`, "Icare 2")
}

// Of a visit, the first event that came from outside says from where.
func TestOrigin(t *testing.T) {
	w := fresh(t)
	inside := view(1, 1, 0, "/a")
	inside.Internal, inside.Channel = true, ""
	letter := view(2, 1, 5, "/b")
	letter.Channel, letter.Source, letter.Medium, letter.Campaign = "Email", "infolettre", "email", "saison"
	advert := view(3, 1, 10, "/c")
	advert.Channel, advert.Source, advert.Medium, advert.Campaign = "Paid Search", "google", "cpc", "saison"
	mustBatch(t, w, Batch{Events: []Event{advert, inside}, Upto: then(1)})
	wantRows(t, w, `SELECT channel, source, campaign, internal FROM sessions`, "Paid Search google saison false")
	mustBatch(t, w, Batch{Events: []Event{letter}, Upto: then(2)})
	wantRows(t, w, `SELECT channel, source, campaign, internal FROM sessions`, "Email infolettre saison false")
	wantRows(t, w, `SELECT channel, visits FROM daily_channels`, "Email 1")
	wantRows(t, w, `SELECT source, campaign FROM campaigns ORDER BY source`, "google saison", "infolettre saison")
}

// Imports and batches name new people at the same time, and number nobody
// twice.
func TestImportAndLinks(t *testing.T) {
	w := fresh(t)
	in := w.Intake()
	if err := in.Begin(t.Context(), importer.Run{ID: "a", Kind: importer.People, Digest: "a"}); err != nil {
		t.Fatal(err)
	}
	claire := email(t, "claire@example.org")
	if err := in.People(t.Context(), []importer.PersonRow{{Email: claire}}); err != nil {
		t.Fatal(err)
	}
	mustBatch(t, w, Batch{Links: []Link{{Visitor: browser(1), At: noon, Kind: "email", Value: "claire@example.org"}}, Upto: then(1)})
	if err := in.Commit(t.Context(), importer.Report{}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, w, `SELECT person, import FROM people`, "1 tag")
	wantRows(t, w, `SELECT person, kind, value, principal FROM identities`, "1 email claire@example.org true")
}

// Whoever reads meanwhile sees whole batches, in every table.
func TestReadersDuringBatches(t *testing.T) {
	w := fresh(t)
	const batches, size = 25, 40
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				seen, err := texts(t.Context(), w.db, `
					SELECT concat_ws(' ', n, n = (SELECT sum(page_views) FROM daily), n = (SELECT sum(events) FROM sessions), n = (SELECT taken FROM spool))
					FROM (SELECT count(*) AS n FROM events)`)
				if err != nil {
					t.Error(err)
					return
				}
				if n, rest, _ := strings.Cut(seen[0], " "); n != "0" && rest != "true true true" {
					t.Errorf("a reader sees %s", seen[0])
					return
				}
			}
		})
	}
	for i := range batches {
		b := Batch{Upto: then(int64((i + 1) * size))}
		for j := range size {
			b.Events = append(b.Events, view(uint64(i*size+j), byte(1+j%5), i, fmt.Sprint("/", j%3)))
		}
		mustBatch(t, w, b)
	}
	close(done)
	readers.Wait()
	wantRows(t, w, `SELECT visits, visitors, page_views FROM daily`, fmt.Sprint("5 5 ", batches*size))
}

// An event that says nothing new within 7 days of itself is the same one.
func TestLookBack(t *testing.T) {
	w := utc(t)
	first := view(1, 1, 0, "/a")
	mustBatch(t, w, Batch{Events: []Event{first}, Upto: then(1)})
	for i, c := range []struct {
		days int
		want int
	}{{7, 0}, {-7, 0}, {8, 1}, {15, 0}, {-8, 1}} {
		again := first
		again.At = again.At.AddDate(0, 0, c.days)
		// Another event of the batch, far away, does not widen the look.
		if n := mustBatch(t, w, Batch{Events: []Event{again, view(uint64(100+i), 2, 60*dayMinutes, "/b")}, Upto: then(int64(2 + i))}); n != c.want+1 {
			t.Errorf("%d days later: %d events are new, want %d", c.days, n, c.want+1)
		}
	}
}

// A batch that is cancelled leaves nothing, and can be given again.
func TestCancelledBatch(t *testing.T) {
	w := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := killed(1)
	if _, err := w.Take(ctx, b); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled batch: %v", err)
	}
	wantRows(t, w, `SELECT count(*) FROM events`, "0")
	if n := mustBatch(t, w, b); n != killedBatch {
		t.Errorf("%d events are new, want %d", n, killedBatch)
	}
}

// Whatever text there is, it is stored as text.
func TestOddEvent(t *testing.T) {
	w := fresh(t)
	e := happening(1, 1, 0, "custom", "/'; DROP TABLE events; --")
	e.Title, e.Name = "bad\xffutf8", "nul\x00byte"
	e.Properties = map[string]string{"bad\xff": "\"quoted\"", "b": "é"}
	mustBatch(t, w, Batch{Events: []Event{e}, Upto: then(1)})
	wantRows(t, w, `SELECT path, title, name, properties ->> 'b' FROM events`, "/'; DROP TABLE events; -- bad\ufffdutf8 nul\x00byte é")
}
