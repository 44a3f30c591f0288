package warehouse

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// utc opens a store whose days are those of UTC.
func utc(t testing.TB) *Warehouse {
	t.Helper()
	w, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "w.duckdb"), Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

const dayMinutes = 24 * 60

func TestDashboard(t *testing.T) {
	w := utc(t)
	letter := view(5, 2, 2*dayMinutes, "/b")
	letter.Channel = "Email"
	long := happening(6, 2, 2*dayMinutes+1, "engagement", "/b")
	long.Engaged = 12 * time.Second
	mustBatch(t, w, Batch{Events: []Event{view(1, 1, 0, "/a"), view(2, 1, 1, "/b"), view(3, 2, 5, "/b"), view(4, 0, 6, "/b"), letter, long}, Upto: then(1)})
	three := Days{"2026-01-01", "2026-01-03"}

	days, err := w.Daily(t.Context(), three)
	if want := []DayFigures{
		{"2026-01-01", 2, Figures{Visits: 2, PageViews: 4, Engaged: 1}}, {Day: "2026-01-02"},
		{"2026-01-03", 1, Figures{Visits: 1, PageViews: 1, Engaged: 1}},
	}; err != nil || !slices.Equal(days, want) {
		t.Errorf("days %+v, %v", days, err)
	}
	channels, err := w.Channels(t.Context(), three)
	if want := []ChannelFigures{{"Direct", Figures{Visits: 2, PageViews: 3, Engaged: 1}}, {"Email", Figures{Visits: 1, PageViews: 1, Engaged: 1}}}; err != nil || !slices.Equal(channels, want) {
		t.Errorf("channels %+v, %v", channels, err)
	}
	pages, err := w.TopPages(t.Context(), three, 1)
	if want := []PageFigures{{"example.org", "/b", "Page /b", 4}}; err != nil || !slices.Equal(pages, want) {
		t.Errorf("pages %+v, %v", pages, err)
	}
	visits, err := w.Visits(t.Context(), three)
	if want := (VisitFigures{Visitors: 2, Engagement: 4 * time.Second, Figures: Figures{Visits: 3, PageViews: 4, Engaged: 2}}); err != nil || visits != want {
		t.Errorf("visits %+v, %v", visits, err)
	}
	if none, err := w.Visits(t.Context(), Days{"2020-01-01", "2020-01-01"}); err != nil || none != (VisitFigures{}) {
		t.Errorf("before the first visit there were %+v, %v", none, err)
	}
}

func TestDays(t *testing.T) {
	w := utc(t)
	for _, d := range []Days{{}, {"2026-01-01", ""}, {"2026-01-02", "2026-01-01"}, {"2026-01-01", "2036-12-31"}, {"2026-1-1", "2026-01-01"}, {"0001-01-01", "9999-12-31"}} {
		_, err := w.Daily(t.Context(), d)
		_, err2 := w.TopPages(t.Context(), d, 10)
		if !errors.Is(err, errDays) || !errors.Is(err2, errDays) {
			t.Errorf("%v: %v, %v", d, err, err2)
		}
	}
	if pages, err := w.TopPages(t.Context(), Days{"2026-01-01", "2026-01-01"}, -5); err != nil || len(pages) != 0 {
		t.Errorf("%v, %v", pages, err)
	}
}

// What is old goes; what names nobody, and what is in use, stays.
func TestExpire(t *testing.T) {
	w := utc(t)
	old, recent := view(1, 1, 0, "/a"), view(2, 2, 40*dayMinutes, "/b")
	old.Campaign = "vieille"
	mustBatch(t, w, Batch{
		Events:   []Event{old, recent},
		Consents: []Consent{said(1, 0, "analytics", true)}, Links: []Link{declares(1, 1, "claire@example.org")},
		Upto: then(1),
	})
	const left = `SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM sessions), (SELECT count(*) FROM daily), (SELECT count(*) FROM daily_channels),
		(SELECT count(*) FROM daily_pages), (SELECT count(*) FROM campaigns), (SELECT count(*) FROM visitor_consents), (SELECT count(*) FROM visitors)`
	now := noon.AddDate(0, 2, 0)
	if gone, err := w.Expire(t.Context(), 0, now); err != nil || gone.Events != 0 {
		t.Errorf("%+v, %v", gone, err)
	}
	wantRows(t, w, left, "2 2 2 2 2 1 1 1")
	if gone, err := w.Expire(t.Context(), 1, now); err != nil || gone.Events != 1 || gone.Visits != 1 {
		t.Errorf("%+v, %v", gone, err)
	}
	wantRows(t, w, left, "1 1 2 2 1 0 1 1")
	if _, err := w.Expire(t.Context(), 1, noon.AddDate(0, visitorMonths, 1)); err != nil {
		t.Error(err)
	}
	wantRows(t, w, left, "0 0 2 2 0 0 0 0")
	wantRows(t, w, `SELECT count(*) FROM people`, "1")
	if _, err := w.Expire(t.Context(), -1, now); err == nil {
		t.Error("a retention of less than a month was accepted")
	}
}

// Where much of the file is free, it is given back.
func TestExpireGivesSpaceBack(t *testing.T) {
	w := utc(t)
	for d := range 8 {
		if _, err := buildDay(t.Context(), w, d, 4000); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.free(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := sizes(w.path(t))
	gone, err := w.Expire(t.Context(), 1, siteFirst.AddDate(0, 1, 6))
	if err != nil || !gone.Rewritten || gone.Events < 100_000 {
		t.Fatalf("%+v, %v", gone, err)
	}
	if after := sizes(w.path(t)); after > before/2 {
		t.Errorf("of %d bytes %d are left", before, after)
	}
	wantRows(t, w, `SELECT count(DISTINCT day) FROM events`, "2")
	mustBatch(t, w, Batch{Events: []Event{view(1, 1, 0, "/a")}, Upto: Position{2, 0}})
}

// Killing the process at any point leaves whole batches, and the position that
// goes with them.
func TestKilledTake(t *testing.T) {
	for _, grown := range []int64{0, 1, 100_000, 400_000, 2_000_000} {
		t.Run(fmt.Sprint(grown), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "warehouse.duckdb")
			w, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			w.Close()
			killAt(t, path, "taking", grown)
			w = open(t, path)
			p, err := w.Position(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := fmt.Sprint(p.Offset * killedBatch)
			wantRows(t, w, `SELECT count(*), count(DISTINCT event), count(session) FROM events`, n+" "+n+" "+n)
			wantRows(t, w, `SELECT (SELECT coalesce(sum(events), 0) FROM sessions), (SELECT coalesce(sum(page_views), 0) FROM daily), (SELECT coalesce(sum(page_views), 0) FROM daily_pages)`, n+" "+n+" "+n)
			mustBatch(t, w, killed(p.Offset+1))
			mustBatch(t, w, killed(p.Offset+1))
			wantRows(t, w, `SELECT count(*) FROM events`, fmt.Sprint((p.Offset+1)*killedBatch))
		})
	}
}

const killedBatch = 500

// killed is the nth batch of the process that is killed.
func killed(n int64) (b Batch) {
	for i := range int64(killedBatch) {
		id := n*killedBatch + i
		b.Events = append(b.Events, view(uint64(id), byte(1+id%50), int(n)*7, fmt.Sprint("/", id%10)))
	}
	b.Upto = then(n)
	return b
}
