package importer

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// ugly is a file that somebody may really hand in, and what becomes of it: just
// these rows and these refusals, or a refusal of the whole in so many words.
type ugly struct {
	kind    Kind
	file    string
	rows    []string
	refused map[Reason]int64
	problem ProblemCode // of the whole file
	says    string      // what its English sentence has
}

// TestUgliestFiles: what exports really look like, and what is left of them.
func TestUgliestFiles(t *testing.T) {
	for _, list := range []map[string]ugly{uglyText(), uglyWritings(t), uglyWorkbooks(t), uglyContainers(t)} {
		for name, c := range list {
			t.Run(name, c.check)
		}
	}
}

func (c ugly) check(t *testing.T) {
	if c.problem != "" {
		found := refusedFor(t, c.file, options(c.kind), c.problem)
		if !strings.Contains(found.Text.EN, c.says) {
			t.Errorf("it says %q, and not %q", found.Text.EN, c.says)
		}
		return
	}
	report, sink := take(t, c.file, options(c.kind))
	wantRows(t, sink, c.rows...)
	if got := reasons(report.RefusedBy); !maps.Equal(got, c.refused) {
		t.Errorf("refused %v, want %v", got, c.refused)
	}
	if report.Rows != report.Kept+report.Refused {
		t.Errorf("%d rows, %d kept, %d refused", report.Rows, report.Kept, report.Refused)
	}
}

