package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coulisse/node"
	"coulisse/node/importer"
	"coulisse/protocol/command"
)

// taking answers as a node does to a file: with the importer's own report, and
// never taking the same bytes twice.
type taking map[[32]byte]bool

func (taken taking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	digest := sha256.Sum256(file)
	fault := func(status int, reason, text string) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"reason": reason, "error": map[string]string{"fr": text, "en": text}})
	}
	if taken[digest] {
		fault(http.StatusConflict, "taken", "x")
		return
	}
	report, err := importer.Import(r.Context(), bytes.NewReader(file), importer.Options{Kind: importer.Kind(r.URL.Query().Get("kind")), File: r.URL.Query().Get("file")}, nothing{})
	var problem *importer.Problem
	if errors.As(err, &problem) {
		fault(http.StatusUnprocessableEntity, "file", problem.Text.EN)
		return
	}
	taken[digest] = true
	json.NewEncoder(w).Encode(node.ImportEvent{Rows: report.Rows, Report: &report})
}

type nothing struct{}

func (nothing) Begin(context.Context, importer.Run) error           { return nil }
func (nothing) People(context.Context, []importer.PersonRow) error  { return nil }
func (nothing) Tickets(context.Context, []importer.TicketRow) error { return nil }
func (nothing) Commit(context.Context, importer.Report) error       { return nil }
func (nothing) Abort(context.Context) error                         { return nil }

// TestImportFolder: the files of a folder are taken once each, in the order of
// their names; what is refused costs no other.
func TestImportFolder(t *testing.T) {
	dir, err := os.MkdirTemp("", "cli") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", (&node.Folder{Dir: dir}).Socket())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: taking{}}
	go server.Serve(listener)
	defer server.Close()
	inbox := filepath.Join(dir, "inbox")
	put := func(name, text string, age time.Duration) {
		path := filepath.Join(inbox, name)
		if err := errors.Join(os.MkdirAll(inbox, 0o700), os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	run := func(more ...string) (string, error) {
		var out bytes.Buffer
		root := command.Root("en", "test", Commands("test")...)
		root.SetArgs(append([]string{"import", inbox, "--dir", dir, "--kind", "people"}, more...))
		root.SetOut(&out)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	if out, err := run(); err == nil {
		t.Errorf("a folder that is not there is taken: %s", out)
	}
	put("2026-11-02.csv", "email\nb@example.com\n", time.Hour)
	put("2026-11-01.csv", "email\na@example.com\nc@example.com\n", time.Hour)
	put("fresh.csv", "email\nd@example.com\n", 0)
	put(".hidden.csv", "email\ne@example.com\n", time.Hour)
	put("~$lock.xlsx", "x", time.Hour)
	put("half.csv.part", "email\n", time.Hour)
	out, err := run()
	if err != nil || !inOrder(out, "2026-11-01.csv", "kept: 2", "2026-11-02.csv", "kept: 1", "fresh.csv", "less than a minute ago") ||
		strings.Contains(out, "hidden") || strings.Contains(out, "lock") || strings.Contains(out, "half") {
		t.Errorf("%v\n%s", err, out)
	}
	put("2026-11-01b.csv", "name\nx\n", time.Hour)
	put("2026-11-03.csv", "email\nf@example.com\n", time.Hour)
	out, err = run()
	if err == nil || !strings.Contains(err.Error(), "refused") ||
		!inOrder(out, "2026-11-01.csv", "Taken before.", "2026-11-01b.csv", "Missing:", "2026-11-02.csv", "Taken before.", "2026-11-03.csv", "kept: 1") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = run("--json")
	var outcomes []fileOutcome
	if decoded := json.Unmarshal([]byte(out), &outcomes); err == nil || decoded != nil || len(outcomes) != 5 ||
		outcomes[0].Outcome != outcomeBefore || outcomes[1].Outcome != outcomeRefused || outcomes[4].Outcome != outcomeWaiting {
		t.Errorf("%v, %v\n%s", err, decoded, out)
	}
}

// inOrder reports that the texts stand in another, one behind the other.
func inOrder(text string, parts ...string) bool {
	for _, part := range parts {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return true
}
