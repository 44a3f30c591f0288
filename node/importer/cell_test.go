package importer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"

	"pgregory.net/rapid"
)

func TestMoments(t *testing.T) {
	for cell, want := range map[string]string{
		"2026-11-23": "2026-11-23", "2026/11/23": "2026-11-23", "2026.11.23": "2026-11-23", "2026-1-2": "2026-01-02",
		"20261123": "2026-11-23", "2024-02-29": "2024-02-29",
		"2026-11-23T19:30:00": "2026-11-23 19:30", "2026-11-23 19:30": "2026-11-23 19:30", "2026-11-23 19:30:15.250": "2026-11-23 19:30",
		"2026-11-24T00:30:00Z": "2026-11-23 19:30", "2026-11-24T02:30:00+02:00": "2026-11-23 19:30", "2026-11-23 19:30 -0500": "2026-11-23 19:30",
		"23/11/2026": "2026-11-23", "23-11-2026": "2026-11-23", "23.11.2026": "2026-11-23", "3/4/2026": "2026-04-03",
		"23/11/2026 19h30": "2026-11-23 19:30", "23/11/2026 19 h 30": "2026-11-23 19:30", "23/11/2026 19 h": "2026-11-23 19:00",
		"23/11/2026 7:30 PM": "2026-11-23 19:30", "23/11/2026 7 p.m.": "2026-11-23 19:00", "23/11/2026, 12:05 AM": "2026-11-23 00:05",
		"23 novembre 2026": "2026-11-23", "23 nov. 2026": "2026-11-23", "23-nov-2026": "2026-11-23", "1er décembre 2026": "2026-12-01",
		"lundi 23 novembre 2026 à 19 h 30": "2026-11-23 19:30", "lundi, le 23 novembre 2026": "2026-11-23",
		"November 23, 2026": "2026-11-23", "Nov 23 2026": "2026-11-23", "Mon, Nov 23rd, 2026 7:30 PM": "2026-11-23 19:30",
		"23 FÉVRIER 2026": "2026-02-23", "15 août 2026": "2026-08-15", "23 November 2026 at 19:30": "2026-11-23 19:30",
		"46349": "2026-11-23", "46349.8125": "2026-11-23 19:30", "46349,8125": "2026-11-23 19:30", "46349.812499999": "2026-11-23 19:30",
		"36526": "2000-01-01", "46349.999999": "2026-11-23 23:59",
	} {
		m, ok := parseMoment(cell, false)
		if ok {
			m, ok = m.settled(DayFirst)
		}
		got := fmt.Sprint(m.date(montreal))
		if m.timed {
			got += m.in(montreal).In(montreal).Format(" 15:04")
		}
		if !ok || got != want {
			t.Errorf("%q: got %s, %v, want %s", cell, got, ok, want)
		}
	}
	for _, cell := range []string{
		"", "-", "demain", "2026-13-01", "2026-02-29", "2026-11-31", "31/02/2026", "23/11/26", "11/23/26", "2026-11", "11/2026",
		"2026", "23/11", "2026-11-23T25:00", "2026-11-23 19:60", "2026-11-23 19", "2026-11-23x", "x2026-11-23", "32/13/2026",
		"19999", "80001", "1234567890", "46349.x", "2026-11/23", "23/11-2026", "novembre 2026", "lundi", "2026-11-23 13:00 PM",
		"0/1/2026", "1/0/2026", "2026-11-23T19:30+99:00", "12345678901234567890", "२०२६-११-२३", "1899-12-31", "2200-01-01",
	} {
		if m, ok := parseMoment(cell, false); ok {
			if m, ok = m.settled(DayFirst); ok {
				t.Errorf("%q was read as %s", cell, m.date(montreal))
			}
		}
	}
}

