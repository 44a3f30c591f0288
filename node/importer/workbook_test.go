package importer

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// workbook writes a workbook with a library that is not ours.
func workbook(t testing.TB, fill func(*excelize.File), o ...excelize.Options) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	fill(f)
	var b bytes.Buffer
	if err := f.Write(&b, o...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// sheet writes rows of cells, nil for none.
func sheet(t testing.TB, f *excelize.File, name string, rows ...[]any) {
	t.Helper()
	if i, _ := f.GetSheetIndex(name); i < 0 {
		if _, err := f.NewSheet(name); err != nil {
			t.Fatal(err)
		}
	}
	for i, cells := range rows {
		at, _ := excelize.CoordinatesToCellName(1, i+1)
		if err := f.SetSheetRow(name, at, &cells); err != nil {
			t.Fatal(err)
		}
	}
}

func style(t testing.TB, f *excelize.File, name, from, to, format string) {
	t.Helper()
	id, err := f.NewStyle(&excelize.Style{CustomNumFmt: &format})
	if err == nil {
		err = f.SetCellStyle(name, from, to, id)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var headings = []any{"Courriel", "Téléphone", "Commande", "Spectacle", "Salle", "Date", "Quantité", "Montant", "Code postal"}

func TestWorkbook(t *testing.T) {
	night := time.Date(2026, 11, 23, 19, 30, 0, 0, time.UTC)
	file := workbook(t, func(f *excelize.File) {
		sheet(t, f, "Sheet1", []any{"Rapport des ventes"}, nil, headings,
			[]any{"marie@example.com", 5145550123, 1001, "L'Avare", "Grande salle", night, 2, 91.5, "H2X 1Y4"},
			[]any{"luc@example.com", "438 555-0199", "A-2", 1984, nil, 46349, 1, 1.234},
			nil,
			[]any{"eve@example.com", nil, nil, "Cid", nil, "24/11/2026", 1, "1 234,50 $"},
			[]any{"zoe@example.com", nil, nil, "Cid", nil, "2026-11-25", 3, 0.1 + 0.2, 1234})
		style(t, f, "Sheet1", "F4", "F4", "dd/mm/yy hh:mm")
		style(t, f, "Sheet1", "I8", "I8", "00000")
	})
	report, sink := take(t, file, options(Tickets))
	wantRows(t, sink,
		"4 marie@example.com +15145550123|1001|L'Avare||Grande salle|2026-11-23|2|9150|H2X1Y4",
		"5 luc@example.com +14385550199|A-2|1984|||2026-11-23|1|123|",
		"7 eve@example.com -||Cid|||2026-11-24|1|123450|",
		"8 zoe@example.com -||Cid|||2026-11-25|3|30|01234")
	if report.Format != Workbook || report.Sheet != "Sheet1" || report.HeaderLine != 3 || len(report.Warnings) != 0 {
		t.Errorf("%+v", report)
	}
	for lang, want := range map[string]string{"fr": "Classeur Excel, feuille\u00a0: Sheet1\n", "en": "Excel workbook, sheet: Sheet1\n"} {
		var b strings.Builder
		if report.Render(&b, lang); !strings.Contains(b.String(), want) {
			t.Errorf("the report says\n%s", b.String())
		}
	}
}

// TestSheets: each sheet of a workbook may be taken, one after the other, and
// none twice.
func TestSheets(t *testing.T) {
	file := workbook(t, func(f *excelize.File) {
		sheet(t, f, "Automne", []any{"Courriel"}, []any{"a.b@example.com"}, []any{"c.d@example.com"})
		sheet(t, f, "Été", []any{"Courriel"}, []any{"e.f@example.com"})
		if err := f.SetSheetVisible("Été", false); err != nil {
			t.Fatal(err)
		}
		if err := f.SetRowVisible("Automne", 3, false); err != nil {
			t.Fatal(err)
		}
	})
	sink := newMemory(t)
	for i, c := range []struct {
		name string
		want error
	}{{"", nil}, {"ete", nil}, {"Automne", errSeen}, {"Été", errSeen}} {
		o := options(People)
		o.Mapping.Sheet = c.name
		report, err := Import(t.Context(), strings.NewReader(file), o, sink)
		if !errors.Is(err, c.want) {
			t.Errorf("import %d: %v", i+1, err)
		}
		if i == 0 && (report.Sheet != "Automne" || !slices.Equal(report.Sheets, []string{"Sheet1", "Été"}) || reasons(report.Warnings)[WarningHiddenRow] != 1) {
			t.Errorf("%+v", report)
		}
	}
	wantRows(t, sink, "2 a.b@example.com - ", "3 c.d@example.com - ", "2 e.f@example.com - ")
	o := options(People)
	o.Mapping.Sheet = "Hiver"
	if found := refusedFor(t, file, o, ProblemSheet); !strings.Contains(found.Text.FR, `"Automne"`) {
		t.Error(found.Text)
	}
	locked := workbook(t, func(f *excelize.File) { sheet(t, f, "Sheet1", []any{"email"}) }, excelize.Options{Password: "secret"})
	if found := refusedFor(t, locked, o, ProblemPassword); found == nil {
		t.Error("a locked workbook is taken")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestWorkbookFromAStream: a workbook that cannot be read twice, and one that
// changes while it is read.
func TestWorkbookFromAStream(t *testing.T) {
	file := workbook(t, func(f *excelize.File) { sheet(t, f, "Sheet1", []any{"Courriel"}, []any{"a.b@example.com"}) })
	for name, cut := range map[string]io.Reader{
		"no seek":    io.MultiReader(strings.NewReader(file)),
		"cut seeks":  &cutSeeker{strings.NewReader(file)},
		"in a place": at(t, "before"+file, 6),
	} {
		o := options(People)
		o.SpoolDir = t.TempDir()
		sink := newMemory(t)
		if _, err := Import(t.Context(), cut, o, sink); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantRows(t, sink, "2 a.b@example.com - ")
		if left, _ := os.ReadDir(o.SpoolDir); len(left) != 0 {
			t.Errorf("%s: a copy stayed on disk", name)
		}
	}
	name := t.TempDir() + "/sales.xlsx"
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	sink := &writingSink{newMemory(t), func() { os.WriteFile(name, []byte(file+"x"), 0o600) }}
	var found *Problem
	if _, err := Import(t.Context(), opened, options(People), sink); !errors.As(err, &found) || found.Code != ProblemChanged {
		t.Errorf("got %v", err)
	}
}

func at(t *testing.T, text string, offset int64) io.Reader {
	r := strings.NewReader(text)
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return r
}
