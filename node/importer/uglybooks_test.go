package importer

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// uglyWorkbooks are workbooks of Excel.
func uglyWorkbooks(t *testing.T) map[string]ugly {
	night := time.Date(2026, 11, 23, 19, 30, 0, 0, time.UTC)
	columns := []any{"Courriel", "Spectacle", "Date", "Qté", "Montant"}
	sale := []any{"a.b@example.com", "Cid", night, 2, 90}
	row := []string{"2 a.b@example.com -||Cid|||2026-11-23|2|9000|"}
	book := func(fill func(*excelize.File)) string { return workbook(t, fill) }
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]ugly{
		"a workbook with a merged title, a date of printing and blank rows": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", []any{"Rapport des ventes"}, []any{"Imprimé le", night}, nil, columns, nil, sale, nil, nil)
			must(f.MergeCell("Sheet1", "A1", "E1"))
		}), []string{"6 a.b@example.com -||Cid|||2026-11-23|2|9000|"}, nil),
		"a workbook with merged headings over two rows": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", []any{"Courriel", "Représentation", nil, "Ventes"}, []any{nil, "Spectacle", "Date", "Qté", "Montant"}, sale)
			must(f.MergeCell("Sheet1", "A1", "A2"))
			must(f.MergeCell("Sheet1", "B1", "C1"))
			must(f.MergeCell("Sheet1", "D1", "E1"))
		}), []string{"3 a.b@example.com -||Cid|||2026-11-23|2|9000|"}, nil),
		"a workbook that merges the event over its sales": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale, []any{"c.d@example.com", nil, nil, 1, 45}, []any{"e.f@example.com", "Icare", night, 1, 50})
			must(f.MergeCell("Sheet1", "B2", "B3"))
			must(f.MergeCell("Sheet1", "C2", "C3"))
		}), append(row[:1:1], "3 c.d@example.com -||Cid|||2026-11-23|1|4500|", "4 e.f@example.com -||Icare|||2026-11-23|1|5000|"), nil),
		"a workbook that merges the amount of an order over its tickets": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale, []any{"a.b@example.com", "Cid", night, 1, nil}, []any{"a.b@example.com", "Cid", night, nil, nil})
			must(f.MergeCell("Sheet1", "E2", "E4"))
			must(f.MergeCell("Sheet1", "D3", "D4"))
		}), append(row[:1:1], "3 a.b@example.com -||Cid|||2026-11-23|1|0|"), map[Reason]int64{ReasonBadQuantity: 1}),
		"a workbook with sales on two sheets": turned(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Automne", columns, sale)
			sheet(t, f, "Hiver", columns, sale)
		}), ProblemSheet, `"Automne", "Hiver". Name the one to read: --sheet "Automne"`),
		"a workbook with notes on one sheet and sales on another": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", []any{"Lisez-moi"}, []any{"Ventes de la saison"})
			sheet(t, f, "Ventes", columns, sale)
		}), row, nil),
		"a workbook whose old sales are on a hidden sheet": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale)
			sheet(t, f, "Vieux", columns, sale, sale)
			must(f.SetSheetVisible("Vieux", false))
		}), row, nil),
		"a workbook with its only sales on a hidden sheet": turned(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", []any{"Sommaire"}, []any{"Cid", 90})
			sheet(t, f, "Ventes", columns, sale)
			must(f.SetSheetVisible("Ventes", false))
		}), ProblemSheet, `a sheet that is hidden: "Ventes"`),
		"a workbook that counts its days from 1904": leaves(Tickets, book(func(f *excelize.File) {
			since1904 := true
			must(f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &since1904}))
			sheet(t, f, "Sheet1", columns, []any{"a.b@example.com", "Cid", 44887, 2, 90}, []any{"c.d@example.com", "Cid", 44887, 1, 45})
			style(t, f, "Sheet1", "C2", "C2", "[$-C0C]d mmmm yyyy;@")
		}), append(row[:1:1], "3 c.d@example.com -||Cid|||2026-11-23|1|4500|"), nil),
		"a workbook with dates of every make in a column": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale, []any{"a.b@example.com", "Cid", "24/11/2026", 1, 1}, []any{"a.b@example.com", "Cid", "25 novembre 2026", 1, "1,50 $"},
				[]any{"a.b@example.com", "Cid", 46352.8125, 1, 1.005}, []any{"a.b@example.com", "Cid", "bientôt", 1, 1})
			style(t, f, "Sheet1", "C5", "C5", "dd-mmm")
		}), append(row[:1:1], "3 a.b@example.com -||Cid|||2026-11-24|1|100|", "4 a.b@example.com -||Cid|||2026-11-25|1|150|", "5 a.b@example.com -||Cid|||2026-11-26|1|101|"),
			map[Reason]int64{ReasonBadDate: 1}),
		"a workbook of formulas": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale, []any{"c.d@example.com", "#N/A", night, 1, 45}, []any{"e.f@example.com", "Cid", night, 1, nil}, []any{"Total", nil, nil, 4, 180})
			must(f.SetCellFormula("Sheet1", "E2", "45*D2"))
			must(f.SetCellValue("Sheet1", "E2", 90))
			must(f.SetCellFormula("Sheet1", "E4", "45*D4")) // never computed
		}), row, map[Reason]int64{ReasonFormula: 2, ReasonTotal: 1}),
		"a workbook with sums in euros": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale, []any{"c.d@example.com", "Cid", night, 1, 45})
			style(t, f, "Sheet1", "E3", "E3", "#,##0.00 [$€-40C]")
			style(t, f, "Sheet1", "E2", "E2", `#,##0.00\ "$"`)
		}), row, map[Reason]int64{ReasonBadAmount: 1}),
		"a workbook with telephones and postal codes as numbers": leaves(People, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", []any{"Courriel", "Téléphone", "Code postal"}, []any{"a.b@example.com", 5145550123, 1234}, []any{"c.d@example.com", "1,51456E+10", 75008})
			style(t, f, "Sheet1", "B2", "B2", "(000) 000-0000")
			style(t, f, "Sheet1", "C2", "C2", "00000")
		}), []string{"2 a.b@example.com +15145550123 01234", "3 c.d@example.com - 75008"}, nil),
		"a workbook with two columns of the same name": turned(People, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", []any{"Courriel", "Nom", "Courriel"}, []any{"a.b@example.com", "x", "c.d@example.com"})
		}), ProblemSameColumn, "Two columns"),
		"a workbook with two tables on a sheet": turned(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale, nil, []any{"Spectacle", "Courriel", "Date", "Montant"}, []any{"Cid", "c.d@example.com", night, 45})
		}), ProblemStructure, "A second table begins on line 4"),
		"a workbook with notes far to the right": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale)
			must(f.SetCellValue("Sheet1", "AA2", "à rappeler"))
		}), row, nil),
		"a workbook with rows that a filter hides": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, sale)
			must(f.SetRowVisible("Sheet1", 2, false))
		}), row, nil),
		"a workbook with a mark in its text that Excel escapes": leaves(Tickets, book(func(f *excelize.File) {
			sheet(t, f, "Sheet1", columns, []any{"a.b@example.com", "L'Avare\nde Molière & <cie>", night, 2, 90})
		}), []string{"2 a.b@example.com -||L'Avare de Molière & <cie>|||2026-11-23|2|9000|"}, nil),
		"a workbook with nothing in it": turned(Tickets, book(func(*excelize.File) {}), ProblemEmpty, "export it again"),
		"a workbook under a password":   turned(Tickets, locked(t), ProblemPassword, "clear the password and save"),
	}
}

