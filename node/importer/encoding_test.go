package importer

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// inEveryEncoding writes text as spreadsheets do, with encoders that are not
// ours.
func inEveryEncoding(t testing.TB, text string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{
		"utf-8":          []byte(text),
		"utf-8 mark":     []byte("\ufeff" + text),
		"utf-16le mark":  encoded(t, text, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String),
		"utf-16be mark":  encoded(t, text, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String),
		"utf-16le plain": encoded(t, text, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String),
		"utf-16be plain": encoded(t, text, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String),
		"windows-1252":   encoded(t, text, charmap.Windows1252.NewEncoder().String),
		"macintosh":      encoded(t, text, charmap.Macintosh.NewEncoder().String),
	}
	// The older sets lack some signs of typography.
	plain := strings.NewReplacer("’", "'", "œ", "oe", "Œ", "OE", "…", "...", "—", "-", "–", "-").Replace(text)
	if plain == text {
		files["iso-8859-1"] = encoded(t, text, charmap.ISO8859_1.NewEncoder().String)
		files["ibm850"] = encoded(t, text, charmap.CodePage850.NewEncoder().String)
	}
	return files
}

func encoded(t testing.TB, text string, encode func(string) (string, error)) []byte {
	t.Helper()
	out, err := encode(text)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(out)
}

func TestEncodings(t *testing.T) {
	for _, text := range []string{
		sales,
		// one accent in the whole file, at the end
		"courriel;événement;date\na.b@example.com;Cid;2026-11-23\n",
		"courriel;spectacle;date\na.b@example.com;À toi, pour toujours, ta Marie-Lou;2026-11-23\n",
		"courriel;spectacle;date\na.b@example.com;L’École des femmes – l’œuvre d’un maître…;2026-11-23\n",
		"COURRIEL;ÉVÉNEMENT;DATE\na.b@example.com;LE MÉDECIN MALGRÉ LUI À QUÉBEC;2026-11-23\n",
		"courriel;spectacle;date\na.b@example.com;Hélène et Noël;2026-11-23\n",
		"courriel;spectacle;date\na.b@example.com;Où êtes-vous, François ?;2026-11-23\n",
		"courriel;spectacle;date;montant\na.b@example.com;Le Misanthrope;2026-11-23;1\u00a0234,50\u00a0$\n",
	} {
		// The reference is what the same text gives in UTF-8.
		_, reference := take(t, text, options(Tickets))
		for name, file := range inEveryEncoding(t, text) {
			report, sink := take(t, string(file), options(Tickets))
			wantRows(t, sink, reference.spelled()...)
			want, _, _ := strings.Cut(name, " ")
			switch {
			case bytes.Equal(file, []byte(text)):
				want = "utf-8" // ASCII, in any of them
			case want == "iso-8859-1":
				want = "windows-1252" // the same, here
			}
			if string(report.Encoding) != want {
				t.Errorf("%s: found %s in %q", name, report.Encoding, text)
			}
		}
	}
}

// TestNamedEncoding: what bytes alone do not tell, the mapping can.
func TestNamedEncoding(t *testing.T) {
	file := encoded(t, "courriel;spectacle;date\na.b@example.com;Ž ¤;2026-11-23\n", charmap.Windows1252.NewEncoder().String)
	refusedFor(t, string(file), options(Tickets), ProblemEncoding)
	o := options(Tickets)
	o.Mapping.Encoding = Windows1252
	_, sink := take(t, string(file), o)
	wantRows(t, sink, "2 a.b@example.com -||Ž ¤|||2026-11-23|1|0|")
}

// TestBrokenSequences: a row that was pasted from another encoding into a file
// of UTF-8 costs that row.
func TestBrokenSequences(t *testing.T) {
	good := "a.b@example.com;Été à Québec, où êtes-vous;2026-11-23\n"
	report, sink := take(t, "courriel;spectacle;date\n"+strings.Repeat(good, 5)+"c.d@example.com;\xc9t\xe9;2026-11-23\n"+good, options(Tickets))
	if report.Kept != 6 || len(sink.sold) != 6 || report.Encoding != UTF8 {
		t.Errorf("report: %+v", report)
	}
	if got := report.RefusedBy; len(got) != 1 || got[0].Reason != ReasonBadEncoding || got[0].Lines[0] != 7 {
		t.Errorf("refused %+v", got)
	}
	// With a mark, the file is UTF-8 whatever it holds.
	report, _ = take(t, "\ufeffcourriel;spectacle;date\nc.d@example.com;\xc9t\xe9;2026-11-23\ne.f@example.com;Cid;2026-11-23\n", options(Tickets))
	if report.Kept != 1 || report.Refused != 1 {
		t.Errorf("report: %+v", report)
	}
}

func TestFilesThatAreNotText(t *testing.T) {
	text := "courriel\na.b@example.com\n"
	utf32LE := encoded(t, text, utf32.UTF32(utf32.LittleEndian, utf32.UseBOM).NewEncoder().String)
	random := make([]byte, 4096)
	for i := range random {
		random[i] = byte(i*i>>3 ^ i)
	}
	for name, c := range map[string]struct {
		file string
		code ProblemCode
	}{
		"empty":         {"", ProblemEmpty},
		"only a mark":   {"\ufeff", ProblemEmpty},
		"only blanks":   {" \r\n\r\n\t\n", ProblemEmpty},
		"utf-16 mark":   {"\xff\xfe", ProblemEmpty},
		"utf-16 blanks": {"\xff\xfe\n\x00\n\x00", ProblemEmpty},
		"only commas":   {",,,\n,,\n", ProblemEmpty},
		"a cut archive": {"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00", ProblemDamaged},
		"cut parquet":   {"PAR1\x00\x00\x00\x00", ProblemDamaged},
		"xls":           {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 504), ProblemWorkbook},
		"html":          {"\n<html><table><tr><td>Courriel</td></tr>", ProblemWorkbook},
		"xml":           {"\ufeff<?xml version=\"1.0\"?><Workbook/>", ProblemWorkbook},
		"pdf":           {"%PDF-1.7\n", ProblemNotText},
		"gzip":          {"\x1f\x8b\x08\x00\x00\x00\x00\x00", ProblemNotText},
		"no objects":    {"{1, 2}", ProblemStructure},
		"cut json":      {"[{\"email\": \"a.b@example.com\"", ProblemStructure},
		"png":           {"\x89PNG\r\n\x1a\n", ProblemNotText},
		"sqlite":        {"SQLite format 3\x00", ProblemNotText},
		"random":        {string(random), ProblemNotText},
		"utf-32":        {string(utf32LE), ProblemEncoding},
		"windows-1251":  {string(encoded(t, "courriel;spectacle\na.b@example.com;Лебединое озеро\n", charmap.Windows1251.NewEncoder().String)), ProblemEncoding},
	} {
		t.Run(name, func(t *testing.T) { refusedFor(t, c.file, options(People), c.code) })
	}
}

// TestSurveyInPieces: the survey of bytes does not depend on how they come.
func TestSurveyInPieces(t *testing.T) {
	for name, file := range inEveryEncoding(t, sales) {
		whole, pieces := newByteSurvey(), newByteSurvey()
		whole.Write(file)
		for i := range file {
			pieces.Write(file[i : i+1])
		}
		whole.end()
		pieces.end()
		if whole.high != pieces.high || whole.sequences != pieces.sequences || whole.invalid != pieces.invalid ||
			digestOf(whole.digest) != digestOf(pieces.digest) {
			t.Errorf("%s: %d and %d sequences, %d and %d invalid", name,
				whole.sequences, pieces.sequences, whole.invalid, pieces.invalid)
		}
	}
}