// uglyText are files of delimited text.
func uglyText() map[string]ugly {
	huge := strings.Repeat("z", 10<<20)
	return map[string]ugly{
		"rows of different lengths": leaves(People, "courriel,nom,cp\na.b@example.com\nc.d@example.com,x,H2X,\ne.f@example.com,x,H2X,y\n,,\n\n",
			[]string{"2 a.b@example.com - ", "3 c.d@example.com - H2X"}, map[Reason]int64{ReasonTooManyCells: 1}),
		"a cell split over two lines without quotation marks": leaves(People, "courriel,nom,cp\na.b@example.com,Jean\nTremblay,H2X\nc.d@example.com,x,H2X\n",
			[]string{"2 a.b@example.com - ", "4 c.d@example.com - H2X"}, map[Reason]int64{"no-at": 1}),
		"a cell of 10 MB": leaves(People, "courriel,notes\na.b@example.com,"+huge+"\nc.d@example.com,x\n",
			[]string{"3 c.d@example.com - "}, map[Reason]int64{ReasonRowTooLong: 1}),
		"a cell of 100 KB between quotation marks": leaves(People, "courriel,notes\na.b@example.com,\""+huge[:100<<10]+"\"\nc.d@example.com,x\n",
			[]string{"3 c.d@example.com - "}, map[Reason]int64{ReasonFieldTooLong: 1}),
		"zero bytes, and a control-Z at the end": leaves(People, "courriel,nom\na.b@example.com,\x00\nc.d@example.com,x\n\x1a",
			[]string{"3 c.d@example.com - "}, map[Reason]int64{ReasonBinary: 1, "control-character": 1}),
		"numbers dressed up as formulas, =\"514\" and '+1": leaves(People, "courriel,téléphone\n\"=\"\"a.b@example.com\"\"\",\"=\"\"5145550123\"\"\"\nc.d@example.com,'+15145550199\n",
			[]string{"2 a.b@example.com +15145550123 ", "3 c.d@example.com +15145550199 "}, nil),
		"telephones that Excel rounded to 1,5E+10": leaves(People, "courriel;téléphone\na.b@example.com;1,51456E+10\n;1,51456E+10\n",
			[]string{"2 a.b@example.com - "}, map[Reason]int64{"phone-rounded": 1}),
		"a quotation mark that is never closed": leaves(People, "courriel,nom\na.b@example.com,\"Jean\nc.d@example.com,\"Luc\"\ne.f@example.com,Eve\n",
			[]string{"3 c.d@example.com - ", "4 e.f@example.com - "}, map[Reason]int64{ReasonBadQuote: 1}),
		"line ends of an old Macintosh": leaves(People, "courriel;nom\ra.b@example.com;x\rc.d@example.com;y\r",
			[]string{"2 a.b@example.com - ", "3 c.d@example.com - "}, nil),
		"tabs, with commas and semicolons in the names": leaves(People, "courriel\tnom, prénom\tcp\na.b@example.com\tTremblay, Marie; dite M.\tH2X 1Y4\n",
			[]string{"2 a.b@example.com - H2X1Y4"}, nil),
		"vertical bars between the cells": leaves(People, "courriel|nom|cp\na.b@example.com|Tremblay, Marie|H2X 1Y4\n",
			[]string{"2 a.b@example.com - H2X1Y4"}, nil),
		"mixed delimiters: decimal commas among semicolons": leaves(Tickets, "courriel;spectacle;date;montant\na.b@example.com;Oui, non, peut-être;2026-11-23;12,50\n",
			[]string{"2 a.b@example.com -||Oui, non, peut-être|||2026-11-23|1|1250|"}, nil),
		"a single column, without a last line end": leaves(People, "courriel\na.b@example.com\nc.d@example.com", []string{"2 a.b@example.com - ", "3 c.d@example.com - "}, nil),
		"a total at the bottom": leaves(Tickets, "courriel;spectacle;date;qté;montant\na.b@example.com;Cid;2026-11-23;2;90,00 $\nTotal;;;2;90,00 $\n",
			[]string{"2 a.b@example.com -||Cid|||2026-11-23|2|9000|"}, map[Reason]int64{ReasonTotal: 1}),
		"dates as Excel counts them, 46349": leaves(Tickets, "courriel;spectacle;date\na.b@example.com;Cid;46349\nc.d@example.com;Cid;46349,8125\n",
			[]string{"2 a.b@example.com -||Cid|||2026-11-23|1|0|", "3 c.d@example.com -||Cid|||2026-11-23|1|0|"}, nil),
		"a wrong value in each column": leaves(Tickets, "email,event,date,quantity,amount,order\n"+
			"a.b@example.com,,2026-11-23,1,1.00,\na.b@example.com,Cid,,1,1.00,\na.b@example.com,Cid,demain,1,1.00,\n"+
			"a.b@example.com,Cid,2026-11-23,,1.00,\na.b@example.com,Cid,2026-11-23,1.5,1.00,\na.b@example.com,Cid,2026-11-23,1,free,\n"+
			"a.b@example.com,Cid,2026-11-23,1,€5,\na.b@example.com,Cid,2026-11-23,1,999999999999999,\na.b@example.com,Cid,2026-11-23,9999999999,1,\n"+
			"a.b@example.com,Cid,2026-11-23,1,1.00,"+strings.Repeat("x", 201)+"\na.b@example.com,"+strings.Repeat("x", 501)+",2026-11-23,1,1.00,\n"+
			"a.b@example.com,C\x07id,2026-11-23,1,1.00,\na.b@example.com,Cid,2026-11-23,\"1,000\",1.00,\n",
			[]string{"14 a.b@example.com -||Cid|||2026-11-23|1000|100|"},
			map[Reason]int64{ReasonNoEvent: 1, ReasonNoDay: 1, ReasonBadDate: 1, ReasonBadQuantity: 3, ReasonBadAmount: 3,
				ReasonTextTooLong: 2, ReasonControl: 1}),
		"addresses of all the wrong kinds": leaves(People, "courriel,nom\ninfo@example.com,x\nmarie@example,x\nmarie,x\nm\u200b@example.com,x\na@b@c.com,x\né@example.com,x\na.b@example.com,x\n",
			[]string{"8 a.b@example.com - "}, map[Reason]int64{"role-address": 1, "bad-domain": 1, "no-at": 1, "zero-width": 1, "many-at": 1, "not-ascii-local": 1}),
		"a total that says so in another column": leaves(Tickets, "spectacle;courriel;date;montant\nCid;a.b@example.com;2026-11-23;45,00\nTotal général;;;45,00\n",
			[]string{"2 a.b@example.com -||Cid|||2026-11-23|1|4500|"}, map[Reason]int64{ReasonTotal: 1}),
		"dates with the day first":                  leaves(Tickets, dated("23/11/2026", "01/12/2026"), datedRows("2026-11-23", "2026-12-01"), nil),
		"dates with the month first":                leaves(Tickets, dated("11/23/2026", "12/01/2026"), datedRows("2026-11-23", "2026-12-01"), nil),
		"dates with the year first":                 leaves(Tickets, dated("2026/11/23", "20261201"), datedRows("2026-11-23", "2026-12-01"), nil),
		"dates with points, and a time":             leaves(Tickets, dated("23.11.2026 19h30", "1.12.2026 7:30 PM"), datedRows("2026-11-23", "2026-12-01"), nil),
		"dates with the month in French":            leaves(Tickets, dated("lundi 23 novembre 2026", "1er déc. 2026 à 19 h 30"), datedRows("2026-11-23", "2026-12-01"), nil),
		"dates with an accent in two pieces":        leaves(Tickets, dated("23 fe\u0301vrier 2026", "1 AOÛT 2026"), datedRows("2026-02-23", "2026-08-01"), nil),
		"dates that read in two ways":               turned(Tickets, dated("03/04/2026", "05/06/2026"), ProblemDateOrder, "every date reads in two ways"),
		"dates of which a spreadsheet swapped some": turned(Tickets, dated("23/11/2026", "11/24/2026"), ProblemDateOrder, "mixes dates"),
		"dates without their century":               leaves(Tickets, dated("2026-11-23", "23/11/26"), datedRows("2026-11-23"), map[Reason]int64{ReasonBadDate: 1}),
		"narrow no-break spaces in the thousands": leaves(Tickets, "courriel;spectacle;date;montant\na.b@example.com;Cid;2026-11-23;1\u202f234,50\u00a0$\n",
			[]string{"2 a.b@example.com -||Cid|||2026-11-23|1|123450|"}, nil),
		"thousands or cents, nobody knows": turned(Tickets, "courriel;spectacle;date;montant\na.b@example.com;Cid;2026-11-23;1,234\n", ProblemDecimal, "thousands or cents"),
		"formulas that were never computed, and some that failed": leaves(Tickets, "courriel,spectacle,date\na.b@example.com,=CONCAT(A1),2026-11-23\nc.d@example.com,#REF!,2026-11-23\n#N/A,Cid,2026-11-23\ne.f@example.com,= 1984,2026-11-23\n",
			[]string{"5 e.f@example.com -||= 1984|||2026-11-23|1|0|"}, map[Reason]int64{ReasonFormula: 3}),
		"titles and blank lines above the headings": leaves(People, "Rapport des acheteurs\nImprimé le,2026-11-24\n\n,,\ncourriel,nom\na.b@example.com,x\n",
			[]string{"6 a.b@example.com - "}, nil),
		"the headings again on each page": leaves(People, "courriel,nom\na.b@example.com,x\n\nPage 2,\ncourriel,nom\nc.d@example.com,y\n",
			[]string{"2 a.b@example.com - ", "6 c.d@example.com - "}, map[Reason]int64{"no-at": 1}),
		"two tables, one below the other": turned(Tickets, "courriel,spectacle,date,montant\na.b@example.com,Cid,2026-11-23,5.00\n,,,\nspectacle,date,montant,courriel\nIcare,2026-11-24,6.00,c.d@example.com\n",
			ProblemStructure, "A second table begins on line 4"),
		"two columns of the same name":     turned(People, "courriel,courriel\na.b@example.com,c.d@example.com\n", ProblemSameColumn, "Two columns are called \"courriel\""),
		"empty columns between the others": leaves(People, "courriel,,,cp,,\na.b@example.com,,,H2X 1Y4,,\n", []string{"2 a.b@example.com - H2X1Y4"}, nil),
		"no headings":                      turned(People, "a.b@example.com,Jean\nc.d@example.com,Luc\n", ProblemNoHeader, "no row of headings"),
		"headings and nothing else":        turned(People, "courriel,nom\n", ProblemNoRows, "export it again"),
		"a quotation mark that swallows megabytes": turned(People, "courriel,nom\na.b@example.com,\"x\n"+strings.Repeat("c.d@example.com,y\n", 100_000),
			ProblemStructure, "a quotation mark opened on line 2"),
		"JSON that breaks off": turned(People, "[{\"email\": \"a.b@example.com\"}, {\"email\"", ProblemStructure, "the JSON is cut"),
	}
}

