package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Months that events are kept: what the CNIL advises for the measuring of an
// audience, and at least.
const (
	DefaultMonths = 25
	MinMonths     = 1
)

// visitorMonths is how old a visitor's identifier becomes: its consents and
// declarations are kept for as long as it is in use.
const visitorMonths = 13

// wasted is which share of the file may be free before it is rewritten.
const wasted = 0.25

// Expired says what [Warehouse.Expire] deleted.
type Expired struct {
	Events    int64 `json:"events"`
	Visits    int64 `json:"visits"`
	Rewritten bool  `json:"rewritten"` // the file is as small as its rows again
}

// Expire deletes what is older than some months ([DefaultMonths] if 0): events,
// visits, figures of pages, campaigns, and what visitors said. The figures of
// days and channels, which name nobody, stay. A node calls it once a day.
//
// The engine uses the space again; it gives none back. Where a quarter of the
// file is free it is rewritten, for which queries wait; see [Warehouse.Rewrite].
// If that fails with [ErrBusy], the next day's call tries again.
func (w *Warehouse) Expire(ctx context.Context, months int, now time.Time) (gone Expired, err error) {
	if months == 0 {
		months = DefaultMonths
	}
	if months < MinMonths {
		return Expired{}, errors.New("events are kept for a month at least")
	}
	oldest := day(now, w.cfg.zone()).AddDate(0, -months, 0)
	identified := day(now, w.cfg.zone()).AddDate(0, -max(months, visitorMonths), 0)
	err = w.write(ctx, func(tx *sql.Tx) (err error) {
		for _, d := range []struct {
			statement string
			before    time.Time
			count     *int64
		}{
			{`DELETE FROM events WHERE day < ?::DATE`, oldest, &gone.Events},
			{`DELETE FROM sessions WHERE last_day < ?::DATE`, oldest, &gone.Visits},
			{`DELETE FROM daily_pages WHERE day < ?::DATE`, oldest, new(int64)},
			{`DELETE FROM campaigns WHERE last_at < ?`, oldest, new(int64)},
			{`DELETE FROM visitor_consents WHERE said_at < ?`, identified, new(int64)},
			{`DELETE FROM visitors WHERE linked_at < ?`, identified, new(int64)},
		} {
			result, err := tx.ExecContext(ctx, d.statement, d.before)
			if err != nil {
				return err
			}
			if *d.count, err = result.RowsAffected(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Expired{}, fmt.Errorf("deleting what is old: %w", err)
	}
	free, err := w.free(ctx)
	if err != nil || free < wasted {
		return gone, err
	}
	if err := w.Rewrite(ctx); err != nil {
		return gone, err
	}
	gone.Rewritten = true
	return gone, nil
}

// free is the share of the file that holds nothing, once deleted rows are
// written down.
func (w *Warehouse) free(ctx context.Context) (share float64, err error) {
	if _, err := w.db.ExecContext(ctx, `CHECKPOINT`); err != nil {
		return 0, fmt.Errorf("writing the warehouse down: %w", err)
	}
	err = w.db.QueryRowContext(ctx, `SELECT coalesce(free_blocks / nullif(total_blocks, 0), 0) FROM pragma_database_size() WHERE database_name = current_database()`).Scan(&share)
	if err != nil {
		return 0, fmt.Errorf("measuring the warehouse: %w", err)
	}
	return share, nil
}
