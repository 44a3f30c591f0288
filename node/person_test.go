package node

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/importer"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// openHouse opens a house alone, again if need be.
func openHouse(t *testing.T, f *Folder) *House {
	t.Helper()
	h, err := OpenHouse(t.Context(), Config{Folder: f, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func closeHouse(t *testing.T, h *House) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, h *House, file, rows string) importer.Report {
	t.Helper()
	into := h.intake()
	report, err := importer.Import(t.Context(), strings.NewReader(rows), importer.Options{Kind: importer.People, File: file, SpoolDir: t.TempDir()}, into)
	if err != nil {
		t.Fatal(err)
	}
	return report.Less(importer.ReasonErased, into.out)
}

const guests = `email,phone,postal_code,pooling,activation
claire@example.org,514-555-0142,H2X 1Y4,yes,yes
paul@example.org,514-555-0142,H3A 1A1,yes,no
anne@example.org,514-555-0155,H3A 1A1,yes,no
`

func who(t *testing.T, h *House, words string) []PersonLine {
	t.Helper()
	found, err := h.FindPeople(t.Context(), words, "CA")
	if err != nil && !errors.Is(err, ErrNobody) {
		t.Fatal(err)
	}
	return found.People
}

// Wherever a process ends in an erasure, the next one ends the erasure.
func TestAnErasureGoesOn(t *testing.T) {
	ctx := t.Context()
	for name, upTo := range map[string]func(*testing.T, *House, erasure){
		"written down": func(*testing.T, *House, erasure) {},
		"out of the warehouse": func(t *testing.T, h *House, e erasure) {
			if _, err := h.warehouse.Erase(ctx, e.Person); err != nil {
				t.Fatal(err)
			}
		},
		"all but the receipt": func(t *testing.T, h *House, e erasure) {
			if err := h.takeOut(ctx, &e); err != nil {
				t.Fatal(err)
			}
		},
		"all but the note": func(t *testing.T, h *House, e erasure) {
			if err := h.takeOut(ctx, &e); err != nil {
				t.Fatal(err)
			}
			if _, err := h.signReceipt(e); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t)
			h := openHouse(t, f)
			take(t, h, "a.csv", guests)
			e, names, err := h.planErasure(ctx, who(t, h, "claire@example.org")[0].Number)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(h.erased.add(ErasedNote{Erasure: e.ID, At: e.At}, names...), h.keepErasure(e)); err != nil {
				t.Fatal(err)
			}
			upTo(t, h, e)
			closeHouse(t, h)

			h = openHouse(t, f)
			defer closeHouse(t, h)
			if list, err := h.Erasures(); err != nil || len(list) != 1 || list[0].Stage == ErasureDone {
				t.Errorf("before it goes on: %+v, %v", list, err)
			}
			if err := h.continueErasures(ctx); err != nil {
				t.Fatal(err)
			}
			if len(who(t, h, "claire@example.org")) > 0 || len(who(t, h, "514 555 0142")) != 1 {
				t.Error("the wrong people are left")
			}
			list, err := h.Erasures()
			if err != nil || len(list) != 1 || list[0].Stage != ErasureDone || list[0].ID != e.ID {
				t.Fatalf("after it went on: %+v, %v", list, err)
			}
			receipt, err := protocol.Open(protocol.Hash{}, *list[0].Receipt, f.Card.Node)
			if err != nil || !slices.Contains(receipt.Removed, Removed{"identities", 2}) {
				t.Errorf("the receipt: %+v, %v", receipt, err)
			}
		})
	}
}

// A correction that a process did not end is ended by the next one.
func TestARectificationGoesOn(t *testing.T) {
	f := newFolder(t)
	h := openHouse(t, f)
	take(t, h, "a.csv", guests)
	id := who(t, h, "claire@example.org")[0].Number
	right, err := Correction{Email: "c@example.com"}.read()
	if err == nil {
		err = h.keepErasure(newErasure(id, erasureOfName))
	}
	if err == nil {
		_, err = h.warehouse.Rectify(t.Context(), id, right)
	}
	if err != nil {
		t.Fatal(err)
	}
	closeHouse(t, h)
	h = openHouse(t, f)
	defer closeHouse(t, h)
	if err := h.continueErasures(t.Context()); err != nil {
		t.Fatal(err)
	}
	if under, err := h.erasuresUnderWay(); err != nil || len(under) > 0 {
		t.Errorf("%d under way: %v", len(under), err)
	}
	content, err := os.ReadFile(f.path(fileWarehouse))
	if err != nil || bytes.Contains(content, []byte("claire@example.org")) || !bytes.Contains(content, []byte("c@example.com")) {
		t.Errorf("the file has the former address, or not the present one: %v", err)
	}
}