func locked(t *testing.T) string {
	f := excelize.NewFile()
	defer f.Close()
	var b bytes.Buffer
	if err := f.Write(&b, excelize.Options{Password: "sésame"}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// uglyContainers are files of other programs.
func uglyContainers(t *testing.T) map[string]ugly {
	whole := workbook(t, func(f *excelize.File) { sheet(t, f, "Sheet1", headings) })
	return map[string]ugly{
		"an old Excel workbook, .xls":      turned(Tickets, compoundFile("Workbook"), ProblemWorkbook, "old Excel workbook (.xls)"),
		"an old Word document":             turned(Tickets, compoundFile("WordDocument"), ProblemNotText, "an old Word document"),
		"a LibreOffice workbook, .ods":     turned(Tickets, archive(t, "mimetype", "application/vnd.oasis.opendocument.spreadsheet"), ProblemWorkbook, "LibreOffice workbook (.ods)"),
		"a LibreOffice text":               turned(Tickets, archive(t, "mimetype", "application/vnd.oasis.opendocument.text"), ProblemNotText, "a LibreOffice document"),
		"an Apple Numbers document":        turned(Tickets, archive(t, "Index/Document.iwa", ""), ProblemWorkbook, "Apple Numbers"),
		"a binary Excel workbook, .xlsb":   turned(Tickets, archive(t, "[Content_Types].xml", "", "xl/workbook.bin", ""), ProblemWorkbook, "(.xlsb)"),
		"a Word document":                  turned(Tickets, archive(t, "[Content_Types].xml", "", "word/document.xml", ""), ProblemNotText, "a Word document"),
		"a ZIP archive of a file":          turned(Tickets, archive(t, "ventes.csv", sales), ProblemNotText, "extract the file"),
		"a workbook cut by a bad download": turned(Tickets, whole[:len(whole)-40], ProblemDamaged, "damaged or incomplete"),
		"a web page called .xls":           turned(Tickets, "<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><table><tr><td>Courriel</td></tr></table>", ProblemWorkbook, "a web page or XML"),
		"an XML workbook of Excel 2003":    turned(Tickets, "<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n<Workbook/>", ProblemWorkbook, "a web page or XML"),
		"a web archive called .xls":        turned(Tickets, "MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n", ProblemWorkbook, "a web page or XML"),
		"a PDF":                            turned(Tickets, "%PDF-1.7\n", ProblemNotText, "a PDF document"),
		"a photograph of the screen":       turned(Tickets, "\xff\xd8\xff\xe0", ProblemNotText, "an image"),
	}
}

// archive writes a ZIP archive of names and what is under them.
func archive(t *testing.T, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		part, err := w.CreateHeader(&zip.FileHeader{Name: parts[i], Method: zip.Store})
		if err == nil {
			_, err = part.Write([]byte(parts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// compoundFile has the header of a compound file, and a directory with one name.
func compoundFile(stream string) string {
	b := make([]byte, 3*512)
	copy(b, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	binary.LittleEndian.PutUint16(b[30:], 9)
	binary.LittleEndian.PutUint32(b[48:], 1)
	copy(b[2*512:], inUTF16(stream))
	return string(b)
}
