package warehouse

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"coulisse/protocol"
)

// TestSiteSize builds a site's two years and asks for its figures, of the store
// and of the same tables as Parquet files through the engine alone, each in a
// process of its own:
//
//	SITE_EVENTS=100000000 go test -count=1 -timeout=0 -v -run='^TestSiteSize$' ./node/warehouse
//
// SITE_MEMORY is the engine's limit in MB. SITE_DIR is where the files stay, at
// 100 bytes an event, to be asked again by another run; without it they go.
func TestSiteSize(t *testing.T) {
	if _, err := strconv.Atoi(os.Getenv("SITE_EVENTS")); err != nil {
		t.Skip("SITE_EVENTS says how many events; it is not set")
	}
	dir := os.Getenv("SITE_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	store := filepath.Join(dir, "warehouse.duckdb")
	if _, err := os.Stat(store); errors.Is(err, fs.ErrNotExist) {
		built := runSite(t, "site build", store)
		t.Logf("built in %s, %s CPU, peak %d MiB", built.Took.Round(time.Second), built.CPU.Round(time.Second), built.Peak>>20)
		for _, c := range built.Answers {
			t.Logf("  %-30s %s", c.Name, c.Text)
		}
	}
	ours, parquet := runSite(t, "site store", store), runSite(t, "site parquet", store)
	t.Logf("%-46s %10s %10s %12s %12s", "", "store", "first time", "parquet", "first time")
	for i, a := range ours.Answers {
		b := parquet.Answers[i]
		t.Logf("%-46s %10s %10s %12s %12s", a.Name, a.Least, a.First, b.Least, b.First)
		if a.Text != b.Text {
			t.Errorf("%s: the store answers %s, the files %s", a.Name, a.Text, b.Text)
		}
		if a.Goal && (a.Least > 2*time.Second || a.Least > max(b.Least*13/10, 10*time.Millisecond)) {
			t.Errorf("%s takes %s, of the files %s", a.Name, a.Least, b.Least)
		}
	}
	t.Logf("peak of the process: %d MiB, of that which reads Parquet %d MiB", ours.Peak>>20, parquet.Peak>>20)
	for _, a := range runSite(t, "site take", store).Answers {
		t.Logf("%-46s %10s %10s", a.Name, a.Least, a.First)
	}
	if ours.Peak > 4<<30 {
		t.Error("the process took more than 4 GiB")
	}
}

// siteReport is what a process says of its part.
type siteReport struct {
	Took, CPU time.Duration
	Peak      int64 // bytes resident at most
	Answers   []siteAnswer
}

type siteAnswer struct {
	Name         string
	First, Least time.Duration
	Text         string // the answer, shortened
	Goal         bool   // a dashboard's
}

func runSite(t *testing.T, role, store string) (r siteReport) {
	t.Helper()
	out, err := command(role, store).Output()
	if err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%s: %v: %s", role, err, out)
	}
	return r
}