// What was erased does not come back by a file, until it is let in again; a
// shared telephone stays the others'.
func TestErasedPeopleStayOut(t *testing.T) {
	f := newFolder(t)
	h := openHouse(t, f)
	take(t, h, "a.csv", guests)
	for _, address := range []string{"claire@example.org", "anne@example.org"} {
		if e, err := h.Erase(t.Context(), who(t, h, address)[0].Number); err != nil || e.Stage != ErasureDone {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	closeHouse(t, h)
	h = openHouse(t, f)
	defer func() { closeHouse(t, h) }()
	report := take(t, h, "b.csv", guests+`,514-555-0155,,yes,yes
,514-555-0142,,yes,yes
neuve@example.org,514-555-0155,,yes,yes
`)
	if report.Rows != 6 || report.Kept != 3 || report.Refused != 3 || len(report.RefusedBy) != 1 ||
		report.RefusedBy[0].Reason != importer.ReasonErased || !slices.Equal(report.RefusedBy[0].Lines, []int64{2, 4, 5}) {
		t.Errorf("the report: %+v", report)
	}
	if people := who(t, h, "neuve@example.org"); len(people) != 1 || len(people[0].Identities) != 1 {
		t.Errorf("an erased telephone came back with somebody else: %d", len(people))
	}
	if err := h.Readmit("CLAIRE@example.org", "CA"); err != nil {
		t.Fatal(err)
	}
	if err := h.Readmit("claire@example.org", "CA"); !errors.Is(err, ErrNobody) {
		t.Errorf("let in twice: %v", err)
	}
	take(t, h, "c.csv", guests+"\n")
	if len(who(t, h, "claire@example.org")) != 1 || len(who(t, h, "anne@example.org")) != 0 {
		t.Error("who was let in did not come, or somebody else did")
	}
}

// A browser's word from before the erasure, which was still in the spool, does
// not bring the person back; its word from later is somebody who came back.
func TestTheSpoolDoesNotBringBack(t *testing.T) {
	h := openHouse(t, newFolder(t))
	defer closeHouse(t, h)
	take(t, h, "a.csv", guests)
	if _, err := h.Erase(t.Context(), who(t, h, "claire@example.org")[0].Number); err != nil {
		t.Fatal(err)
	}
	events := sifted{h.warehouse, h.erased}
	declare := func(at time.Time, segment uint64) {
		t.Helper()
		_, err := events.Take(t.Context(), warehouse.Batch{
			Links: []warehouse.Link{{Visitor: warehouse.VisitorID{1}, At: at, Kind: "email", Value: "claire@example.org"}},
			Upto:  warehouse.Position{Segment: segment},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	declare(time.Now().Add(-time.Minute), 1)
	if len(who(t, h, "claire@example.org")) != 0 {
		t.Error("the spool brought an erased person back")
	}
	declare(time.Now().Add(time.Minute), 2)
	if len(who(t, h, "claire@example.org")) != 1 {
		t.Error("who came back is not taken in")
	}
}

// No file of the node names who was erased, nor does an error.
func TestNothingNamesTheErased(t *testing.T) {
	f := newFolder(t)
	h := openHouse(t, f)
	take(t, h, "a.csv", guests)
	if _, err := h.Erase(t.Context(), who(t, h, "claire@example.org")[0].Number); err != nil {
		t.Fatal(err)
	}
	_, missing := h.FindPeople(t.Context(), "inconnue.secrete@example.org", "CA")
	_, taken := h.Rectify(t.Context(), who(t, h, "paul@example.org")[0].Number, Correction{Email: "anne@example.org"})
	_, wrong := h.Rectify(t.Context(), who(t, h, "paul@example.org")[0].Number, Correction{Email: "secrete@@example"})
	for _, err := range []error{missing, taken, wrong} {
		if err == nil || strings.Contains(err.Error()+Words(err).FR+Words(err).EN, "secrete") || strings.Contains(err.Error(), "anne") {
			t.Errorf("an error: %v", err)
		}
	}
	closeHouse(t, h)
	err := filepath.WalkDir(f.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if opened, err := seal.NewReader(bytes.NewReader(content), f.identity); err == nil {
			plain, _ := io.ReadAll(opened)
			content = append(content, plain...)
		}
		if bytes.Contains(content, []byte("claire")) {
			t.Errorf("%s names her", entry.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a person takes along fits its schema's required parts, has every row,
// and is read by a spreadsheet.
func TestWhatAPersonTakesAlong(t *testing.T) {
	h := openHouse(t, newFolder(t))
	defer closeHouse(t, h)
	take(t, h, "a.csv", guests)
	number := who(t, h, "claire@example.org")[0].Number
	raw, err := h.ExportPerson(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	files, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		file, err := files.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	var schema struct {
		Required   []string       `json:"required"`
		Properties map[string]any `json:"properties"`
	}
	var copied map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(read("schema.json"), &schema), json.Unmarshal(read("person.json"), &copied)); err != nil {
		t.Fatal(err)
	}
	if len(copied) != len(schema.Properties) || len(copied) != len(schema.Required) {
		t.Errorf("%d members in the document, %d in the schema", len(copied), len(schema.Properties))
	}
	for _, member := range schema.Required {
		if copied[member] == nil || string(copied[member]) == "null" {
			t.Errorf("%s is missing", member)
		}
	}
	rows, err := csv.NewReader(bytes.NewReader(read("tables/identities.csv"))).ReadAll()
	if err != nil || len(rows) != 3 || !slices.Equal(rows[0], []string{"person", "kind", "value", "principal"}) ||
		!slices.ContainsFunc(rows, func(row []string) bool { return row[2] == "claire@example.org" && row[3] == "true" }) {
		t.Errorf("the table: %q, %v", rows, err)
	}
	if text := string(raw) + string(read("person.json")); strings.Contains(text, "paul@") {
		t.Error("it holds somebody else")
	}
}
