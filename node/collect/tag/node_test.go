package tag_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"coulisse/node/collect"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// rows is a member's warehouse, and what was put into it.
type rows struct {
	*warehouse.Warehouse
	mu     sync.Mutex
	taken  warehouse.Batch
	change chan struct{} // closed and replaced at each batch
}

func (r *rows) Take(ctx context.Context, b warehouse.Batch) (int, error) {
	added, err := r.Warehouse.Take(ctx, b)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.taken.Events = append(r.taken.Events, b.Events...)
		r.taken.Consents = append(r.taken.Consents, b.Consents...)
		r.taken.Links = append(r.taken.Links, b.Links...)
	}
	close(r.change)
	r.change = make(chan struct{})
	return added, err
}

// kept says what there is, in the order in which it happened.
func (r *rows) kept() (said []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := slices.Clone(r.taken.Events)
	slices.SortStableFunc(events, func(a, b warehouse.Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		if e.Kind != "engagement" {
			said = append(said, fmt.Sprint(e.Kind, " ", e.Path, " ", e.Order, e.Cents))
		}
	}
	return said
}

func newRows(t *testing.T) *rows {
	t.Helper()
	w, err := warehouse.Open(t.Context(), warehouse.Config{Path: filepath.Join(t.TempDir(), "warehouse.duckdb"), MemoryMB: 256, Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &rows{Warehouse: w, change: make(chan struct{})}
}

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Take(_ context.Context, b warehouse.Batch) (int, error) { return len(b.Events), nil }

func (nowhere) Position(context.Context) (warehouse.Position, error) {
	return warehouse.Position{}, nil
}

// collecting starts the node's intake and gives its address.
func collecting(t *testing.T, w collect.Warehouse) string {
	t.Helper()
	settings, err := collect.ParseSettings([]byte("sites: [127.0.0.1]\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := collect.New(t.Context(), collect.Config{Settings: settings, Dir: t.TempDir(), Warehouse: w, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the intake ended: %v", err)
		}
	})
	return fmt.Sprintf("http://localhost:%d", listener.Addr().(*net.TCPAddr).Port)
}

func (r *rows) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		change := r.change
		r.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-change:
		case <-late:
			t.Fatalf("waited 20 s for %s; there is %q", what, r.kept())
		}
	}
}

// answers are the latest of each purpose.
func (r *rows) answers() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	latest := map[string]bool{}
	for _, c := range r.taken.Consents {
		latest[c.Purpose] = c.Granted
	}
	return latest
}

// Guards the way from a browser to the warehouse, through the node's own intake: a
// visitor agrees, buys and withdraws, and another refuses.
func TestIntoTheWarehouse(t *testing.T) {
	r := newRows(t)
	s := newSite(t, collecting(t, r), byHost, pasted)

	refuses := newTab(t, nil)
	refuses.open(s.URL + "/refus")
	refuses.ready()
	refuses.click("refuse")
	refuses.click("buy")

	b := newTab(t, nil)
	b.open(s.URL + "/?utm_source=infolettre&utm_medium=email&courriel=a@example.com")
	b.ready()
	b.click("accept")
	b.run(`coulisse("consent", {pooling: true, proof: "bandeau"}); coulisse("identify", {email: "Ana@Example.com"})`)
	b.click("buy")
	want := []string{"page_view / 0", "consent / 0", "consent / 0", "identify / 0", "purchase / T-10018450"}
	r.until(t, fmt.Sprint(want), func() bool { return slices.Equal(r.kept(), want) })
	if got := r.answers(); !maps.Equal(got, map[string]bool{"analytics": true, "advertising": true, "personalisation": true, "pooling": true}) {
		t.Errorf("answers: %v", got)
	}
	refuses.open(s.URL + "/vide")
	b.click("refuse")
	r.until(t, "the withdrawal", func() bool {
		return maps.Equal(r.answers(), map[string]bool{"analytics": false, "advertising": false, "personalisation": false, "pooling": false})
	})
	if kept := r.kept(); !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}

	r.mu.Lock()
	taken := r.taken
	r.mu.Unlock()
	if e := taken.Events[0]; e.Source != "infolettre" || e.Medium != "email" || e.Channel != "Email" || e.Title != "Page /" || e.Visitor == (warehouse.VisitorID{}) {
		t.Errorf("page view: %+v", e)
	}
	if len(taken.Links) != 1 || taken.Links[0].Kind != "email" || taken.Links[0].Value != "ana@example.com" {
		t.Errorf("%d links", len(taken.Links))
	}
	today := protocol.Date(time.Now().UTC().Format(time.DateOnly))
	days, err := r.Daily(t.Context(), warehouse.Days{From: today, Until: today})
	if err != nil || len(days) != 1 || days[0].Visitors != 1 || days[0].Visits != 1 || days[0].PageViews != 1 || days[0].Purchases != 1 || days[0].Cents != 8450 {
		t.Errorf("the day's figures: %+v, %v", days, err)
	}
}
