package warehouse

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// site is what the store makes of events again, the slow and obvious way: each
// visitor's events in order, cut where 30 minutes pass.
type site struct{ kept []Event }

// take adds an event unless one of its identifier is within 7 days.
func (s *site) take(e Event) bool {
	for _, k := range s.kept {
		if k.ID == e.ID && k.At.Sub(e.At).Abs() <= 7*24*time.Hour {
			return false
		}
	}
	s.kept = append(s.kept, e)
	return true
}

func (s *site) visits() (visits [][]Event) {
	events := slices.DeleteFunc(slices.Clone(s.kept), func(e Event) bool { return e.Visitor == VisitorID{} })
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(slices.Compare(a.Visitor[:], b.Visitor[:]), a.At.Compare(b.At))
	})
	for i, e := range events {
		if i == 0 || e.Visitor != events[i-1].Visitor || e.At.Sub(events[i-1].At) > 30*time.Minute {
			visits = append(visits, nil)
		}
		visits[len(visits)-1] = append(visits[len(visits)-1], e)
	}
	return visits
}

// tally is what is counted of a visit, and added up for a day or a channel.
type tally struct{ visits, pages, engaged, ms, purchases, cents int64 }

func (f *tally) add(g tally) {
	f.visits += g.visits
	f.pages += g.pages
	f.engaged += g.engaged
	f.ms += g.ms
	f.purchases += g.purchases
	f.cents += g.cents
}

func count(visit []Event) (f tally) {
	f.visits = 1
	for _, e := range visit {
		f.ms += e.Engaged.Milliseconds()
		switch {
		case e.Kind == "page_view":
			f.pages++
		case e.Kind == "purchase":
			f.purchases++
			f.cents += e.Cents
		case e.Kind == "refund":
			f.cents -= e.Cents
		}
	}
	if f.ms >= 10_000 || f.pages > 1 || f.purchases > 0 {
		f.engaged = 1
	}
	return f
}

// ends are the first and the last page of a visit: of several at one instant
// the first, and the last, in the alphabet.
func ends(visit []Event) (entry, exit string) {
	pages := slices.DeleteFunc(slices.Clone(visit), func(e Event) bool { return e.Kind != "page_view" })
	if len(pages) == 0 {
		return "", ""
	}
	slices.SortFunc(pages, func(a, b Event) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Path, b.Path)) })
	return pages[0].Path, pages[len(pages)-1].Path
}

// origin is the event that says where a visit came from.
func origin(visit []Event) Event {
	rank := map[bool]int{true: 1}
	return slices.MinFunc(visit, func(a, b Event) int {
		return cmp.Or(rank[a.Internal]-rank[b.Internal], a.At.Compare(b.At), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Source, b.Source))
	})
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// sessions, daily, channels and pages write the tables as TestTakeAgainstModel
// reads them.
func (s *site) sessions() (rows []string) {
	for _, v := range s.visits() {
		first, last, o, f := v[0], v[len(v)-1], origin(v), count(v)
		entry, exit := ends(v)
		rows = append(rows, fmt.Sprintf("%x|%d|%d|%s|%s|%s|%s|%s|%s|%t|%d|%d|%d|%t|%d|%d", first.Visitor[0], first.At.Unix(), last.At.Unix(),
			date(first.At), date(last.At), entry, exit, o.Channel, o.Source, o.Internal, len(v), f.pages, f.ms, f.engaged == 1, f.purchases, f.cents))
	}
	slices.Sort(rows)
	return rows
}

func (s *site) daily() (rows []string) {
	days, present, pages := map[string]tally{}, map[string]map[VisitorID]bool{}, map[string]int64{}
	for _, e := range s.kept {
		day := date(e.At)
		if present[day] == nil {
			present[day] = map[VisitorID]bool{}
		}
		if e.Visitor != (VisitorID{}) {
			present[day][e.Visitor] = true
		}
		if e.Kind == "page_view" {
			pages[day]++
		}
	}
	for _, v := range s.visits() {
		f := days[date(v[0].At)]
		f.add(count(v))
		days[date(v[0].At)] = f
	}
	for day, visitors := range present {
		f := days[day]
		rows = append(rows, fmt.Sprintf("%s|%d|%d|%d|%d|%d|%d|%d", day, f.visits, len(visitors), pages[day], f.engaged, f.ms, f.purchases, f.cents))
	}
	slices.Sort(rows)
	return rows
}

func (s *site) channels() (rows []string) {
	type key struct{ day, channel string }
	sums, visitors := map[key]tally{}, map[key]map[VisitorID]bool{}
	for _, v := range s.visits() {
		k := key{date(v[0].At), origin(v).Channel}
		f := sums[k]
		f.add(count(v))
		sums[k] = f
		if visitors[k] == nil {
			visitors[k] = map[VisitorID]bool{}
		}
		visitors[k][v[0].Visitor] = true
	}
	for k, f := range sums {
		rows = append(rows, fmt.Sprintf("%s|%s|%d|%d|%d|%d|%d|%d", k.day, k.channel, f.visits, len(visitors[k]), f.pages, f.engaged, f.purchases, f.cents))
	}
	slices.Sort(rows)
	return rows
}

