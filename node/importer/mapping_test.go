package importer

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestShippedMappings: each takes the sample beside it, and says in both
// languages what it is for.
func TestShippedMappings(t *testing.T) {
	want := map[string][]string{
		"tuxedo-quotidien": {
			"2 claire@example.com +15145550123|T-1001|Les Oiseaux||Salle A|2026-12-04|2|9000|H2X1Y4",
			"3 luc@example.com -|T-1002|Les Oiseaux||Salle A|2026-12-04|1|4500|G1R4P5",
			"4 claire@example.com +15145550123|T-1001|Les Oiseaux||Salle A|2026-12-04|-2|-9000|H2X1Y4",
			"5 eve@example.com -|T-1003|Icare||Salle B|2026-12-05|-1|-5000|"},
		"eventbrite-participants": {
			"2 claire@example.com -|1001|Le Cid|||2026-11-23|1|2500|",
			"3 luc@example.com -|1002|Le Cid|||2026-11-23|2|5000|"},
		"pretix-positions": {
			"2 claire@example.com +15145550123|ABCDE|Les Oiseaux|||2026-12-04|1|4500|",
			"3 claire@example.com +15145550123|ABCDE|Les Oiseaux|||2026-12-04|1|2000|"},
	}
	if names := ShippedNames(); !slices.Equal(names, slices.Sorted(maps.Keys(want))) {
		t.Fatalf("shipped are %v", names)
	}
	for name, rows := range want {
		m, _ := Shipped(name)
		if err := m.Title.Check(); err != nil || m.Source == "" || m.Kind != Tickets {
			t.Errorf("%s: %v, %+v", name, err, m)
		}
		file, err := os.ReadFile("testdata/mappings/" + name + ".csv")
		if err != nil {
			t.Fatal(err)
		}
		o := options(m.Kind)
		o.Mapping = m
		if name == "eventbrite-participants" { // about one event, which it does not name
			refusedFor(t, string(file), o, ProblemMissingColumn)
			o.Mapping.Defaults = map[Field]string{FieldEvent: "Le Cid", FieldDay: "2026-11-23"}
		}
		report, sink := take(t, string(file), o)
		wantRows(t, sink, rows...)
		for reason := range reasons(report.RefusedBy) {
			if reason != ReasonLeftOut {
				t.Errorf("%s: a row of the sample is refused: %s", name, reason)
			}
		}
	}
}

func TestMappingFile(t *testing.T) {
	m, err := ParseMapping([]byte("kind: tickets\ncolumns: {email: Acheteur, discipline: \"-\"}\ndefaults: {event: Le Cid, day: 2026-11-23, venue: Grande salle, discipline: theatre}\n" +
		"decimal: comma\ncancelled: {column: Type, values: [Annulé]}\nleft_out: {column: État, values: [panier]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	o := options(Tickets)
	o.Mapping = m
	file := "Acheteur;type;ETAT;Qté;Montant;Discipline\na.b@example.com;vente;payé;2;90,00;opéra\na.b@example.com;ANNULE;payé;2;90,00;\na.b@example.com;annulé;payé;-1;-45,00;\nc.d@example.com;vente;Panier;1;45,00;\n"
	report, sink := take(t, file, o)
	wantRows(t, sink, "2 a.b@example.com -||Le Cid|theatre|Grande salle|2026-11-23|2|9000|",
		"3 a.b@example.com -||Le Cid|theatre|Grande salle|2026-11-23|-2|-9000|",
		"4 a.b@example.com -||Le Cid|theatre|Grande salle|2026-11-23|-1|-4500|")
	if got := reasons(report.RefusedBy); !maps.Equal(got, map[Reason]int64{ReasonLeftOut: 1}) {
		t.Errorf("refused %v", got)
	}
	found := refusedFor(t, "Acheteur;Qté\na.b@example.com;1\n", o, ProblemMissingColumn)
	if !strings.Contains(found.Text.EN, `names the column "Type"`) {
		t.Error(found)
	}
}

func TestMappingsThatCannotBe(t *testing.T) {
	for name, text := range map[string]string{
		"a key it does not know":   "columns: {email: A}\ncolour: red",
		"a key twice":              "decimal: comma\ndecimal: point",
		"a field that is not":      "columns: {name: Nom}",
		"a kind that is not":       "kind: films",
		"a column without values":  "cancelled: {column: Type}",
		"values without a column":  "left_out: {values: [x]}",
		"a key inside that is not": "cancelled: {colum: Type, values: [x]}",
		"a default for a person":   "defaults: {email: a.b@example.com}",
		"a day that is not":        "defaults: {day: 2026-02-30}",
		"a day in words":           "defaults: {day: demain}",
		"a discipline that is not": "defaults: {discipline: hockey}",
		"an empty default":         "defaults: {event: \"\"}",
		"too much":                 strings.Repeat("#", MaxMapping+1),
	} {
		_, err := ParseMapping([]byte(text))
		var found *Problem
		if !errors.As(err, &found) || found.Code != ProblemSettings || found.Text.Check() != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMapping(f *testing.F) {
	for _, name := range ShippedNames() {
		text, err := shippedData.ReadFile("mappings/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseMapping(text)
		var found *Problem
		if err != nil && !errors.As(err, &found) || err == nil && m.Check() != nil {
			t.Fatal(err)
		}
	})
}
