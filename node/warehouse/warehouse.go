// Package warehouse is the member's analytical store: its people, what they
// consented to, the tickets they bought, the files all of that came from, and
// what happened on the web site. It answers which of the consented people
// satisfy a definition (protocol.md 4a), lists their identifiers for tokenising
// (section 3), and has the site's figures.
//
// It is one DuckDB file in the node's folder, documented in schema.sql and
// schema_events.sql, and the only place where identifiers are kept readable. It
// is not encrypted: the folder belongs on an encrypted disk, closed to other
// users. Nothing here normalises, sends or decides anything.
//
// One process has the store open, and within it one import at a time changes
// people and tickets. Reading needs no turn: a query sees the store as the
// last finished import or batch of events left it.
package warehouse

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

var (
	// ErrInUse: another process, or another part of this one, has the store
	// open. Ask the running node instead, or stop it first.
	ErrInUse = errors.New("the node is already running on this store: use its commands, or stop it first")
	// ErrNewer: a later version of the program wrote the store. Upgrade.
	ErrNewer = errors.New("a newer version of the program wrote this store: upgrade the program")
)

// PersonID numbers a person in this store. It is never used twice, and means
// nothing outside the node.
type PersonID int64

// Bounds of a [Config].
const (
	DefaultMemoryMB = 128
	MinMemoryMB     = 128
	DefaultThreads  = 2
)

// Config says where the store is and what it may use.
type Config struct {
	// Path is the file. Its folder is made, for this user only, if missing.
	Path string
	// MemoryMB bounds the engine's buffers; what does not fit is spilled to a
	// folder beside the file. The process may take about twice as much. 0
	// means [DefaultMemoryMB].
	MemoryMB int
	// Threads bounds the cores of a query. 0 means [DefaultThreads].
	Threads int
	// Zone is the member's: its days begin there. nil means [time.Local].
	Zone *time.Location
}

// opened counts calls of Open, to tell them apart; see dsn.
var opened atomic.Int64

// Warehouse is an open store. All of its methods may be called concurrently.
type Warehouse struct {
	cfg  Config
	db   *sql.DB
	gate *gate // under db

	// importing holds one place, taken from the beginning of an import to its
	// end. Two imports would number the same new person twice.
	importing chan struct{}
	// writing holds one place, taken for each transaction that changes what an
	// import or a batch of events may change. Whoever has both took importing
	// first.
	writing chan struct{}
	// exporting holds one place, taken while an export reads.
	exporting chan struct{}
	// saving is held while a segment is replaced, so that versions count up
	// one by one. Imports do not touch segments.
	saving sync.Mutex
}

// Open opens the store, making it or bringing its schema up to date as needed.
// It fails with [ErrInUse] when it is open already, and with [ErrNewer].
func Open(ctx context.Context, cfg Config) (*Warehouse, error) {
	if _, err := cfg.dsn(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("making the warehouse's folder: %w", err)
	}
	gate, err := newGate(cfg.open)
	if err != nil {
		return nil, openError(err)
	}
	w := &Warehouse{
		cfg:       cfg,
		db:        sql.OpenDB(gate),
		gate:      gate,
		importing: make(chan struct{}, 1),
		writing:   make(chan struct{}, 1),
		exporting: make(chan struct{}, 1),
	}
	if err := w.prepare(ctx, cfg.Path); err != nil {
		w.db.Close()
		return nil, err
	}
	return w, nil
}

// Close waits for what is running, writes the store down into its file and
// frees it for others.
func (w *Warehouse) Close() error {
	if err := w.db.Close(); err != nil {
		return fmt.Errorf("closing the warehouse: %w", err)
	}
	return nil
}

func (cfg Config) dsn() (string, error) {
	if cfg.Path == "" || strings.ContainsAny(cfg.Path, "?#%") {
		return "", errors.New("the warehouse needs the path of a file, without the characters ? # %")
	}
	if cmp.Or(cfg.MemoryMB, DefaultMemoryMB) < MinMemoryMB || cfg.threads() < 1 {
		return "", fmt.Errorf("the warehouse needs at least %d MB and one thread", MinMemoryMB)
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return "", fmt.Errorf("finding the warehouse: %w", err)
	}
	return path + "?" + url.Values{
		"memory_limit": {cfg.memory()},
		"threads":      {strconv.Itoa(cfg.threads())},
		// No statement may load an extension; see confine for the rest.
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"allow_community_extensions":   {"false"},
		// The engine quietly shares a file within a process, unless the two
		// configurations differ. This makes them differ.
		"custom_user_agent": {"coulisse " + strconv.FormatInt(opened.Add(1), 10)},
	}.Encode(), nil
}

func (cfg Config) memory() string       { return strconv.Itoa(cmp.Or(cfg.MemoryMB, DefaultMemoryMB)) + "MiB" }
func (cfg Config) threads() int         { return cmp.Or(cfg.Threads, DefaultThreads) }
func (cfg Config) zone() *time.Location { return cmp.Or(cfg.Zone, time.Local) }

// open opens the engine, confined.
func (cfg Config) open() (*duckdb.Connector, error) {
	dsn, err := cfg.dsn()
	if err != nil {
		return nil, err
	}
	engine, err := duckdb.NewConnector(dsn, nil)
	if err != nil {
		return nil, err
	}
	if err := cfg.confine(engine); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return engine, nil
}

// confine sees to it that no statement reads or writes a file but in the folder
// of an export, nor lifts these limits. The engine takes them in this order,
// and from statements only.
func (cfg Config) confine(engine *duckdb.Connector) error {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return err
	}
	conn, err := engine.Connect(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.(*duckdb.Conn).ExecContext(context.Background(), `SET allowed_directories = [`+literal(path+exportSuffix)+`];
		SET enable_external_access = false; SET lock_configuration = true`, nil)
	return err
}

// prepare makes an open database into a warehouse.
func (w *Warehouse) prepare(ctx context.Context, path string) error {
	if err := w.db.PingContext(ctx); err != nil {
		return openError(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("closing the warehouse to other users: %w", err)
	}
	// What a killed process had spilled. The file is ours by now.
	for _, left := range []string{path + spillSuffix, path + exportSuffix} {
		if err := os.RemoveAll(left); err != nil {
			return fmt.Errorf("clearing the warehouse's temporary folder: %w", err)
		}
	}
	if err := removeCopy(path + rewriteSuffix); err != nil {
		return fmt.Errorf("clearing an unfinished copy of the warehouse: %w", err)
	}
	return w.migrate(ctx)
}

// openError tells a store in use from a store that cannot be read. The engine
// says so only in words.
func openError(err error) error {
	for _, sign := range []string{"Could not set lock", "different configuration than existing"} {
		if strings.Contains(err.Error(), sign) {
			return ErrInUse
		}
	}
	return fmt.Errorf("opening the warehouse: %w", err)
}
