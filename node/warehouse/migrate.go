package warehouse

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
)

//go:embed schema.sql
var schemaSQL string

//go:embed schema_events.sql
var schemaEventsSQL string

// migrations brings a store from version i to i+1, each in one transaction
// with the number it reaches. A published one is never edited.
var migrations = []string{schemaSQL, schemaEventsSQL}

func (w *Warehouse) migrate(ctx context.Context) error {
	version, err := w.schemaVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading the warehouse's version: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("%w (its schema is %d, this program's %d)", ErrNewer, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		err := w.transact(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM schema_version`); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO schema_version VALUES (?)`, version+1)
			return err
		})
		if err != nil {
			return fmt.Errorf("bringing the warehouse to version %d: %w", version+1, err)
		}
	}
	return nil
}

// schemaVersion is 0 for an empty file.
func (w *Warehouse) schemaVersion(ctx context.Context) (version int, err error) {
	var made bool
	err = w.db.QueryRowContext(ctx,
		`SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'schema_version' AND NOT temporary`).Scan(&made)
	if err != nil || !made {
		return 0, err
	}
	err = w.db.QueryRowContext(ctx, `SELECT version FROM schema_version`).Scan(&version)
	return version, err
}

// transact runs f in a transaction of its own, kept only if f succeeds.
func (w *Warehouse) transact(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
