package warehouse

import (
	"context"
	"database/sql"
	"database/sql/driver"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"coulisse/node/importer"
)

var (
	// ErrAlreadyImported: this very file was imported before, on the day that
	// the message names. Its rows are in the store; there is nothing to do.
	ErrAlreadyImported = errors.New("this file was already imported")
	// ErrImporting: another import is running. Try again when it has ended.
	ErrImporting = errors.New("another import is running: try again when it has ended")
)

//go:embed staging.sql
var stagingSQL string

//go:embed merge.sql
var mergeSQL string

// Intake takes one file into the store, all of it or nothing. It implements
// [importer.Sink] for one goroutine. Rows gather in temporary tables, which no
// reader sees and which no crash leaves behind, until Commit merges them in
// one transaction. After Commit or Abort the intake may begin another file.
type Intake struct {
	w    *Warehouse
	run  importer.Run
	conn *sql.Conn // holds the temporary tables; nil outside a run
	rows *duckdb.Appender
	// consents are staged apart: a row may bring none or several.
	consents *duckdb.Appender
	count    int64 // rows staged
	venues   venueKeys
}

var _ importer.Sink = (*Intake)(nil)

// Intake returns a way in for a file.
func (w *Warehouse) Intake() *Intake { return &Intake{w: w} }

// Begin opens a run. It fails with [ErrAlreadyImported], and with
// [ErrImporting] while another intake is in a run.
func (in *Intake) Begin(ctx context.Context, run importer.Run) error {
	if in.conn != nil {
		return errors.New("beginning an import: this intake has not ended its last one")
	}
	select {
	case in.w.importing <- struct{}{}:
	default:
		return ErrImporting
	}
	if err := in.begin(ctx, run); err != nil {
		in.end()
		return err
	}
	return nil
}

func (in *Intake) begin(ctx context.Context, run importer.Run) (err error) {
	if err := in.w.refuseKnown(ctx, run); err != nil {
		return err
	}
	if in.conn, err = in.w.db.Conn(ctx); err != nil {
		return fmt.Errorf("beginning an import: %w", err)
	}
	if _, err := in.conn.ExecContext(ctx, stagingSQL); err != nil {
		return fmt.Errorf("beginning an import: %w", err)
	}
	in.run, in.count, in.venues = run, 0, venueKeys{}
	err = in.conn.Raw(func(raw any) (err error) {
		conn := bare(raw)
		if in.rows, err = duckdb.NewAppender(conn, "temp", "main", "staged"); err != nil {
			return err
		}
		in.consents, err = duckdb.NewAppender(conn, "temp", "main", "staged_consents")
		return err
	})
	if err != nil {
		return fmt.Errorf("beginning an import: %w", err)
	}
	return nil
}

// refuseKnown looks for the same bytes, read as the same kind of file: one
// export may hold both people and tickets.
func (w *Warehouse) refuseKnown(ctx context.Context, run importer.Run) error {
	var at time.Time
	err := w.db.QueryRowContext(ctx,
		`SELECT imported_at FROM imports WHERE digest = ? AND kind = ?`, string(run.Digest), string(run.Kind)).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("looking for an earlier import: %w", err)
	}
	return fmt.Errorf("%w on %s", ErrAlreadyImported, at.Local().Format(time.DateOnly))
}

// Commit merges the run into the store and ends it, also when it fails; then
// nothing of the run remains.
func (in *Intake) Commit(ctx context.Context, report importer.Report) error {
	if in.conn == nil {
		return errNotBegun
	}
	defer in.end()
	if err := in.flush(ctx); err != nil {
		return fmt.Errorf("staging the last rows: %w", err)
	}
	words, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("writing the import's report: %w", err)
	}
	if err := in.merge(ctx, words); err != nil {
		return fmt.Errorf("merging the import: %w", err)
	}
	return nil
}

func (in *Intake) merge(ctx context.Context, report []byte) error {
	if err := in.w.await(ctx, in.w.writing); err != nil {
		return err
	}
	defer func() { <-in.w.writing }()
	tx, err := in.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `SET VARIABLE import = ?`, string(in.run.ID)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, mergeSQL); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO imports VALUES (?, ?, ?, ?, ?, ?)`,
		string(in.run.ID), string(in.run.Kind), in.run.File, string(in.run.Digest), string(report), time.Now().UTC())
	if err != nil {
		return err
	}
	return tx.Commit()
}

// Abort ends the run and leaves nothing of it. Outside a run it does nothing.
func (in *Intake) Abort(context.Context) error {
	if in.conn != nil {
		in.end()
	}
	return nil
}

// flush empties the appenders into the temporary tables, and frees them.
func (in *Intake) flush(ctx context.Context) error {
	return in.conn.Raw(func(any) error {
		err := errors.Join(in.rows.CloseWithCancel(ctx), in.consents.CloseWithCancel(ctx))
		in.rows, in.consents = nil, nil
		return err
	})
}

// end gives everything back that a run holds. It discards the connection,
// for the temporary tables go with it, whatever state they are in.
func (in *Intake) end() {
	if in.conn != nil {
		in.conn.Raw(func(any) error {
			for _, appender := range []*duckdb.Appender{in.rows, in.consents} {
				if appender != nil {
					appender.Clear()
					appender.Close()
				}
			}
			return driver.ErrBadConn
		})
		in.conn.Close()
	}
	in.conn, in.rows, in.consents = nil, nil, nil
	<-in.w.importing
}