// TestMomentsAgainstTime: what the standard library writes is read back.
func TestMomentsAgainstTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<31, 1<<32).Draw(t, "seconds"), 0).In(montreal)
		layout := rapid.SampledFrom([]string{time.RFC3339, time.DateTime, "02/01/2006 15:04:05", "2 January 2006 15:04:05",
			"Monday, January 2, 2006 3:04:05 PM", "02-Jan-2006 15:04:05", "2006/01/02 15:04:05"}).Draw(t, "layout")
		m, ok := parseMoment(at.Format(layout), false)
		if ok {
			m, ok = m.settled(DayFirst)
		}
		if !ok || !m.in(montreal).Equal(at) || string(m.date(montreal)) != at.Format(time.DateOnly) {
			t.Fatalf("%q: %v, %v", at.Format(layout), m, ok)
		}
	})
}

func TestSerialsSince1904(t *testing.T) {
	if m, ok := parseMoment("44887", true); !ok || m.date(montreal) != "2026-11-23" {
		t.Errorf("got %s, %v", m.date(montreal), ok)
	}
}

func TestFigures(t *testing.T) {
	for cell, want := range map[string]int64{
		"0": 0, "12": 1200, "12,5": 1250, "12.50": 1250, "12.": 1200, ".50": 50, ",50": 50, "0.005": 1, "0,004": 0,
		"1 234,50 $": 123450, "1\u00a0234,50\u00a0$": 123450, "1\u202f234,50": 123450, "$1,234.50": 123450, "1.234,50": 123450,
		"1'234.50": 123450, "1,234,567.89": 123456789, "1.234.567,89": 123456789, "1 234 567": 123456700, "1,234,567": 123456700,
		"-45,00": -4500, "−45.00": -4500, "45.00-": -4500, "(45.00)": -4500, "-$45.00": -4500, "$-45.00": -4500, "($1,234.50)": -123450,
		"45,00 $CA": 4500, "CA$45.00": 4500, "45.00 CAD": 4500, "+45.00": 4500, "17.249999999999996": 1725, "1299.995": 130000,
	} {
		text, _ := phrase([]byte(cell), maxShort)
		f, ok := parseFigure(text)
		if !ok {
			t.Errorf("%q is unreadable", cell)
			continue
		}
		if got, ok := f.cents(f.decimal); got != want || !ok {
			t.Errorf("%q: got %d, %v, want %d", cell, got, ok, want)
		}
	}
	for _, cell := range []string{"-", "$", "abc", "12a", "1,23.4.5", "1,2,3", "1 23", "12 34,50", "€12", "12 €", "US$12", "12 USD",
		"1E+03", "--5", "(5", "5)", "(-5)", ".", ",", "1,234,56", "12%", "1.2.3", strings.Repeat("9", 41)} {
		text, _ := phrase([]byte(cell), maxShort)
		if f, ok := parseFigure(text); ok {
			t.Errorf("%q was read as %+v", cell, f)
		}
	}
	for cell, want := range map[string][2]int64{"1,234": {123, 123400}, "1.234": {123400, 123}, "12,345": {1235, 1234500}} {
		f, ok := parseFigure(cell)
		comma, _ := f.cents(Comma)
		point, _ := f.cents(Point)
		if _, read := f.cents(""); !ok || !f.ambiguous || read || comma != want[0] || point != want[1] {
			t.Errorf("%q: %+v, %d with a comma, %d with a point", cell, f, comma, point)
		}
	}
	if f, ok := parseFigure("100000000000.01"); !ok {
		t.Error("a large number is unreadable")
	} else if _, ok := f.cents(Point); ok {
		t.Error("a number above the largest amount was read")
	}
}

// TestFiguresRoundTrip writes amounts as each language does and reads them.
func TestFiguresRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cents := rapid.Int64Range(-10_000_000_000, 10_000_000_000).Draw(t, "cents")
		for _, lang := range []string{"fr", "en"} {
			p := &page{lang: lang}
			text, _ := phrase([]byte(p.dollars(cents)), maxShort)
			f, ok := parseFigure(text)
			if got, ok2 := f.cents(f.decimal); !ok || !ok2 || got != cents {
				t.Fatalf("%q: %d, %v, %v", p.dollars(cents), got, ok, ok2)
			}
		}
	})
}

