package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrExporting: another export is running. Try again when it has ended.
var ErrExporting = errors.New("another export is running: try again when it has ended")

// Schema is the statements that make the store, with what each table and column
// means.
func Schema() string { return strings.Join(migrations, "\n") }

// formats are how a table is written, by the ending of the file's name.
var formats = []struct{ ending, options string }{
	{".parquet", `FORMAT parquet, COMPRESSION zstd`},
	{".csv", `FORMAT csv, HEADER`},
}

// Export writes every table, all as of one instant, as Parquet and as CSV, and
// shows each file to visit, which may move or read it; it is deleted after. The
// engine writes them in bounded memory, into a folder beside the store that is
// as private as the store. It fails with [ErrExporting].
func (w *Warehouse) Export(ctx context.Context, visit func(path string) error) error {
	path, err := filepath.Abs(w.cfg.Path)
	if err != nil {
		return err
	}
	select {
	case w.exporting <- struct{}{}:
		defer func() { <-w.exporting }()
	default:
		return ErrExporting
	}
	folder := path + exportSuffix
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("exporting the warehouse: %w", err)
	}
	defer os.RemoveAll(folder)
	err = w.transact(ctx, func(tx *sql.Tx) error {
		tables, err := texts(ctx, tx, `
			SELECT table_name FROM duckdb_tables()
			WHERE database_name = current_database() AND NOT temporary ORDER BY table_name`)
		if err != nil {
			return err
		}
		for _, table := range tables {
			for _, format := range formats {
				file := filepath.Join(folder, table+format.ending)
				if _, err := tx.ExecContext(ctx, `COPY (SELECT * FROM `+quoted(table)+`) TO `+literal(file)+` (`+format.options+`)`); err != nil {
					return err
				}
				if err := errors.Join(visit(file), os.Remove(file)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("exporting the warehouse: %w", err)
	}
	return nil
}
