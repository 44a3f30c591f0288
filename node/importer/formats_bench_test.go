//go:build unix

package importer

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// writers write n rows of sales in each format, never whole in memory: a person
// a row, as the largest houses have them.
var writers = map[Format]func(io.Writer, int) error{
	Delimited: func(w io.Writer, n int) error {
		_, err := io.Copy(w, generate(int64(n), false))
		return err
	},
	Workbook: writeWorkbook,
	JSON: func(w io.Writer, n int) error {
		for i := range n {
			if _, err := fmt.Fprintf(w, `{"courriel": "personne.%d@example.com", "commande": "A-%d", "spectacle": {"titre": "Spectacle %d"}, "salle": "Grande salle", "date": "2026-%02d-%02dT19:30:00", "quantité": %d, "montant": %d.5, "code postal": "H2X 1Y4"}`+"\n",
				i, i, i%40, 1+i%12, 1+i%28, 1+i%4, 20+i%60); err != nil {
				return err
			}
		}
		return nil
	},
	Parquet: func(w io.Writer, n int) error {
		out := parquet.NewGenericWriter[sale](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(50_000))
		day := int32(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400)
		for i := range n {
			row := sale{Email: fmt.Sprintf("personne.%d@example.com", i), Event: fmt.Sprintf("Spectacle %d", i%40), Day: day + int32(i%300), Quantity: int64(1 + i%4), Amount: int64(2050 + i%6000)}
			if _, err := out.Write([]sale{row}); err != nil {
				return err
			}
		}
		return out.Close()
	},
}

// writeWorkbook writes every text as a shared one, which is what Excel does.
func writeWorkbook(w io.Writer, n int) error {
	z := zip.NewWriter(w)
	part := func(name, text string) {
		p, _ := z.Create(name)
		io.WriteString(p, text)
	}
	part("[Content_Types].xml", "<Types/>")
	part("_rels/.rels", `<Relationships><Relationship Id="a" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>`)
	part("xl/workbook.xml", `<workbook xmlns:r="a"><sheets><sheet name="Ventes" sheetId="1" r:id="s"/></sheets></workbook>`)
	part("xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="s" Type="x/worksheet" Target="worksheets/sheet1.xml"/>`+
		`<Relationship Id="t" Type="x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="u" Type="x/styles" Target="styles.xml"/></Relationships>`)
	part("xl/styles.xml", `<styleSheet><cellXfs><xf/><xf numFmtId="22"/></cellXfs></styleSheet>`)
	texts, _ := z.Create("xl/sharedStrings.xml")
	b := bufio.NewWriter(texts)
	b.WriteString("<sst>")
	for _, text := range []string{"Courriel", "Commande", "Spectacle", "Salle", "Date", "Quantité", "Montant", "Code postal", "Grande salle", "H2X 1Y4"} {
		fmt.Fprintf(b, "<si><t>%s</t></si>", text)
	}
	for i := range 40 {
		fmt.Fprintf(b, "<si><t>Spectacle %d</t></si>", i)
	}
	for i := range n {
		fmt.Fprintf(b, "<si><t>personne.%d@example.com</t></si><si><t>A-%d</t></si>", i, i)
	}
	b.WriteString("</sst>")
	b.Flush()
	rows, _ := z.Create("xl/worksheets/sheet1.xml")
	b = bufio.NewWriter(rows)
	b.WriteString(`<worksheet><sheetData><row r="1">`)
	for i := range 8 {
		fmt.Fprintf(b, `<c r="%c1" t="s"><v>%d</v></c>`, 'A'+i, i)
	}
	b.WriteString("</row>")
	for i := range n {
		r := i + 2
		fmt.Fprintf(b, `<row r="%d"><c r="A%d" t="s"><v>%d</v></c><c r="B%d" t="s"><v>%d</v></c><c r="C%d" t="s"><v>%d</v></c><c r="D%d" t="s"><v>8</v></c>`+
			`<c r="E%d" s="1"><v>%d.8125</v></c><c r="F%d"><v>%d</v></c><c r="G%d"><v>%d.5</v></c><c r="H%d" t="s"><v>9</v></c></row>`,
			r, r, 50+2*i, r, 51+2*i, r, 10+i%40, r, r, 46000+i%300, r, 1+i%4, r, 20+i%60, r)
	}
	b.WriteString("</sheetData></worksheet>")
	b.Flush()
	return z.Close()
}

func written(t testing.TB, format Format, n int) *os.File {
	t.Helper()
	file, err := os.Create(t.TempDir() + "/sales")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	b := bufio.NewWriter(file)
	if err := writers[format](b, n); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	return file
}

func rewound(t testing.TB, file *os.File) *os.File {
	t.Helper()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return file
}

func BenchmarkFormats(b *testing.B) {
	const n = 100_000
	for _, format := range []Format{Delimited, Workbook, JSON, Parquet} {
		b.Run(string(format), func(b *testing.B) {
			file := written(b, format, n)
			info, err := file.Stat()
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			before := processorTime(b)
			for b.Loop() {
				sink := &discard{}
				if _, err := Import(b.Context(), rewound(b, file), options(Tickets), sink); err != nil || sink.rows != n {
					b.Fatal(err, sink.rows)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/(processorTime(b)-before).Seconds(), "rows/cpu-s")
		})
	}
}

// TestMemoryIsConstantInEveryFormat: four times the rows take no more memory at
// once. Of a workbook's texts four megabytes fill up first; the library for
// Parquet keeps buffers for as long as the collector lets it.
func TestMemoryIsConstantInEveryFormat(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a million rows")
	}
	for format, slack := range map[Format]uint64{Workbook: 8 << 20, JSON: 2 << 20, Parquet: 32 << 20} {
		small, large := peakOf(t, format, 60_000), peakOf(t, format, 240_000)
		t.Logf("%s: %d KiB, then %d KiB", format, small>>10, large>>10)
		if large > small+slack {
			t.Errorf("%s: memory grew from %d to %d bytes", format, small, large)
		}
	}
}

// peakOf is the most memory that is held when an import says how far it is.
func peakOf(t *testing.T, format Format, n int) (most uint64) {
	file := written(t, format, n)
	o := options(Tickets)
	calls := 0
	o.Progress = func(p Progress) {
		if calls++; p.Stage != StageReading && calls%16 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	sink := &discard{}
	if _, err := Import(t.Context(), rewound(t, file), o, sink); err != nil || sink.rows != int64(n) {
		t.Fatal(err, sink.rows)
	}
	return most
}

// TestTwoMillionRows: more than a sheet of Excel holds, in a stream that cannot
// be read twice.
func TestTwoMillionRows(t *testing.T) {
	if testing.Short() {
		t.Skip("reads two million rows three times")
	}
	const n = 2_000_000
	o := options(Tickets)
	o.SpoolDir = t.TempDir()
	sink := &discard{}
	report, err := Import(t.Context(), io.MultiReader(generate(n, false)), o, sink)
	if err != nil || sink.rows != n || report.Kept != n || report.Refused != 0 {
		t.Fatalf("%v: %d rows, %+v", err, sink.rows, report)
	}
	t.Logf("%d MiB in %.1f s", report.Bytes>>20, report.Duration.Seconds())
}