func TestAnswers(t *testing.T) {
	for cell, want := range map[string]bool{
		"oui": true, "OUI": true, "Yes": true, "y": true, "o": true, "1": true, "x": true, "X": true, "vrai": true, "TRUE": true, " true ": true, "✓": true, "accepté": true,
		"non": false, "No": false, "n": false, "0": false, "faux": false, "False": false, "refusé": false, "☐": false,
	} {
		if yes, said, reason := answer([]byte(cell)); yes != want || !said || reason != "" {
			t.Errorf("%q: %v, %v, %s", cell, yes, said, reason)
		}
	}
	if _, said, reason := answer([]byte("  ")); said || reason != "" {
		t.Error("an empty cell says something")
	}
	for _, cell := range []string{"peut-être", "2", "-", "ouinon", strings.Repeat("x", 200)} {
		if _, _, reason := answer([]byte(cell)); reason != ReasonBadBoolean {
			t.Errorf("%q: %s", cell, reason)
		}
	}
}

func TestPostalCodes(t *testing.T) {
	for cell, want := range map[string]string{
		"h2x 1y4": "H2X1Y4", "H2X-1Y4": "H2X1Y4", "H2X1Y4": "H2X1Y4", " h2x\u00a01y4 ": "H2X1Y4", "H2X": "H2X", "75008": "75008",
		"SW1A 1AA": "SW1A1AA", "10001-1234": "100011234", "": "",
	} {
		if got, reason := postalCode([]byte(cell)); got != want || reason != "" {
			t.Errorf("%q: %q, %s", cell, got, reason)
		}
	}
	for _, cell := range []string{"Montréal", "?", "H2", "MONTREAL", strings.Repeat("1", 20), "marie@example.com"} {
		if got, reason := postalCode([]byte(cell)); got != "" || reason != WarningPostalCode {
			t.Errorf("%q: %q, %s", cell, got, reason)
		}
	}
}

func TestPhrases(t *testing.T) {
	for cell, want := range map[string]string{
		"  Casse-Noisette ": "Casse-Noisette", "L'Avare,\r\n de\u00a0 Molière": "L'Avare, de Molière", "The\u0301a\u0302tre": "Théâtre",
		"=\"0123\"": "0123", "Ci\u00add": "Cid", "a\u200bb": "ab", "\t": "", "'12": "12", "'tis": "'tis",
	} {
		if got, reason := phrase([]byte(cell), maxName); got != want || reason != "" {
			t.Errorf("%q: %q, %s", cell, got, reason)
		}
	}
	for cell, want := range map[string]Reason{
		"a\x07b": ReasonControl, "a\ufffdb": ReasonBadEncoding, strings.Repeat("x", 201): ReasonTextTooLong,
		strings.Repeat("x ", 5000): ReasonTextTooLong,
	} {
		if _, reason := phrase([]byte(cell), maxName); reason != want {
			t.Errorf("%.20q: %s, want %s", cell, reason, want)
		}
	}
}

func FuzzCells(f *testing.F) {
	for _, seed := range []string{"2026-11-23T19:30:00Z", "1er déc. 2026 à 19 h 30", "46349,8", "1 234,50 $", "(1,234)", "=\"\"", "H2X 1Y4", "Œuvre"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, cell []byte) {
		if m, ok := parseMoment(string(cell), false); ok {
			if m, ok = m.settled(MonthFirst); ok {
				if err := m.date(montreal).Check(); err != nil {
					t.Fatalf("%q: %v", cell, err)
				}
			}
		}
		if text, reason := phrase(cell, maxName); reason == "" {
			if again, reason := phrase([]byte(text), maxName); again != text && !strings.HasPrefix(text, "=\"") && !strings.HasPrefix(text, "'") {
				t.Fatalf("%q came out as %q, then as %q (%s)", cell, text, again, reason)
			}
			if figure, ok := parseFigure(text); ok {
				for _, decimal := range []Decimal{"", Comma, Point} {
					if n, ok := figure.cents(decimal); ok && (n > protocol.MaxCents || n < -protocol.MaxCents) {
						t.Fatalf("%q is %d cents", text, n)
					}
					if n, ok := figure.whole(decimal); ok && (n > protocol.MaxCount || n < -protocol.MaxCount) {
						t.Fatalf("%q is %d", text, n)
					}
				}
			}
		}
		postalCode(cell)
		answer(cell)
	})
}
