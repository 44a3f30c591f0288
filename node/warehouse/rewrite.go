package warehouse

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"coulisse/crypto/durable"
)

// ErrBusy: something reads the store for longer than a rewriting waits. What
// was deleted stays in the file until a later rewriting.
var ErrBusy = errors.New("the store is being read for long: try again when that has ended")

// Names beside the store's file.
const (
	spillSuffix   = ".tmp"       // what a query spills
	rewriteSuffix = ".rewriting" // the copy that is to be the store
	exportSuffix  = ".export"    // a folder for what is being exported
)

// patience is how long a rewriting waits for readers, who themselves may be
// waiting for it.
const patience = 10 * time.Second

// Rewrite replaces the store's file by a copy of what is in it, for good. The
// engine never overwrites what was deleted: an erased row stays readable in the
// file, and in its free blocks, until the file goes. Queries wait meanwhile.
//
// The copy is whole and on disk before it takes the name of the store, while
// the old file is still locked: a process that ends at any point leaves one or
// the other, and the next one deletes an unfinished copy.
func (w *Warehouse) Rewrite(ctx context.Context) error {
	for _, turn := range []chan struct{}{w.importing, w.exporting} { // those who hold a connection for long
		if err := w.await(ctx, turn); err != nil {
			return err
		}
		defer func() { <-turn }()
	}
	w.db.SetMaxIdleConns(0)
	defer w.db.SetMaxIdleConns(idleConnections)
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := w.gate.without(waiting, func() error { return w.cfg.rewrite(ctx) })
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return ErrBusy
	}
	if err != nil {
		return fmt.Errorf("rewriting the warehouse: %w", err)
	}
	return nil
}

// idleConnections is what database/sql keeps open by itself.
const idleConnections = 2

// rewrite copies a file that no engine has open, and puts the copy in its
// place. A second engine does it, without the limits on what SQL may touch. It
// has twice the memory, for the first one has given its own back: with less it
// takes twice the time.
func (cfg Config) rewrite(ctx context.Context) error {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return err
	}
	fresh := path + rewriteSuffix
	if err := removeCopy(fresh); err != nil {
		return err
	}
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for _, statement := range []string{
		fmt.Sprintf(`SET memory_limit = '%dMiB'`, 2*cmp.Or(cfg.MemoryMB, DefaultMemoryMB)), fmt.Sprintf(`SET threads = %d`, cfg.threads()),
		`SET temp_directory = ` + literal(path+spillSuffix),
		`ATTACH ` + literal(path) + ` AS old (READ_ONLY)`,
		`ATTACH ` + literal(fresh) + ` AS fresh`,
		`COPY FROM DATABASE old TO fresh`,
		`CHECKPOINT fresh`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return errors.Join(err, removeCopy(fresh))
		}
	}
	err = same(ctx, db)
	if err == nil {
		_, err = db.ExecContext(ctx, `DETACH fresh`)
	}
	if err == nil && runtime.GOOS == "windows" { // which renames over no open file
		_, err = db.ExecContext(ctx, `DETACH old`)
	}
	if err == nil {
		err = replaceStore(fresh, path)
	}
	if err != nil {
		return errors.Join(err, removeCopy(fresh))
	}
	return nil
}

// replaceStore gives the copy the store's name, on disk. Neither may have a log
// beside it: it would be read into the other.
func replaceStore(fresh, path string) error {
	for _, log := range []string{fresh + ".wal", path + ".wal"} {
		if _, err := os.Stat(log); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the engine left a log beside the store: %w", errors.Join(err, fs.ErrExist))
		}
	}
	file, err := os.OpenFile(fresh, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := errors.Join(file.Chmod(0o600), file.Sync()); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return durable.SyncFolder(filepath.Dir(path))
}

// same compares the copy with the store, table by table, and where the people
// are numbered on: a number used twice would give somebody another's tokens.
func same(ctx context.Context, db *sql.DB) error {
	tables, err := texts(ctx, db, `SELECT table_name FROM duckdb_tables() WHERE database_name = 'old' ORDER BY 1`)
	if err != nil {
		return err
	}
	counts := []string{`(SELECT string_agg(sequence_name || coalesce(last_value, 0) || ',' || start_value, ';' ORDER BY sequence_name)
		FROM duckdb_sequences() WHERE database_name = '%[1]s')`}
	for _, table := range tables {
		counts = append(counts, `(SELECT count(*)::VARCHAR FROM %[1]s.`+quoted(table)+`)`)
	}
	every := `SELECT concat_ws(' ', ` + strings.Join(counts, ", ") + `)`
	before, err := texts(ctx, db, strings.ReplaceAll(every, "%[1]s", "old"))
	if err != nil {
		return err
	}
	after, err := texts(ctx, db, strings.ReplaceAll(every, "%[1]s", "fresh"))
	if err == nil && before[0] != after[0] {
		err = errors.New("the copy is not what the store holds")
	}
	return err
}

// removeCopy deletes what an earlier rewriting left.
func removeCopy(fresh string) error {
	for _, name := range []string{fresh, fresh + ".wal"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// literal writes text, and quoted a name, into a statement. Only paths and
// names out of the catalogue come this way.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
func quoted(name string) string  { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// querier is a database, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// texts runs a query of one column.
func texts(ctx context.Context, q querier, query string, args ...any) ([]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, rows.Err()
}
