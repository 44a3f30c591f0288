package rehearsal_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	_ "github.com/duckdb/duckdb-go/v2"

	"coulisse/crypto/seal"
	"coulisse/deploy/rehearsal"
	"coulisse/node"
	"coulisse/node/importer"
)

// TestDataExport: what a house takes home is read with age, a CSV reader and
// DuckDB, none of them ours, and is all that its warehouse has.
func TestDataExport(t *testing.T) {
	f := rehearsal.Found(t, houses[:3]...)
	m := f.Members[0]
	f.Import(m, importer.Tickets, invent(900, m.ID).tickets(m.ID)+
		`"=cmd(),""é""@x",1,x,Danse contemporaine,Salle,2026-03-01,1,1.00,yes,yes`+"\n"+ // refused, and breaks no table
		`elise@example.org,"A,""1 2""","Le Lac ; l'été",Danse contemporaine,"Salle, grande",2026-03-01,1,1.00,yes,yes`+"\n")
	c := serve(t, m)
	keys, err := os.ReadFile(filepath.Join(m.Folder.Dir, "identity.agekey"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]struct {
		recipient seal.Recipient
		keys      string
	}{
		"the house's own key": {"", string(keys)},
		"another recipient":   {seal.Recipient(stranger.Recipient().String()), stranger.String()},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := c.Data(t.Context(), to.recipient)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Close()
			dir := t.TempDir()
			contents := unpacked(t, answer, dir)
			opened := openAll(t, dir, contents, to.keys)
			if !slices.Contains(opened, "files/card.json") || !slices.Contains(opened, "tables/consents.csv") {
				t.Errorf("%d files: %q", len(opened), opened)
			}
			sameTables(t, m, dir)
		})
	}
	if _, err := c.Data(t.Context(), "age1nobody"); err == nil {
		t.Error("data were sealed for nobody")
	}
}

// unpacked writes the files of an export and checks its list of contents.
func unpacked(t *testing.T, export io.Reader, dir string) (contents node.ExportContents) {
	t.Helper()
	digests := map[string]string{}
	for files := tar.NewReader(export); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		digests[header.Name] = hex.EncodeToString(sum[:])
		if header.Name == node.DataContents {
			if err := json.Unmarshal(content, &contents); err != nil {
				t.Fatal(err)
			}
		}
		if bytes.Contains(content, []byte("personne.")) {
			t.Errorf("%s is not sealed", header.Name)
		}
	}
	if len(contents.Files) != len(digests)-1 { // but for the list itself
		t.Errorf("the list has %d files, the export %d", len(contents.Files), len(digests))
	}
	for _, file := range contents.Files {
		if digests[file.Name] != file.SHA256 {
			t.Errorf("%s is not as the list says", file.Name)
		}
	}
	return contents
}

// openAll opens every sealed file with age alone, and returns their names.
func openAll(t *testing.T, dir string, contents node.ExportContents, keys string) (opened []string) {
	t.Helper()
	identities, err := age.ParseIdentities(strings.NewReader(keys))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range contents.Files {
		name, sealed := strings.CutSuffix(file.Name, ".age")
		if !sealed {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, file.Name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := age.Decrypt(bytes.NewReader(content), identities...)
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		plain, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), plain, 0o600); err != nil {
			t.Fatal(err)
		}
		opened = append(opened, name)
	}
	return opened
}

// sameTables compares both forms of each table with the warehouse itself, which
// the node, once stopped, leaves for anybody's DuckDB.
func sameTables(t *testing.T, m *rehearsal.Member, dir string) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one := func(query string) (found string) {
		t.Helper()
		if err := db.QueryRow(query).Scan(&found); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return found
	}
	status, err := m.Node.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "tables", "*.parquet"))
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d tables: %v", len(paths), err)
	}
	for _, path := range paths {
		table := strings.TrimSuffix(filepath.Base(path), ".parquet")
		raw, err := os.ReadFile(strings.TrimSuffix(path, ".parquet") + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
		if err != nil {
			t.Fatalf("%s.csv: %v", table, err)
		}
		if count := one(`SELECT count(*)::VARCHAR FROM '` + path + `'`); count != fmt.Sprint(len(rows)-1) {
			t.Errorf("%s has %s rows as Parquet and %d as CSV", table, count, len(rows)-1)
		}
		if table == "people" && len(rows)-1 != int(status.Warehouse.People) {
			t.Errorf("%d people were exported, the warehouse has %d", len(rows)-1, status.Warehouse.People)
		}
		if table == "tickets" {
			total := one(`SELECT (sum(quantity) || ' ' || count(DISTINCT person) || ' ' || max(order_code)) FROM '` + path + `'`)
			if total != fmt.Sprintf("%d %d A,\"1 2\"", status.Warehouse.Tickets, status.Warehouse.People) {
				t.Errorf("the tickets add up to %q", total)
			}
			if !slices.ContainsFunc(rows, func(row []string) bool { return row[1] == "A,\"1 2\"" && row[2] == "Le Lac ; l'été" }) {
				t.Error("a line with commas and quotes is not in the CSV as it is")
			}
		}
	}
}
