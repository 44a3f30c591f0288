package xlsx

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/xuri/excelize/v2"
)

func everywhere(int) bool { return true }
func nowhere(int) bool    { return false }

func open(t testing.TB, file []byte) (*Book, error) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Skip(err)
	}
	b, err := Open(z, t.TempDir())
	if err == nil {
		t.Cleanup(func() { b.Close() })
	}
	return b, err
}

// table reads a sheet whole, cells by the number of their row.
func table(b *Book, sheet int, fill func(int) bool) (map[int64][]string, error) {
	rows := make(map[int64][]string)
	r, err := b.Rows(sheet, fill)
	if err != nil {
		return nil, err
	}
	for {
		row, err := r.Next()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		var cells []string
		for _, cell := range row.Cells {
			cells = append(cells, string(cell))
		}
		rows[row.Number] = cells
	}
}

// TestAgainstAnotherReader reads workbooks that Excel wrote with a library that
// is not ours: the texts are the same, and the numbers are where ours are. They
// lie with that library's own tests.
func TestAgainstAnotherReader(t *testing.T) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/xuri/excelize/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Book1", "SharedStrings", "MergeCell"} {
		file, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "test", name+".xlsx"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := open(t, file)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := excelize.OpenReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		cells := 0
		for i, sheet := range b.Sheets() {
			ours, err := table(b, i, nowhere)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, sheet.Name, err)
			}
			want, err := theirs.GetRows(sheet.Name, excelize.Options{RawCellValue: true})
			if err != nil {
				t.Fatal(err)
			}
			for n, row := range want {
				for column, value := range row {
					cells++
					got := ""
					if mine := ours[int64(n+1)]; column < len(mine) {
						got = mine[column]
					}
					if !same(got, value) {
						t.Errorf("%s, %s, row %d, column %d: %q, not %q", name, sheet.Name, n+1, column+1, got, value)
					}
				}
			}
		}
		if cells == 0 {
			t.Errorf("%s has no cells", name)
		}
	}
}

// same compares what we make of a cell with what the file has: a date of ours is
// a number there, and so is yes or no.
func same(ours, raw string) bool {
	if ours == raw || ours == notComputed && raw == "" {
		return true
	}
	if _, err := strconv.ParseFloat(raw, 64); err != nil {
		return false
	}
	a, errA := strconv.ParseFloat(ours, 64)
	b, _ := strconv.ParseFloat(raw, 64)
	return errA == nil && a == b || strings.Count(ours, "-") == 2 || strings.Count(ours, ":") == 2 || ours == "true" || ours == "false"
}

