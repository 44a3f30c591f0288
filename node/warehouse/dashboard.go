package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"coulisse/protocol"
)

// Bounds of what the site's figures are asked for.
const (
	MaxDays  = 3700 // ten years
	MaxPages = 1000
)

// errDays: a range of days is From and Until, in order, at most [MaxDays] long.
var errDays = errors.New("say two days, the earlier first, at most ten years apart")

// Days is a range of days of the member's zone, both ends included.
type Days struct {
	From  protocol.Date `json:"from"`
	Until protocol.Date `json:"until"`
}

func (d Days) check() error {
	from, err := time.Parse(time.DateOnly, string(d.From))
	if err != nil {
		return errDays
	}
	until, err := time.Parse(time.DateOnly, string(d.Until))
	if err != nil || until.Before(from) || until.Sub(from) >= MaxDays*24*time.Hour {
		return errDays
	}
	return nil
}

// Figures are counts of a site. Visits that were not engaged bounced; see
// schema_events.sql for what each is.
type Figures struct {
	Visits    int64 `json:"visits"`
	PageViews int64 `json:"page_views"`
	Engaged   int64 `json:"engaged"`
	Purchases int64 `json:"purchases"`
	Cents     int64 `json:"cents"`
}

// DayFigures are those of one day. Visitors are counted exactly, which does not
// add up over days.
type DayFigures struct {
	Day      protocol.Date `json:"day"`
	Visitors int64         `json:"visitors"`
	Figures
}

// Daily lists every day of the range.
func (w *Warehouse) Daily(ctx context.Context, d Days) ([]DayFigures, error) {
	return figures(ctx, w, d, `
		SELECT strftime(g.day, '%Y-%m-%d'), coalesce(visitors, 0), coalesce(visits, 0), coalesce(page_views, 0),
		       coalesce(engaged, 0), coalesce(purchases, 0), coalesce(cents, 0)
		FROM (SELECT unnest(generate_series(?::TIMESTAMP, ?::TIMESTAMP, INTERVAL 1 DAY))::DATE AS day) g LEFT JOIN daily d ON d.day = g.day
		ORDER BY g.day`, nil,
		func(rows *sql.Rows) (f DayFigures, err error) {
			err = rows.Scan(&f.Day, &f.Visitors, &f.Visits, &f.PageViews, &f.Engaged, &f.Purchases, &f.Cents)
			return f, err
		})
}

// ChannelFigures are those of the visits that came by one channel.
type ChannelFigures struct {
	Channel string `json:"channel"`
	Figures
}

// Channels lists the channels of the range, that with the most visits first.
func (w *Warehouse) Channels(ctx context.Context, d Days) ([]ChannelFigures, error) {
	return figures(ctx, w, d, `
		SELECT channel, sum(visits)::BIGINT AS visits, sum(page_views)::BIGINT, sum(engaged)::BIGINT, sum(purchases)::BIGINT, sum(cents)::BIGINT
		FROM daily_channels WHERE day BETWEEN ?::DATE AND ?::DATE
		GROUP BY channel ORDER BY visits DESC, channel`, nil,
		func(rows *sql.Rows) (f ChannelFigures, err error) {
			err = rows.Scan(&f.Channel, &f.Visits, &f.PageViews, &f.Engaged, &f.Purchases, &f.Cents)
			return f, err
		})
}

// PageFigures are those of one page.
type PageFigures struct {
	Host      string `json:"host"`
	Path      string `json:"path"`
	Title     string `json:"title"`
	PageViews int64  `json:"page_views"`
}

// TopPages lists the pages that were seen most in the range, at most limit and
// [MaxPages] of them.
func (w *Warehouse) TopPages(ctx context.Context, d Days, limit int) ([]PageFigures, error) {
	return figures(ctx, w, d, `
		SELECT host, path, max(title), sum(page_views)::BIGINT AS page_views
		FROM daily_pages WHERE day BETWEEN ?::DATE AND ?::DATE
		GROUP BY host, path ORDER BY page_views DESC, host, path LIMIT ?`, []any{min(max(limit, 1), MaxPages)},
		func(rows *sql.Rows) (f PageFigures, err error) {
			err = rows.Scan(&f.Host, &f.Path, &f.Title, &f.PageViews)
			return f, err
		})
}

// VisitFigures sum a range up.
type VisitFigures struct {
	// Visitors are counted exactly over the whole range, by the visits that
	// began in it.
	Visitors int64 `json:"visitors"`
	// Engagement is how long a visit had the page in front, on average.
	Engagement time.Duration `json:"engagement"`
	Figures
}

// Visits sums up the visits that began in the range. It is the one of these
// that reads the visits themselves, so it knows nothing of what retention has
// deleted.
func (w *Warehouse) Visits(ctx context.Context, d Days) (VisitFigures, error) {
	found, err := figures(ctx, w, d, `
		SELECT count(DISTINCT visitor), coalesce(avg(engaged_ms), 0)::BIGINT, count(*), coalesce(sum(page_views), 0)::BIGINT,
		       count(*) FILTER (engaged), coalesce(sum(purchases), 0)::BIGINT, coalesce(sum(cents), 0)::BIGINT
		FROM sessions WHERE day BETWEEN ?::DATE AND ?::DATE`, nil,
		func(rows *sql.Rows) (f VisitFigures, err error) {
			var ms int64
			err = rows.Scan(&f.Visitors, &ms, &f.Visits, &f.PageViews, &f.Engaged, &f.Purchases, &f.Cents)
			f.Engagement = time.Duration(ms) * time.Millisecond
			return f, err
		})
	if err != nil {
		return VisitFigures{}, err
	}
	return found[0], nil
}

// figures runs a query whose first two arguments are the range.
func figures[T any](ctx context.Context, w *Warehouse, d Days, query string, more []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	rows, err := w.db.QueryContext(ctx, query, append([]any{string(d.From), string(d.Until)}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("reading the site's figures: %w", err)
	}
	defer rows.Close()
	found := []T{}
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading the site's figures: %w", err)
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the site's figures: %w", err)
	}
	return found, nil
}