// siteChild is one of the processes.
func siteChild(ctx context.Context, role, store string) {
	start, r := time.Now(), siteReport{}
	var err error
	switch role {
	case "site build":
		r.Answers, err = buildSite(ctx, store)
	case "site store":
		r.Answers, err = askStore(ctx, store)
	case "site parquet":
		r.Answers, err = askParquet(ctx, store)
	case "site take":
		r.Answers, err = takeMore(ctx, store)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.Took = time.Since(start)
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err == nil {
		r.CPU, r.Peak = time.Duration(used.Utime.Nano()+used.Stime.Nano()), used.Maxrss<<10
	}
	json.NewEncoder(os.Stdout).Encode(r)
}

func siteConfig(store string) Config {
	memory, err := strconv.Atoi(os.Getenv("SITE_MEMORY"))
	if err != nil {
		memory = 1024
	}
	return Config{Path: store, MemoryMB: memory, Zone: time.UTC}
}

const siteDays = 730

var siteFirst = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// siteDay draws a day of a site into arriving: visits of one to nine events,
// two in five of a visitor who was there before, pages and channels as unequal
// as they are. $1 is the day, $2 how many visits it has.
const siteDay = `
INSERT INTO arriving BY NAME
WITH visits AS (
    SELECT k, hash($1::INTEGER, k) AS h, hash($1::INTEGER, k, 'who') AS who FROM range($2::INTEGER) t(k)
), steps AS (
    SELECT *, unnest(range(1 + (h % 9)::INTEGER)) AS j FROM visits
), drawn AS (
    SELECT *, floor(pow(5000, (hash(h, j) % 1000000) / 1000000))::INTEGER AS page, j % 2 = 0 AS seen,
           DATE '2024-01-01' + $1::INTEGER AS day, (h >> 8) % 10000 AS came FROM steps
)
SELECT (row_number() OVER ())::INTEGER AS nth, md5(concat_ws('-', $1::INTEGER, k, j))::UUID AS event,
       md5(CASE WHEN who % 5 < 2 THEN concat('r', (who >> 8) % (30 * $2::INTEGER)) ELSE concat($1::INTEGER, '-', k) END)::UUID AS visitor,
       day + to_milliseconds(((h >> 16) % 82800000 + j * 35417)::BIGINT) AS happened_at, day,
       CASE WHEN seen THEN 'page_view' WHEN j = 7 AND came < 900 THEN 'purchase' ELSE 'engagement' END AS kind,
       '' AS name, 'www.theatre.example' AS host, '/spectacles/' || page AS path, 'Spectacle numéro ' || page || ' — Théâtre du Fleuve' AS title,
       CASE WHEN j = 0 AND came >= 4000 THEN 'www.google.com' ELSE '' END AS referrer_host, '' AS referrer_path,
       CASE WHEN came < 1500 THEN 'infolettre' ELSE '' END AS source, CASE WHEN came < 1500 THEN 'email' ELSE '' END AS medium,
       CASE WHEN came < 1500 THEN 'semaine-' || ($1::INTEGER // 7) ELSE '' END AS campaign, '' AS term, '' AS content, '' AS click,
       CASE WHEN came < 1500 THEN 'Email' WHEN came < 4000 THEN 'Direct' WHEN came < 8000 THEN 'Organic Search' WHEN came < 9000 THEN 'Organic Social'
            WHEN came < 9700 THEN 'Referral' ELSE 'Paid Search' END AS channel,
       j > 0 AS internal, CASE WHEN who % 3 = 0 THEN 'en-CA' ELSE 'fr-CA' END AS language,
       CASE WHEN who % 2 = 0 THEN 'mobile' ELSE 'desktop' END AS device,
       ['Chrome', 'Safari', 'Firefox', 'Edge'][1 + (who % 4)::INTEGER] AS browser, ['Windows', 'iOS', 'Android', 'macOS'][1 + (who % 4)::INTEGER] AS system,
       concat('24.', who % 200, '.', (who >> 10) % 256, '.0/24') AS network, '' AS target, 0 AS scroll,
       CASE WHEN seen THEN 0 ELSE (hash(h, j, 'ms') % 40000)::INTEGER END AS engaged_ms,
       CASE WHEN kind = 'purchase' THEN concat('C', h) ELSE '' END AS order_code, CASE WHEN kind = 'purchase' THEN 9050 ELSE 0 END AS cents,
       CASE WHEN kind = 'purchase' THEN 'CAD' ELSE '' END AS currency, '' AS items, '' AS properties
FROM drawn`

// buildSite has the statements of Take store a day after another.
func buildSite(ctx context.Context, store string) (answers []siteAnswer, err error) {
	events, err := strconv.Atoi(os.Getenv("SITE_EVENTS"))
	if err != nil {
		return nil, err
	}
	w, err := Open(ctx, siteConfig(store))
	if err != nil {
		return nil, err
	}
	total := 0
	for d := range siteDays {
		added, err := buildDay(ctx, w, d, events/siteDays/5)
		if err != nil {
			return nil, err
		}
		total += added
	}
	for _, c := range [][2]string{
		{"events, visits and visitors", `SELECT concat_ws(' ', (SELECT count(*) FROM events), (SELECT count(*) FROM sessions), (SELECT count(DISTINCT visitor) FROM sessions))`},
		{"days, of channels, of pages", `SELECT concat_ws(' ', (SELECT count(*) FROM daily), (SELECT count(*) FROM daily_channels), (SELECT count(*) FROM daily_pages))`},
	} {
		found, err := texts(ctx, w.db, c[1])
		if err != nil {
			return nil, err
		}
		answers = append(answers, siteAnswer{Name: c[0], Text: found[0]})
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return exportSite(ctx, store, total, answers)
}

func buildDay(ctx context.Context, w *Warehouse, d, visits int) (added int, err error) {
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer discard(conn)
	if _, err := conn.ExecContext(ctx, arrivingSQL); err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, siteDay, d, visits); err != nil {
		return 0, err
	}
	return takeIn(ctx, conn, true, false, Position{Segment: 1, Offset: int64(d)})
}

var siteTables = []string{"events", "sessions", "daily", "daily_channels", "daily_pages"}

// exportSite writes the tables as Parquet files beside the store.
func exportSite(ctx context.Context, store string, events int, answers []siteAnswer) ([]siteAnswer, error) {
	db, err := engine(store+"?access_mode=READ_ONLY", store)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	size := func(name, path string) error {
		info, err := os.Stat(path)
		if err == nil {
			answers = append(answers, siteAnswer{Name: name, Text: fmt.Sprintf("%d MiB, %.1f bytes an event", info.Size()>>20, float64(info.Size())/float64(events))})
		}
		return err
	}
	if err := size("the store's file", store); err != nil {
		return nil, err
	}
	for _, table := range siteTables {
		if _, err := db.ExecContext(ctx, `COPY `+table+` TO '`+store+`.`+table+`.parquet'`); err != nil {
			return nil, err
		}
		if err := size(table+" as Parquet", store+"."+table+".parquet"); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// engine opens the engine by itself, with the store's limits.
func engine(dsn, store string) (*sql.DB, error) {
	connector, err := duckdb.NewConnector(dsn, nil)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	cfg := siteConfig(store)
	_, err = db.Exec(fmt.Sprintf(`SET memory_limit = '%s'; SET threads = %d; SET preserve_insertion_order = false; SET temp_directory = '%s.spill'`, cfg.memory(), cfg.threads(), store))
	return db, err
}

func askStore(ctx context.Context, store string) ([]siteAnswer, error) {
	w, err := Open(ctx, siteConfig(store))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return ask(ctx, w)
}

func askParquet(ctx context.Context, store string) ([]siteAnswer, error) {
	db, err := engine("", store)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, table := range siteTables {
		if _, err := db.ExecContext(ctx, `CREATE VIEW `+table+` AS FROM '`+store+`.`+table+`.parquet'`); err != nil {
			return nil, err
		}
	}
	return ask(ctx, &Warehouse{db: db})
}

// ask asks what a dashboard asks, of a month and of all, and then the same of
// the rows, as somebody would without the days' figures.
func ask(ctx context.Context, w *Warehouse) (answers []siteAnswer, err error) {
	on := func(day int) protocol.Date { return protocol.Date(siteFirst.AddDate(0, 0, day).Format(time.DateOnly)) }
	month, all := Days{on(siteDays - 40), on(siteDays - 11)}, Days{on(0), on(siteDays - 1)}
	try := func(name string, goal bool, f func() (any, error)) {
		if err != nil {
			return
		}
		a := siteAnswer{Name: name, Goal: goal, Least: time.Hour}
		for i := range 4 {
			start := time.Now()
			var found any
			if found, err = f(); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				return
			}
			took := time.Since(start).Round(100 * time.Microsecond)
			if i == 0 {
				a.First = took
			}
			a.Least = min(a.Least, took)
			words, _ := json.Marshal(found)
			a.Text = string(words)
		}
		answers = append(answers, a)
	}
	for _, name := range []string{"a month", "two years"} {
		d := map[string]Days{"a month": month, "two years": all}[name]
		try("daily visits and visitors, "+name, true, func() (any, error) { return w.Daily(ctx, d) })
		try("top pages, "+name, true, func() (any, error) { return w.TopPages(ctx, d, 100) })
		try("channels, "+name, true, func() (any, error) { return w.Channels(ctx, d) })
		try("visits, "+name, true, func() (any, error) { return w.Visits(ctx, d) })
		between := fmt.Sprintf(`day BETWEEN DATE '%s' AND DATE '%s'`, d.From, d.Until)
		for _, c := range [][2]string{
			{"days", `SELECT concat_ws(' ', day, count(*), count(DISTINCT visitor)) FROM sessions WHERE ` + between + ` GROUP BY day ORDER BY day`},
			{"pages", `SELECT path || ' ' || count(*) FROM events WHERE kind = 'page_view' AND ` + between + ` GROUP BY path ORDER BY count(*) DESC, path LIMIT 100`},
		} {
			try(c[0]+" from the rows, "+name, false, func() (any, error) { return texts(ctx, w.db, c[1]) })
		}
	}
	return answers, err
}

// takeMore takes batches in on top of all that, of the day after the last.
func takeMore(ctx context.Context, store string) (answers []siteAnswer, err error) {
	w, err := Open(ctx, siteConfig(store))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p, err := w.Position(ctx)
	if err != nil {
		return nil, err
	}
	for _, size := range []uint64{100, 1000, 10_000} {
		a := siteAnswer{Name: fmt.Sprintf("taking in %d more events", size), Least: time.Hour}
		for i := range 6 {
			b := Batch{}
			for range size {
				p.Offset++
				e := happening(uint64(p.Offset), 0, 0, "page_view", fmt.Sprint("/spectacles/", p.Offset%1000))
				binary.BigEndian.PutUint64(e.Visitor[:], 1+uint64(p.Offset)%(size/3))
				e.At = siteFirst.AddDate(0, 0, siteDays).Add(time.Duration(p.Offset) * 100 * time.Millisecond)
				b.Events = append(b.Events, e)
			}
			b.Upto = p
			start := time.Now()
			if _, err := w.Take(ctx, b); err != nil {
				return nil, err
			}
			took := time.Since(start).Round(time.Millisecond)
			if i == 0 {
				a.First = took
			}
			a.Least = min(a.Least, took)
		}
		answers = append(answers, a)
	}
	return answers, nil
}
