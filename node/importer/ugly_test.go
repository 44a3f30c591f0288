package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"
)

// TestUglyFiles: what exports really look like, and what is left of them.
func TestUglyFiles(t *testing.T) {
	huge := strings.Repeat("z", 10<<20)
	for name, c := range map[string]struct {
		kind    Kind
		file    string
		rows    []string
		refused map[Reason]int64
	}{
		"ragged": {People, "courriel,nom,cp\na.b@example.com\nc.d@example.com,x,H2X,\ne.f@example.com,x,H2X,y\n,,\n\n",
			[]string{"2 a.b@example.com - ", "3 c.d@example.com - H2X"}, map[Reason]int64{ReasonTooManyCells: 1}},
		"cell split over lines": {People, "courriel,nom,cp\na.b@example.com,Jean\nTremblay,H2X\nc.d@example.com,x,H2X\n",
			[]string{"2 a.b@example.com - ", "4 c.d@example.com - H2X"}, map[Reason]int64{"no-at": 1}},
		"10 MB in a cell": {People, "courriel,notes\na.b@example.com," + huge + "\nc.d@example.com,x\n",
			[]string{"3 c.d@example.com - "}, map[Reason]int64{ReasonRowTooLong: 1}},
		"100 KB in a cell": {People, "courriel,notes\na.b@example.com,\"" + huge[:100<<10] + "\"\nc.d@example.com,x\n",
			[]string{"3 c.d@example.com - "}, map[Reason]int64{ReasonFieldTooLong: 1}},
		"zero bytes": {People, "courriel,nom\na.b@example.com,\x00\nc.d@example.com,x\n\x1a",
			[]string{"3 c.d@example.com - "}, map[Reason]int64{ReasonBinary: 1, "control-character": 1}},
		"formulas": {People, "courriel,téléphone\n\"=\"\"a.b@example.com\"\"\",\"=\"\"5145550123\"\"\"\nc.d@example.com,'+15145550199\n",
			[]string{"2 a.b@example.com +15145550123 ", "3 c.d@example.com +15145550199 "}, nil},
		"rounded phones": {People, "courriel;téléphone\na.b@example.com;1,51456E+10\n;1,51456E+10\n",
			[]string{"2 a.b@example.com - "}, map[Reason]int64{"phone-rounded": 1}},
		"stray mark": {People, "courriel,nom\na.b@example.com,\"Jean\nc.d@example.com,\"Luc\"\ne.f@example.com,Eve\n",
			[]string{"3 c.d@example.com - ", "4 e.f@example.com - "}, map[Reason]int64{ReasonBadQuote: 1}},
		"old Macintosh": {People, "courriel;nom\ra.b@example.com;x\rc.d@example.com;y\r",
			[]string{"2 a.b@example.com - ", "3 c.d@example.com - "}, nil},
		"tabs": {People, "courriel\tnom, prénom\tcp\na.b@example.com\tTremblay, Marie; dite M.\tH2X 1Y4\n",
			[]string{"2 a.b@example.com - H2X1Y4"}, nil},
		"bars": {People, "courriel|nom|cp\na.b@example.com|Tremblay, Marie|H2X 1Y4\n",
			[]string{"2 a.b@example.com - H2X1Y4"}, nil},
		"commas among semicolons": {Tickets, "courriel;spectacle;date;montant\na.b@example.com;Oui, non, peut-être;2026-11-23;12,50\n",
			[]string{"2 a.b@example.com -||Oui, non, peut-être|||2026-11-23|1|1250|"}, nil},
		"one column": {People, "courriel\na.b@example.com\nc.d@example.com", []string{"2 a.b@example.com - ", "3 c.d@example.com - "}, nil},
		"total at the end": {Tickets, "courriel;spectacle;date;qté;montant\na.b@example.com;Cid;2026-11-23;2;90,00 $\nTotal;;;2;90,00 $\n",
			[]string{"2 a.b@example.com -||Cid|||2026-11-23|2|9000|"}, map[Reason]int64{"no-at": 1}},
		"serial days": {Tickets, "courriel;spectacle;date\na.b@example.com;Cid;46349\nc.d@example.com;Cid;46349,8125\n",
			[]string{"2 a.b@example.com -||Cid|||2026-11-23|1|0|", "3 c.d@example.com -||Cid|||2026-11-23|1|0|"}, nil},
		"broken values": {Tickets, "email,event,date,quantity,amount,order\n" +
			"a.b@example.com,,2026-11-23,1,1.00,\na.b@example.com,Cid,,1,1.00,\na.b@example.com,Cid,demain,1,1.00,\n" +
			"a.b@example.com,Cid,2026-11-23,,1.00,\na.b@example.com,Cid,2026-11-23,1.5,1.00,\na.b@example.com,Cid,2026-11-23,1,free,\n" +
			"a.b@example.com,Cid,2026-11-23,1,€5,\na.b@example.com,Cid,2026-11-23,1,999999999999999,\na.b@example.com,Cid,2026-11-23,9999999999,1,\n" +
			"a.b@example.com,Cid,2026-11-23,1,1.00," + strings.Repeat("x", 201) + "\na.b@example.com," + strings.Repeat("x", 501) + ",2026-11-23,1,1.00,\n" +
			"a.b@example.com,C\x07id,2026-11-23,1,1.00,\na.b@example.com,Cid,2026-11-23,\"1,000\",1.00,\n",
			[]string{"14 a.b@example.com -||Cid|||2026-11-23|1000|100|"},
			map[Reason]int64{ReasonNoEvent: 1, ReasonNoDay: 1, ReasonBadDate: 1, ReasonBadQuantity: 3, ReasonBadAmount: 3,
				ReasonTextTooLong: 2, ReasonControl: 1}},
		"only bad addresses": {People, "courriel,nom\ninfo@example.com,x\nmarie@example,x\nmarie,x\nm\u200b@example.com,x\na@b@c.com,x\né@example.com,x\na.b@example.com,x\n",
			[]string{"8 a.b@example.com - "}, map[Reason]int64{"role-address": 1, "bad-domain": 1, "no-at": 1, "zero-width": 1, "many-at": 1, "not-ascii-local": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			report, sink := take(t, c.file, options(c.kind))
			wantRows(t, sink, c.rows...)
			if got := reasons(report.RefusedBy); !maps.Equal(got, c.refused) {
				t.Errorf("refused %v, want %v", got, c.refused)
			}
			if report.Rows != report.Kept+report.Refused {
				t.Errorf("%d rows, %d kept, %d refused", report.Rows, report.Kept, report.Refused)
			}
		})
	}
}

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
