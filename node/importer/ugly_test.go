package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// TestReportHoldsNobody puts persons where reports and errors repeat what a
// file says: headings, names of columns, unknown disciplines.
func TestReportHoldsNobody(t *testing.T) {
	for _, file := range []string{
		"courriel;spectacle;date;discipline;notes secretname@example.com;514 555-0123\n" +
			"secretname@example.com;Cid;2026-11-23;secretname@example.com;x;y\ninfo@secret.example.com;Cid;2026-11-23;x;;\n" +
			"secretname@example.com;Cid;2026-11-23;514 555-0123;;\n",
		"secretname@example.com;Cid;2026-11-23\n",
		"secretname@example.com;courriel;5145550123\nx;secretname@example.com\n",
		"courriel;spectacle;date;montant\nsecretname@example.com;Cid;01/02/2026;1,234\n",
		"courriel;spectacle;date\nsecretname@example.com;\"Cid;2026-11-23",
	} {
		sink := newMemory(t)
		report, err := Import(t.Context(), strings.NewReader(file), options(Tickets), sink)
		var out bytes.Buffer
		json.NewEncoder(&out).Encode(report)
		report.Render(&out, "fr")
		report.Render(&out, "en")
		var found *Problem
		if errors.As(err, &found) {
			out.WriteString(found.Text.FR + found.Text.EN)
		} else if err != nil {
			out.WriteString(err.Error())
		}
		for _, leak := range []string{"secret", "555-0123", "5145550123"} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("%q is repeated in\n%s", leak, out.String())
			}
		}
	}
}

var update = flag.Bool("update", false, "write the golden reports anew")

// TestGoldenReports: the words that an operator reads, in both languages.
func TestGoldenReports(t *testing.T) {
	people, _ := take(t, peopleFile, options(People))
	tickets, _ := take(t, "Rapport des ventes\n\n"+sales+strings.Repeat("info@example.com;;;Cid;;;23/11/2026;1;5,00;\n", 7)+
		"luc@example.com;;;Cid;;;23/11/2026;x;5,00;\n", options(Tickets))
	for name, report := range map[string]Report{"people": people, "tickets": tickets} {
		report.Run, report.Duration = "0123456789abcdef0123456789abcdef", 1234567*time.Microsecond
		var asJSON bytes.Buffer
		encoder := json.NewEncoder(&asJSON)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/"+name+".json", asJSON.Bytes())
		for _, lang := range []string{"fr", "en"} {
			var out bytes.Buffer
			if err := report.Render(&out, lang); err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+name+"."+lang+".txt", out.Bytes())
		}
		var again Report
		if err := json.Unmarshal(asJSON.Bytes(), &again); err != nil {
			t.Error(err)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", name, got)
	}
}

func TestEveryReasonHasBothLanguages(t *testing.T) {
	for reason, text := range sentences {
		if err := text.Check(); err != nil || reason.Text() != text {
			t.Errorf("%s: %v", reason, err)
		}
	}
	for _, reason := range []Reason{ReasonBadEncoding, ReasonControl, "role-address"} {
		if err := reason.Text().Check(); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func FuzzImport(f *testing.F) {
	for _, text := range []string{sales, peopleFile, "courriel\r\"a\"b\r", "sep=|\nemail|event|date\na.b@example.com|Cid|03/04/2026\n"} {
		for _, file := range inEveryEncoding(f, strings.NewReplacer("\ufeff", "").Replace(text)) {
			f.Add(file, true)
			f.Add(file, false)
		}
	}
	for _, file := range []string{
		workbook(f, func(book *excelize.File) {
			sheet(f, book, "Sheet1", headings, []any{"a.b@example.com", 5145550123, 1, "Cid", "A", 46349, 1, 45.5, "H2X"})
		}),
		parquetFile(f, []sale{{Email: "a.b@example.com", Event: "Cid", Day: 20780, Quantity: 1, Amount: 4500}}),
		`{"email": "a.b@example.com", "event": {"name": "Cid"}, "date": "2026-11-23", "quantity": 1e0, "x": [1, "]"]}` + "\n{\"email\": \"\\u00e9\"}",
		`[{"email": "a.b@example.com"}, {"email": null, "phone": 5145550123}]`,
	} {
		f.Add([]byte(file), true)
		f.Add([]byte(file), false)
	}
	f.Fuzz(func(t *testing.T, file []byte, people bool) {
		o := options(Tickets)
		if people {
			o.Kind = People
		}
		sink := newMemory(t)
		report, err := Import(t.Context(), io.MultiReader(bytes.NewReader(file)), o, sink)
		if report.Kept+report.Refused != report.Rows {
			t.Fatalf("%d rows, %d kept, %d refused", report.Rows, report.Kept, report.Refused)
		}
		for _, tallies := range [][]Tally{report.RefusedBy, report.Discarded, report.Warnings} {
			for _, tally := range tallies {
				if tally.Reason.Text().Check() != nil || tally.Count < int64(len(tally.Lines)) {
					t.Fatalf("%+v", tally)
				}
			}
		}
		var found *Problem
		if err != nil && !errors.As(err, &found) {
			t.Fatalf("a file gave the error %v", err)
		}
		if err == nil && (sink.committed != 1 || int64(len(sink.kept)+len(sink.sold)) != report.Kept) {
			t.Fatalf("%d committed, %d rows, report %+v", sink.committed, len(sink.kept)+len(sink.sold), report)
		}
		if err != nil && (sink.committed != 0 || sink.run != nil) {
			t.Fatalf("refused with %v, but the run is open or kept", err)
		}
		for _, row := range sink.sold {
			if row.Day.Check() != nil || row.Email == nil && row.Phone == nil || row.Event == "" {
				t.Fatal("a row is incomplete")
			}
		}
	})
}