// parts writes a workbook part by part, to hold what no library writes.
func parts(t testing.TB, sheet string, more ...string) []byte {
	t.Helper()
	list := append([]string{
		"_rels/.rels", `<Relationships><Relationship Id="a" Type="x/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml", `<x:workbook xmlns:x="a" xmlns:q="b"><x:sheets><x:sheet name="Caf&#233; &amp; cie" sheetId="1" q:id="s"/></x:sheets></x:workbook>`,
		"xl/_rels/workbook.xml.rels", `<Relationships><Relationship Id="s" Type="x/worksheet" Target="/xl/worksheets/sheet1.xml"/>` +
			`<Relationship Id="t" Type="x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="u" Type="x/styles" Target="styles.xml"/></Relationships>`,
		"xl/sharedStrings.xml", `<sst><si><t>un</t></si><si><r><t>de</t></r><r><rPr/><t xml:space="preserve">ux </t></r><rPh><t>x</t></rPh></si><si><t>a_x000D_b_x005F_x</t></si><si/></sst>`,
		"xl/styles.xml", `<styleSheet><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd"/></numFmts><cellXfs><xf/><xf numFmtId="14"/><xf numFmtId="164"/></cellXfs></styleSheet>`,
		"xl/worksheets/sheet1.xml", sheet}, more...)
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(list); i += 2 {
		part, err := w.CreateHeader(&zip.FileHeader{Name: list[i]}) // as it is: fuzzing wants no noise
		if err == nil {
			_, err = io.WriteString(part, list[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCells(t *testing.T) {
	sheet := `<?xml version="1.0"?><!-- a comment > --><x:worksheet xmlns:x="a"><x:sheetData>` +
		`<x:row r="2" hidden="1"><x:c r="B2" t="s"><x:v>0</x:v></x:c><x:c r="D2" t="s"><x:v>1</x:v></x:c><x:c t="s"><x:v>2</x:v></x:c><x:c t="s"><x:v>3</x:v></x:c></x:row>` +
		`<x:row><x:c s="1"><x:v>46349</x:v></x:c><x:c s="2"><x:v>46349.8125</x:v></x:c><x:c s="2"><x:v>0.5</x:v></x:c><x:c><x:v>1.5E+3</x:v></x:c><x:c s="9"><x:v>-0.30000000000000004</x:v></x:c></x:row>` +
		`<x:row r="7" a="&gt;'>"><x:c t="inlineStr"><x:is><x:t>in &lt;line&gt;</x:t></x:is></x:c><x:c t="str"><x:f>A1&amp;B1</x:f><x:v>texte</x:v></x:c>` +
		`<x:c t="b"><x:v>1</x:v></x:c><x:c t="e"><x:v>#N/A</x:v></x:c><x:c><x:f>1+1</x:f></x:c><x:c t="d"><x:v>2026-11-23</x:v></x:c><x:c><x:v><![CDATA[12]]></x:v></x:c><x:c s="1"/></x:row>` +
		`<x:row/></x:sheetData></x:worksheet>`
	b, err := open(t, parts(t, sheet))
	if err != nil {
		t.Fatal(err)
	}
	if s := b.Sheets(); len(s) != 1 || s[0].Name != "Café & cie" || s[0].Hidden || b.Since1904() {
		t.Errorf("%+v", s)
	}
	got, err := table(b, 0, nowhere)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int64][]string{
		2: {"", "un", "", "deux ", "a\rb_x"},
		3: {"2026-11-23", "2026-11-23T19:30:00", "12:00:00", "1500", "-0.30000000000000004"},
		7: {"in <line>", "texte", "true", "#N/A", notComputed, "2026-11-23", "12"},
		8: nil}
	for n, cells := range want {
		if !slices.Equal(got[n], cells) {
			t.Errorf("row %d: %q, not %q", n, got[n], cells)
		}
	}
	if len(got) != len(want) {
		t.Errorf("rows %v", got)
	}
}

func TestMerges(t *testing.T) {
	sheet := `<worksheet><sheetData><row r="1"><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row><row r="2"/><row r="4"><c r="B4"><v>5</v></c></row></sheetData>` +
		`<mergeCells><mergeCell ref="A1:A3"/><mergeCell ref="B1:B9"/><mergeCell ref="C1:D1"/></mergeCells></worksheet>`
	b, err := open(t, parts(t, sheet))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := table(b, 0, everywhere)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(map[int64][]string{1: {"un", "deux "}, 2: {"un", "deux "}, 4: {"", "5"}}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got, err := table(b, 0, nowhere); err != nil || len(got[2]) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDamage(t *testing.T) {
	good := `<worksheet><sheetData><row r="1"><c t="s"><v>0</v></c></row></sheetData></worksheet>`
	for name, c := range map[string]struct {
		sheet string
		want  error
	}{
		"cut":                  {good[:40], ErrDamaged},
		"no rows":              {`<worksheet></worksheet>`, ErrDamaged},
		"rows out of order":    {`<sheetData><row r="2"/><row r="1"/></sheetData>`, ErrDamaged},
		"cells out of order":   {`<sheetData><row><c r="B1"/><c r="A1"/></row></sheetData>`, ErrDamaged},
		"a text that is not":   {`<sheetData><row><c t="s"><v>9</v></c></row></sheetData>`, ErrDamaged},
		"too many rows":        {`<sheetData><row r="1048577"/></sheetData>`, ErrTooLarge},
		"a long text":          {`<sheetData><row><c t="str"><v>` + strings.Repeat("x", maxToken+1) + `</v></c></row></sheetData>`, ErrTooLarge},
		"a long tag":           {`<sheetData><row a="` + strings.Repeat("x", maxToken+1) + `"/></sheetData>`, ErrTooLarge},
		"a document type":      {`<!DOCTYPE a [<!ENTITY b "c">]>` + good, ErrDamaged},
		"an unknown entity":    {`<sheetData><row><c t="str"><v>&b;</v></c></row></sheetData>`, ErrDamaged},
		"text that is no text": {"<sheetData><row><c t=\"str\"><v>\xff</v></c></row></sheetData>", ErrDamaged},
		"merges without end":   {`<sheetData/>` + strings.Repeat(`<mergeCell ref="A1:A2"/>`, maxMerged+1), ErrTooLarge},
	} {
		b, err := open(t, parts(t, c.sheet))
		if err == nil {
			_, err = table(b, 0, everywhere)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(t, parts(t, good, "xl/workbook.xml", `<workbook><sheets>`+strings.Repeat(`<sheet r:id="s"/>`, MaxSheets+1))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("many sheets: %v", err)
	}
}

// TestWideRow: a row that is too wide or too long is marked, and costs no other.
func TestWideRow(t *testing.T) {
	wide := `<row><c r="A1" t="s"><v>0</v></c><c r="SS1"><v>1</v></c></row>`
	long := `<row>` + strings.Repeat(`<c t="str"><v>`+strings.Repeat("x", 200_000)+`</v></c>`, 6) + `</row>`
	b, err := open(t, parts(t, `<sheetData>`+wide+long+`<row><c><v>1</v></c></row></sheetData>`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Rows(0, nowhere)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		row, err := r.Next()
		if err != nil || row.Long != want || want == (len(row.Cells) > 0) {
			t.Errorf("row %d: %+v, %v", i+1, row, err)
		}
	}
}

// TestManyTexts: texts that fill more than memory is given come back as they
// were, in any order.
func TestManyTexts(t *testing.T) {
	dir := t.TempDir()
	table := &stringTable{texts: &spill{dir: dir}, ends: &spill{dir: dir}}
	text := func(i int) string { return strings.Repeat(strconv.Itoa(i), 1+i%23) }
	const n = 700_000
	for i := range n {
		if err := table.add([]byte(text(i))); err != nil {
			t.Fatal(err)
		}
	}
	if table.texts.file == nil || table.ends.file == nil {
		t.Error("nothing went to the file")
	}
	for i := 0; i < n; i += 3 {
		for _, at := range []int{i, i * 7919 % n, i % 40} {
			if got, err := table.append([]byte("<"), at); err != nil || string(got) != "<"+text(at) {
				t.Fatalf("text %d is %q, %v", at, got, err)
			}
		}
	}
	if err := table.close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Error("a file stayed on disk")
	}
}

func TestFormats(t *testing.T) {
	for code, want := range map[string]format{
		"General":                        {},
		"0":                              {},
		"0.00":                           {},
		"#,##0.00":                       {},
		"00000":                          {digits: 5},
		`0#" "##" "##" "##" "##`:         {digits: 10},
		`000\-000\-0000`:                 {digits: 10},
		"dd/mm/yy":                       {date: true},
		"[$-C0C]d mmmm yyyy;@":           {date: true},
		"[h]:mm":                         {date: true},
		`"du jour" 0`:                    {},
		"[Red]0.00;-0.00":                {},
		`#,##0.00\ "$"`:                  {},
		`#,##0.00 [$€-40C]`:              {currency: "€"},
		`"€" 0.00`:                       {currency: "€"},
		`[$USD] 0.00`:                    {currency: "USD"},
		`_-* #,##0.00\ _$_-;-* #,##0.00`: {},
		`"unfinished`:                    {},
	} {
		if got := parseFormat(code); got != want {
			t.Errorf("%s: %+v, not %+v", code, got, want)
		}
	}
}

// FuzzMarkup reads what encoding/xml reads, and cuts it where it does; pieces of
// any size make no difference.
func FuzzMarkup(f *testing.F) {
	for _, seed := range []string{`<a b="c" d='e>'>f&amp;&#233;<g/></a>`, `<?xml version="1.0"?><!-- x --><x:a><![CDATA[<&]]>t</x:a>`, `<a>&lt;</a`, `<!DOCTYPE a>`, "<a>\xff</a>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, errWhole := tokens(strings.NewReader(text))
		pieces, errPieces := tokens(iotest.OneByteReader(strings.NewReader(text)))
		if errWhole == nil != (errPieces == nil) || !slices.Equal(whole, pieces) {
			t.Fatalf("%q and %q, %v and %v", whole, pieces, errWhole, errPieces)
		}
		theirs, err := theirTokens(text)
		// They make one kind of line end of all; a cell is read as words, where
		// it makes no difference.
		same := func(a, b string) bool { return lineEnds.Replace(a) == lineEnds.Replace(b) }
		if err == nil && errWhole == nil && !slices.EqualFunc(whole, theirs, same) {
			t.Fatalf("%q, not %q", whole, theirs)
		}
	})
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

func tokens(r io.Reader) (list []string, err error) {
	m := newMarkup(io.NopCloser(r))
	text := ""
	for {
		kind, err := m.next()
		if kind == words {
			text += string(m.text)
			continue
		}
		if text != "" {
			list, text = append(list, "text "+text), ""
		}
		switch {
		case err == io.EOF:
			return list, nil
		case err != nil:
			return list, err
		case kind == opening:
			list = append(list, "open "+string(m.name))
		default:
			list = append(list, "close "+string(m.name))
		}
	}
}

func theirTokens(text string) (list []string, err error) {
	d := xml.NewDecoder(strings.NewReader(text))
	said := ""
	for {
		token, err := d.Token()
		if words, ok := token.(xml.CharData); ok {
			said += string(words)
			continue
		}
		if _, ok := token.(xml.Comment); ok {
			continue
		}
		if _, ok := token.(xml.ProcInst); ok {
			continue
		}
		if said != "" {
			list, said = append(list, "text "+said), ""
		}
		switch token := token.(type) {
		case xml.StartElement:
			list = append(list, "open "+token.Name.Local)
		case xml.EndElement:
			list = append(list, "close "+token.Name.Local)
		}
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// FuzzBook: whatever a file holds, reading it ends, with rows or one of the two
// errors.
func FuzzBook(f *testing.F) {
	f.Add(`<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c s="1"><v>46349.5</v></c></row></sheetData><mergeCell ref="A1:A3"/>`, `<sst><si><t>un</t></si></sst>`, `<cellXfs><xf/><xf numFmtId="14"/></cellXfs>`)
	f.Fuzz(func(t *testing.T, sheet, texts, styles string) {
		b, err := open(t, parts(t, sheet, "xl/sharedStrings.xml", texts, "xl/styles.xml", styles))
		if err == nil {
			_, err = table(b, 0, everywhere)
		}
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}