func (s *site) pages() (rows []string) {
	sums := map[string]int{}
	for _, e := range s.kept {
		if e.Kind == "page_view" {
			sums[fmt.Sprintf("%s|%s|%s", date(e.At), e.Path, e.Title)]++
		}
	}
	for page, n := range sums {
		rows = append(rows, fmt.Sprintf("%s|%d", page, n))
	}
	slices.Sort(rows)
	return rows
}

// drawEvent draws from few visitors and near instants, about some midnights,
// so that gaps open, close and touch the limit.
func drawEvent(t *rapid.T) Event {
	// Small numbers are drawn often: these are spread over three hours.
	slot := rapid.Uint64().Draw(t, "slot") * 0x9E3779B97F4A7C15 >> 58 % 37
	minutes := rapid.IntRange(0, 1).Draw(t, "day")*24*60 + 5*int(126+slot)
	e := happening(rapid.Uint64Range(1, 1<<40).Draw(t, "id"), byte(rapid.IntRange(0, 2).Draw(t, "visitor")), minutes,
		rapid.SampledFrom([]string{"page_view", "page_view", "page_view", "engagement", "purchase", "refund"}).Draw(t, "kind"),
		rapid.SampledFrom([]string{"/", "/a", "/b"}).Draw(t, "path"))
	e.Channel = rapid.SampledFrom([]string{"Direct", "Email", "Organic Search"}).Draw(t, "channel")
	e.Source = rapid.SampledFrom([]string{"", "x"}).Draw(t, "source")
	e.Internal = rapid.Bool().Draw(t, "internal")
	e.Engaged = time.Duration(rapid.IntRange(0, 6000).Draw(t, "engaged")) * time.Millisecond
	if e.Kind != "page_view" {
		e.Cents = rapid.Int64Range(0, 5).Draw(t, "cents")
	}
	return e
}

// drawStream draws events in the order in which they come, which is not that
// of time, and sends some again, perhaps with a clock that has moved.
func drawStream(t *rapid.T) []Event {
	stream := rapid.SliceOfN(rapid.Custom(drawEvent), 1, 40).Draw(t, "events")
	for range rapid.IntRange(0, 10).Draw(t, "repeats") {
		again := stream[rapid.IntRange(0, len(stream)-1).Draw(t, "repeated")]
		again.At = again.At.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, -48 * time.Hour}).Draw(t, "moved"))
		stream = slices.Insert(stream, rapid.IntRange(0, len(stream)).Draw(t, "place"), again)
	}
	return stream
}

// TestTakeAgainstModel compares the store, to which a stream came in pieces,
// with plain loops over the whole of it.
func TestTakeAgainstModel(t *testing.T) {
	w, err := Open(t.Context(), Config{Path: t.TempDir() + "/w.duckdb", Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	position := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		empty(t, w, "events", "sessions", "daily", "daily_channels", "daily_pages")
		s := site{}
		for rest := drawStream(rt); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			want := 0
			for _, e := range rest[:n] {
				if s.take(e) {
					want++
				}
			}
			position++
			if got := mustBatch(t, w, Batch{Events: rest[:n], Upto: then(position)}); got != want {
				rt.Fatalf("%d events are new, want %d", got, want)
			}
			rest = rest[n:]
		}
		for table, c := range map[string]struct {
			query string
			want  []string
		}{
			"sessions": {`SELECT concat_ws('|', ltrim(left(visitor::VARCHAR, 2), '0'), epoch(started_at)::BIGINT, epoch(ended_at)::BIGINT, day, last_day, entry_path, exit_path,
				channel, source, internal, events, page_views, engaged_ms, engaged, purchases, cents) FROM sessions`, s.sessions()},
			"daily":          {`SELECT concat_ws('|', day, visits, visitors, page_views, engaged, engaged_ms, purchases, cents) FROM daily`, s.daily()},
			"daily_channels": {`SELECT concat_ws('|', day, channel, visits, visitors, page_views, engaged, purchases, cents) FROM daily_channels`, s.channels()},
			"daily_pages":    {`SELECT concat_ws('|', day, path, title, page_views) FROM daily_pages`, s.pages()},
		} {
			got, err := texts(t.Context(), w.db, c.query)
			slices.Sort(got)
			if err != nil || !slices.Equal(got, c.want) {
				rt.Fatalf("%s: %v\ngot  %q\nwant %q", table, err, got, c.want)
			}
		}
		wantRows(t, w, `SELECT count(*) FROM events e LEFT JOIN sessions s USING (session)
			WHERE e.session IS NOT NULL AND (s.session IS NULL OR e.happened_at NOT BETWEEN s.started_at AND s.ended_at)`, "0")
		wantRows(t, w, `SELECT count(*), count(session) FROM events`, fmt.Sprint(len(s.kept), " ", withVisitor(s.kept)))
	})
}

func withVisitor(events []Event) (n int) {
	for _, e := range events {
		if e.Visitor != (VisitorID{}) {
			n++
		}
	}
	return n
}

func empty(t testing.TB, w *Warehouse, tables ...string) {
	t.Helper()
	for _, table := range tables {
		if _, err := w.db.Exec(`DELETE FROM ` + table); err != nil {
			t.Fatal(err)
		}
	}
}
