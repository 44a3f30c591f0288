package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// readAll returns the cells of every row, and the reasons of the broken ones
// by line.
func readAll(t *table) (rows [][]string, broken map[int64]Reason, err error) {
	broken = make(map[int64]Reason)
	for {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			return rows, broken, nil
		}
		if err != nil {
			return rows, broken, err
		}
		if r.broken != "" {
			broken[r.line] = r.broken
			continue
		}
		var cells []string
		for _, cell := range r.cells {
			cells = append(cells, string(cell))
		}
		rows = append(rows, cells)
	}
}

// TestAgainstEncodingCSV: what Go's own package writes, with any text in the
// cells, comes out as it went in, at any size of read.
func TestAgainstEncodingCSV(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`[a-zé ,;"\t\n'=]{0,9}|""|"|\n`)
		records := rapid.SliceOfN(rapid.SliceOfN(cell, 2, 5), 0, 8).Draw(t, "records")
		delimiter := rapid.SampledFrom(delimiters).Draw(t, "delimiter")
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		w.Comma, w.UseCRLF = rune(delimiter), false
		if err := w.WriteAll(records); err != nil {
			t.Fatal(err)
		}
		for _, source := range []io.Reader{bytes.NewReader(file.Bytes()), iotest.OneByteReader(bytes.NewReader(file.Bytes()))} {
			rows, broken, err := readAll(newTable(source, delimiter))
			if err != nil || len(broken) > 0 || !slices.EqualFunc(rows, records, slices.Equal) {
				t.Fatalf("%q\ngave %q, %v, %v", file.String(), rows, broken, err)
			}
		}
	})
}

// TestLikeEncodingCSV: of files that Go's own package reads strictly, the rows
// are the same.
func TestLikeEncodingCSV(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.StringMatching(`([ab]|,|"|"",|"a",|\n|\r\n|"x\n"){0,16}`).Draw(t, "file")
		r := csv.NewReader(strings.NewReader(file))
		r.FieldsPerRecord = -1
		want, err := r.ReadAll()
		if err != nil {
			return
		}
		rows, broken, err := readAll(newTable(strings.NewReader(file), ','))
		for _, row := range rows {
			for i := range row { // it makes one character of a line end in a cell
				row[i] = strings.ReplaceAll(row[i], "\r\n", "\n")
			}
		}
		if err != nil || len(broken) > 0 || !slices.EqualFunc(rows, want, slices.Equal) {
			t.Fatalf("%q\ngave %q, %v, %v\nwant %q", file, rows, broken, err, want)
		}
	})
}

