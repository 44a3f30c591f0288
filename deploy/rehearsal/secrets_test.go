package rehearsal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coulisse/deploy/rehearsal"
	"coulisse/node/importer"
	"coulisse/protocol/federation"
)

// Nobody's identifier is in what any party logs, at any level, through imports
// with faulty rows, votes, tokens, a round, a refused one and a steward that is
// away; nor in any file but the members' own warehouses.
func TestNoIdentifierLeavesTheWarehouse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rehearsal.log")
	t.Setenv("REHEARSAL_LOG", path)
	people := invent(300, houses...)
	f := stage(t, people)
	journal := f.Members[len(f.Members)-1]

	// Rows that are refused, and others that are not anybody's.
	f.Import(journal, importer.People, "email,pooling,activation\n"+
		"secrete.personne@example.org,yes,yes\ninfo@secrete-maison.example,yes,yes\nsecrète@example.org,yes,yes\n")
	id, end := run(t, f, audience())
	if end.Stage != federation.Closed {
		t.Fatalf("the round ended %s: %s", end.Stage, end.Reason.EN)
	}
	checkLabels(t, f, id, people)
	f.StopNode(f.Members[1])
	f.Import(journal, importer.People, "email,pooling,activation\nsecrete.tardive@example.org,yes,yes\n")
	f.StartNode(f.Members[1])
	f.Eventually("a token for the last person", func() bool {
		s, err := journal.Node.Status(t.Context())
		return err == nil && s.Tokens.Total > 0 && s.Tokens.Done == s.Tokens.Total
	})

	needles := needles("personne.", "secrete", "secrète", "@example.org")
	log, err := os.ReadFile(path)
	if err != nil || len(log) < 1000 {
		t.Fatalf("%d bytes were logged: %v", len(log), err)
	}
	find(t, "the log of all parties", log, needles)
	searchFiles(t, f, needles)
}

// needles are texts in the ways in which bytes end up in logs and files.
func needles(texts ...string) map[string][]byte {
	found := map[string][]byte{}
	for _, text := range texts {
		found[text] = []byte(text)
		found[text+", in hexadecimal"] = []byte(hex.EncodeToString([]byte(text)))
		found[text+", as a list of numbers"] = []byte(strings.Trim(fmt.Sprint([]byte(text)), "[]"))
		for shift := range 3 { // base64 has three spellings of what is in the middle
			encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), text...))
			begin, stop := (8*shift+5)/6, len(encoded)-1
			found[fmt.Sprintf("%s, in base64 (%d)", text, shift)] = []byte(encoded[begin:stop])
		}
	}
	return found
}

func find(t *testing.T, where string, content []byte, needles map[string][]byte) {
	t.Helper()
	for name, needle := range needles {
		if at := bytes.Index(content, needle); at >= 0 {
			t.Errorf("%s holds %s", where, name)
		}
	}
}

// searchFiles reads every file of every party. The engine keeps its own
// temporary files beside the warehouse.
func searchFiles(t *testing.T, f *rehearsal.Federation, needles map[string][]byte) {
	t.Helper()
	read := 0
	err := filepath.WalkDir(f.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), "warehouse.duckdb") {
			return nil // gone meanwhile, or the warehouse
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil // gone meanwhile
		}
		read++
		find(t, strings.TrimPrefix(path, f.Dir), content, needles)
		return nil
	})
	if err != nil || read < 50 {
		t.Errorf("%d files were read: %v", read, err)
	}
}

// The search finds what it looks for, or it would prove nothing.
func TestNeedlesAreFound(t *testing.T) {
	const text = "personne."
	hay := map[string]string{
		"plain": "x" + text + "7", "hex": hex.EncodeToString([]byte("x" + text + "7")), "list": fmt.Sprint([]byte("x" + text + "7")),
	}
	for shift := range 3 {
		hay[fmt.Sprint("base64 ", shift)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text + "7@example.org"))
	}
	for name, content := range hay {
		found := false
		for _, needle := range needles(text) {
			found = found || strings.Contains(content, string(needle))
		}
		if !found {
			t.Errorf("%s: not found in %q", name, content)
		}
	}
}
