package warehouse

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	_ "embed"
	"fmt"

	"github.com/duckdb/duckdb-go/v2"
)

//go:embed arriving.sql
var arrivingSQL string

//go:embed take.sql
var takeSQL string

//go:embed daily.sql
var dailySQL string

//go:embed link.sql
var linkSQL string

// Take takes a batch into the store, all of it or nothing, and returns how
// many of its events are new. Events are in their sessions, and the days'
// figures up to date, when it returns.
//
// It may be given the same batch, or events of it, any number of times: a batch
// whose end is not past the stored [Position] changes nothing, and an event
// whose identifier is known within 7 days of its time is left out. What the
// store holds in the end does not depend on how events are cut into batches, or
// on their order, beyond the numbers of sessions and people.
//
// It waits while an import is merged.
func (w *Warehouse) Take(ctx context.Context, b Batch) (added int, err error) {
	if err := w.await(ctx, w.writing); err != nil {
		return 0, err
	}
	defer func() { <-w.writing }()
	from, err := w.Position(ctx)
	if err != nil || !from.before(b.Upto) {
		return 0, err
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("taking events in: %w", err)
	}
	defer discard(conn)
	if err := w.gather(ctx, conn, &b); err != nil {
		return 0, fmt.Errorf("gathering events: %w", err)
	}
	if added, err = takeIn(ctx, conn, len(b.Events) > 0, len(b.Consents)+len(b.Links) > 0, b.Upto); err != nil {
		return 0, fmt.Errorf("taking events in: %w", err)
	}
	return added, nil
}

// Position returns how far the spool has been taken in; zero before any of it.
func (w *Warehouse) Position(ctx context.Context) (p Position, err error) {
	if err := w.db.QueryRowContext(ctx, `SELECT segment, taken FROM spool`).Scan(&p.Segment, &p.Offset); err != nil {
		return Position{}, fmt.Errorf("reading how far the spool was taken in: %w", err)
	}
	return p, nil
}

func (p Position) before(q Position) bool {
	return cmp.Or(cmp.Compare(p.Segment, q.Segment), cmp.Compare(p.Offset, q.Offset)) < 0
}

// takeIn merges what was gathered on the connection: events, or words about
// visitors, or both.
func takeIn(ctx context.Context, conn *sql.Conn, events, words bool, upto Position) (added int, err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if events {
		if _, err := tx.ExecContext(ctx, takeSQL); err != nil {
			return 0, err
		}
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM arriving`).Scan(&added); err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, dailySQL); err != nil {
			return 0, err
		}
	}
	if words {
		if _, err := tx.ExecContext(ctx, linkSQL); err != nil {
			return 0, err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE spool SET segment = ?, taken = ?`, upto.Segment, upto.Offset); err != nil {
		return 0, err
	}
	return added, tx.Commit()
}

// write runs f in a transaction of its own while nothing else writes. Whatever
// changes rows that an import or a batch may change goes through here.
func (w *Warehouse) write(ctx context.Context, f func(*sql.Tx) error) error {
	if err := w.await(ctx, w.writing); err != nil {
		return err
	}
	defer func() { <-w.writing }()
	return w.transact(ctx, f)
}

// await takes the one place of a turn.
func (w *Warehouse) await(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// discard closes a connection for good: its temporary tables go with it.
func discard(conn *sql.Conn) {
	conn.Raw(func(any) error { return driver.ErrBadConn })
	conn.Close()
}

// gather appends the batch to temporary tables of the connection.
func (w *Warehouse) gather(ctx context.Context, conn *sql.Conn, b *Batch) error {
	if _, err := conn.ExecContext(ctx, arrivingSQL); err != nil {
		return err
	}
	return conn.Raw(func(raw any) error {
		for table, rows := range map[string]func(func(...driver.Value) error) error{
			"arriving":          func(add func(...driver.Value) error) error { return b.events(w.cfg.zone(), add) },
			"arriving_consents": b.consents,
			"arriving_links":    b.links,
		} {
			if err := fill(ctx, bare(raw), table, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

// fill appends rows to a temporary table.
func fill(ctx context.Context, conn driver.Conn, table string, rows func(func(...driver.Value) error) error) error {
	appender, err := duckdb.NewAppender(conn, "temp", "main", table)
	if err != nil {
		return err
	}
	if err := rows(appender.AppendRow); err != nil {
		appender.Clear()
		appender.Close()
		return err
	}
	return appender.CloseWithCancel(ctx)
}