func leaves(kind Kind, file string, rows []string, refused map[Reason]int64) ugly {
	return ugly{kind: kind, file: file, rows: rows, refused: refused}
}

func turned(kind Kind, file string, problem ProblemCode, says string) ugly {
	return ugly{kind: kind, file: file, problem: problem, says: says}
}

func dated(days ...string) string {
	file := "courriel;spectacle;date\n"
	for _, day := range days {
		file += "a.b@example.com;Cid;" + day + "\n"
	}
	return file
}

func datedRows(days ...string) (rows []string) {
	for i, day := range days {
		rows = append(rows, fmt.Sprintf("%d a.b@example.com -||Cid|||%s|1|0|", i+2, day))
	}
	return rows
}

// uglyWritings is one file in every encoding that spreadsheets write.
func uglyWritings(t *testing.T) map[string]ugly {
	text := "Courriel;Téléphone;Événement;Date;Montant\r\nélise.no@example.com;514 555-0123;Été à l'île;23/11/2026;12,50 $\r\nluc@example.com;;Noël où ça gèle, déjà;24/11/2026;1 234,50 $\r\n"
	rows := []string{"2 - +15145550123||Été à l'île|||2026-11-23|1|1250|", "3 luc@example.com -||Noël où ça gèle, déjà|||2026-11-24|1|123450|"}
	list := make(map[string]ugly)
	for name, encode := range map[string]func(string) (string, error){
		"UTF-8":                   func(s string) (string, error) { return s, nil },
		"UTF-8 with a mark":       func(s string) (string, error) { return "\ufeff" + s, nil },
		"UTF-16 of Windows":       unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String,
		"UTF-16 of old Macintosh": unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String,
		"UTF-16 without a mark":   unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String,
		"Windows-1252":            charmap.Windows1252.NewEncoder().String,
		"Mac Roman":               charmap.Macintosh.NewEncoder().String,
		"code page 850":           charmap.CodePage850.NewEncoder().String,
	} {
		list["accents in "+name] = leaves(Tickets, string(encoded(t, text, encode)), rows, nil)
	}
	return list
}
