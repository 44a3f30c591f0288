package warehouse

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/protocol"
)

// TestMain lets the test binary be the process that a test kills.
func TestMain(m *testing.M) {
	if role := os.Getenv("COULISSE_TEST_CHILD"); role != "" {
		child(role, os.Getenv("COULISSE_TEST_STORE"))
		return
	}
	flag.Set("rapid.checks", "40") // each is some files and a dozen definitions
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, path string) *Warehouse {
	t.Helper()
	w, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func fresh(t testing.TB) *Warehouse {
	return open(t, filepath.Join(t.TempDir(), "node", "warehouse.duckdb"))
}

// take imports rows as one file, whose digest is its identifier.
func take(ctx context.Context, w *Warehouse, id string, people []importer.PersonRow, tickets []importer.TicketRow) error {
	run := importer.Run{ID: importer.RunID(id), Kind: importer.Tickets, File: id + ".csv", Digest: importer.Digest(id)}
	in := w.Intake()
	if err := in.Begin(ctx, run); err != nil {
		return err
	}
	if err := errors.Join(in.People(ctx, people), in.Tickets(ctx, tickets)); err != nil {
		return errors.Join(err, in.Abort(ctx))
	}
	return in.Commit(ctx, importer.Report{})
}

func mustTake(t testing.TB, w *Warehouse, id string, people []importer.PersonRow, tickets ...importer.TicketRow) {
	t.Helper()
	if err := take(t.Context(), w, id, people, tickets); err != nil {
		t.Fatal(err)
	}
}

func email(t testing.TB, address string) *identity.Identifier {
	t.Helper()
	id, err := identity.Restore(identity.KindEmail, address)
	if err != nil {
		t.Fatal(err)
	}
	return &id
}

func phone(t testing.TB, number string) *identity.Identifier {
	t.Helper()
	id, err := identity.Restore(identity.KindPhone, number)
	if err != nil {
		t.Fatal(err)
	}
	return &id
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// says is consent to pooling, or its withdrawal, some hours after noon.
func says(granted bool, hours int) importer.Consent {
	return importer.Consent{Purpose: protocol.PurposePooling, Granted: granted, At: noon.Add(time.Duration(hours) * time.Hour)}
}

var everybody = protocol.Definition{Name: "everybody", Title: protocol.Text{FR: "Tout le monde", EN: "Everybody"}}

// names are the identifiers of everybody who consents to be pooled.
func names(t testing.TB, w *Warehouse) map[PersonID]string {
	t.Helper()
	names := make(map[PersonID]string)
	for p, err := range w.Persons(t.Context(), protocol.PurposePooling, 0) {
		if err != nil {
			t.Fatal(err)
		}
		names[p.ID] = p.Identifier.Reveal()
	}
	return names
}

// who lists the identifiers of whom a definition fits.
func who(t testing.TB, w *Warehouse, names map[PersonID]string, d protocol.Definition) []string {
	t.Helper()
	list := []string{}
	var last PersonID
	for id, err := range w.Evaluate(t.Context(), d, protocol.PurposePooling) {
		if err != nil {
			t.Fatal(err)
		}
		if id <= last || names[id] == "" {
			t.Fatalf("person %d is out of order or did not consent", id)
		}
		last = id
		list = append(list, names[id])
	}
	slices.Sort(list)
	return list
}

func wantWho(t testing.TB, w *Warehouse, d protocol.Definition, want ...string) {
	t.Helper()
	if got := who(t, w, names(t, w), d); !slices.Equal(got, want) {
		t.Errorf("%d people satisfy %s, want %d", len(got), d.Name, len(want))
	}
	if n, err := w.Count(t.Context(), d, protocol.PurposePooling); err != nil || n != int64(len(want)) {
		t.Errorf("Count = %d, %v, want %d", n, err, len(want))
	}
}

func TestOneProcess(t *testing.T) {
	w := fresh(t)
	path := w.path(t)
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("opening twice in one process: %v", err)
	}
	out, err := command("open", path).Output()
	if err != nil || !strings.Contains(string(out), "already running") {
		t.Errorf("opening in a second process: %v, %s", err, out)
	}
}

// path asks the engine where the store is.
func (w *Warehouse) path(t testing.TB) (path string) {
	t.Helper()
	if err := w.db.QueryRow(`SELECT path FROM duckdb_databases() WHERE path IS NOT NULL`).Scan(&path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	for _, cfg := range []Config{
		{}, {Path: dir + "/a?b"}, {Path: dir + "/a#b"}, {Path: dir + "/a%zz"},
		{Path: dir + "/a", MemoryMB: MinMemoryMB - 1}, {Path: dir + "/a", Threads: -1},
	} {
		if w, err := Open(t.Context(), cfg); err == nil {
			w.Close()
			t.Errorf("%+v was accepted", cfg)
		}
	}
	w, err := Open(t.Context(), Config{Path: dir + "/é à.duckdb", MemoryMB: 256, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var memory, threads string
	err = w.db.QueryRow(`SELECT current_setting('memory_limit'), current_setting('threads')::VARCHAR`).Scan(&memory, &threads)
	if err != nil || memory != "256.0 MiB" || threads != "1" {
		t.Errorf("memory %s, threads %s, %v", memory, threads, err)
	}
}

// What a definition or a file could smuggle into SQL must find nothing to do.
func TestEngineIsShutIn(t *testing.T) {
	w := fresh(t)
	outside := filepath.Join(t.TempDir(), "outside")
	for _, statement := range []string{
		`COPY (SELECT 1) TO '` + outside + `'`,
		`ATTACH '` + outside + `'`,
		`SELECT * FROM read_csv('/etc/passwd')`,
		`INSTALL httpfs`, `LOAD httpfs`,
		`SET memory_limit = '64GB'`, `SET enable_external_access = true`,
	} {
		if _, err := w.db.Exec(statement); err == nil {
			t.Errorf("the engine obeys: %s", statement)
		}
	}
}

func TestFilesArePrivate(t *testing.T) {
	w := fresh(t)
	for _, path := range []string{w.path(t), filepath.Dir(w.path(t))} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", filepath.Base(path), info.Mode(), err)
		}
	}
}

func TestMigrations(t *testing.T) {
	published := migrations
	defer func() { migrations = published }()
	path := filepath.Join(t.TempDir(), "warehouse.duckdb")
	reopen := func() (*Warehouse, error) { return Open(t.Context(), Config{Path: path}) }

	w, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	mustTake(t, w, "a", []importer.PersonRow{{Email: email(t, "claire@example.org"), Consents: []importer.Consent{says(true, 0)}}})
	w.Close()

	migrations = append(slices.Clone(published), `ALTER TABLE people ADD COLUMN language VARCHAR`, `SELECT no_such_function()`)
	if _, err = reopen(); err == nil {
		t.Fatal("a broken migration passed")
	}
	migrations = migrations[:len(published)+1]
	if w, err = reopen(); err != nil {
		t.Fatal(err)
	}
	if version, err := w.schemaVersion(t.Context()); err != nil || version != len(published)+1 {
		t.Errorf("version %d, %v", version, err)
	}
	wantWho(t, w, everybody, "claire@example.org")
	w.Close()

	migrations = published
	if _, err = reopen(); !errors.Is(err, ErrNewer) {
		t.Errorf("opening a newer store: %v", err)
	}
}

// command runs this test binary as another process on a store.
func command(role, store string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "COULISSE_TEST_CHILD="+role, "COULISSE_TEST_STORE="+store)
	cmd.Stderr = os.Stderr
	return cmd
}

// child is what the other process does: it says how far it is, and waits to be
// killed where its parent asks for that.
func child(role, store string) {
	ctx := context.Background()
	if strings.HasPrefix(role, "site ") {
		siteChild(ctx, role, store)
		return
	}
	w, err := Open(ctx, Config{Path: store})
	if err != nil || role == "open" {
		fmt.Println(err)
		return
	}
	if role == "rewrite" {
		for fmt.Println("rewriting"); err == nil; err = w.Rewrite(ctx) {
		}
		fmt.Println(err)
		os.Exit(1)
	}
	die := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	if role == "taking" {
		fmt.Println(role)
		for n := int64(1); ; n++ {
			_, err := w.Take(ctx, killed(n))
			die(err)
		}
	}
	in := w.Intake()
	die(in.Begin(ctx, importer.Run{ID: "killed", Kind: importer.Tickets, Digest: "killed"}))
	for batch := range slices.Chunk(crowd(killedRows), importer.MaxBatch) {
		die(in.Tickets(ctx, batch))
	}
	fmt.Println("staged")
	if role == "staged" {
		io.Copy(io.Discard, os.Stdin)
	}
	fmt.Println("committing")
	die(in.Commit(ctx, importer.Report{}))
	fmt.Println("committed")
	io.Copy(io.Discard, os.Stdin)
}