func TestTable(t *testing.T) {
	long := strings.Repeat("x", maxField)
	huge := strings.Repeat("y", 10<<20)
	for name, c := range map[string]struct {
		file   string
		rows   [][]string
		broken map[int64]Reason
	}{
		"line ends":                {"a,b\r\nc,d\ne,f\rg,h", [][]string{{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g", "h"}}, nil},
		"empty lines":              {"\n\r\n\ra\n\n", [][]string{{"a"}}, nil},
		"empty cells":              {",\n\"\",\n\"\"\n", [][]string{{"", ""}, {"", ""}, {""}}, nil},
		"marks in text":            {"a\"b\",c\n", [][]string{{"a\"b\"", "c"}}, nil},
		"blanks behind a mark":     {"\"a\" ,\"b\"\t\n", [][]string{{"a", "b"}}, nil},
		"line ends in a cell":      {"\"a\r\nb\rc\n\",d\ne,f\n", [][]string{{"a\r\nb\rc\n", "d"}, {"e", "f"}}, nil},
		"text behind a mark":       {"\"a\"b,c\nd,e\n", [][]string{{"d", "e"}}, map[int64]Reason{1: ReasonBadQuote}},
		"stray mark":               {"\"a,b\nc,d\ne,\"f\"\n", [][]string{{"c", "d"}, {"e", "f"}}, map[int64]Reason{1: ReasonBadQuote}},
		"mark never closed":        {"a,\"b\nc,d\ne,f", [][]string{{"c", "d"}, {"e", "f"}}, map[int64]Reason{1: ReasonUnclosedQuote}},
		"mark at the end":          {"a,b\nc,\"", [][]string{{"a", "b"}}, map[int64]Reason{2: ReasonUnclosedQuote}},
		"longest cell":             {long + ",b\nc,d\n", [][]string{{long, "b"}, {"c", "d"}}, nil},
		"cell too long":            {long + "x,b\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonFieldTooLong}},
		"quoted cell too long":     {"a,\"" + long + "\nx\"\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonFieldTooLong}},
		"10 MB in a cell":          {"a," + huge + ",b\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonRowTooLong}},
		"10 MB in a quoted cell":   {"a,\"" + huge + "\",b\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonRowTooLong}},
		"10 MB of cells":           {strings.Repeat("a,", 5<<20) + "\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonRowTooLong}},
		"10 MB, no end":            {"c,d\n" + huge, [][]string{{"c", "d"}}, map[int64]Reason{2: ReasonRowTooLong}},
		"closed lines, then 10 MB": {"\"a\nb\"," + huge + "\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonRowTooLong}},
		"513 cells":                {strings.Repeat("a,", 512) + "\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonTooManyCells}},
		"zero byte":                {"a\x00,b\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonBinary}},
		"not UTF-8":                {"\xe9,b\nc,d\n", [][]string{{"c", "d"}}, map[int64]Reason{1: ReasonBadEncoding}},
	} {
		for way, source := range map[string]io.Reader{"whole": strings.NewReader(c.file), "half": iotest.HalfReader(strings.NewReader(c.file))} {
			rows, broken, err := readAll(newTable(source, ','))
			if err != nil || !slices.EqualFunc(rows, c.rows, slices.Equal) || !maps.Equal(broken, c.broken) {
				t.Errorf("%s, %s: %d rows, broken %v, %v", name, way, len(rows), broken, err)
			}
		}
	}
}

func TestLostStructure(t *testing.T) {
	line := strings.Repeat("x", 1000) + "\n"
	for name, file := range map[string]string{
		"open mark":         "a,b\nc,\"d\n" + strings.Repeat(line, 1100),
		"open to the end":   "a,b\nc,\"" + strings.Repeat("y", 2<<20) + "\nd,e",
		"text behind lines": "a,b\nc," + strings.Repeat("y", 2<<20) + ",\"d\n\"e\n",
	} {
		_, _, err := readAll(newTable(strings.NewReader(file), ','))
		var found *Problem
		if !errors.As(err, &found) || found.Code != ProblemStructure || !strings.Contains(found.Text.EN, "line 2 ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnpairedMarksAreCheap: a file made of unpaired marks ends in time.
func TestUnpairedMarksAreCheap(t *testing.T) {
	for _, line := range []string{"a\",\"\n", "\"\n", "\"\"\"\n", "\"a\"b\n", ",\"\"\"\",\"\n"} {
		table := newTable(strings.NewReader(strings.Repeat(line, 300_000)), ',')
		if _, _, err := readAll(table); err != nil {
			var found *Problem
			if !errors.As(err, &found) || found.Code != ProblemStructure {
				t.Errorf("%q: %v", line, err)
			}
		}
		if table.rescanned > maxRescan+maxRow {
			t.Errorf("%q: %d bytes were scanned again", line, table.rescanned)
		}
	}
}

func FuzzTable(f *testing.F) {
	for _, seed := range []string{sales, peopleFile, "\"a\"b\n\"\"\"", "a\r\"\r\n,", "\"\n\"\n\"", ";;;\x00"} {
		f.Add([]byte(seed), byte(';'))
		f.Add([]byte(seed), byte(','))
	}
	f.Fuzz(func(t *testing.T, file []byte, delimiter byte) {
		if delimiter == '"' || delimiter == '\n' || delimiter == '\r' || delimiter >= 0x80 {
			return
		}
		whole := newTable(bytes.NewReader(file), delimiter)
		rows, broken, err := readAll(whole)
		pieces := newTable(iotest.OneByteReader(bytes.NewReader(file)), delimiter)
		again, brokenAgain, errAgain := readAll(pieces)
		if (err == nil) != (errAgain == nil) || !slices.EqualFunc(rows, again, slices.Equal) || !maps.Equal(broken, brokenAgain) {
			t.Fatalf("pieces matter: %q, %v and %q, %v", rows, broken, again, brokenAgain)
		}
		if err == nil && whole.line != 1+lineEnds(file) {
			t.Fatalf("ended on line %d of %d", whole.line, 1+lineEnds(file))
		}
	})
}
