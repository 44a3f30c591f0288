package importer

import (
	"slices"
	"strings"
	"testing"
)

func TestHeadings(t *testing.T) {
	row := "\na.b@example.com;Cid;2026-11-23\n"
	for name, head := range map[string]string{
		"french":       "Courriel;Spectacle;Date de la représentation",
		"english":      "E-mail;Event name;Performance date",
		"capitals":     "COURRIEL;ÉVÉNEMENT;DATE",
		"no accents":   "courriel;evenement;date",
		"decomposed":   "courriel;e\u0301ve\u0301nement;date",
		"signs":        "e_mail;event-name;event.date",
		"remarks":      "Courriel (client);Événement (titre);Date (jour)",
		"quoted":       "\"Courriel\";\"Événement\";\"Date\"",
		"blanks":       " Courriel ;  Événement;\tDate ",
		"titles above": "Rapport des ventes;;\nDu 1er au 30 novembre;;\n\nCourriel;Événement;Date",
		"directive":    "sep=;\nCourriel;Événement;Date",
		"comma":        "Courriel,Événement,Date",
	} {
		file := head + row
		if name == "comma" {
			file = strings.ReplaceAll(file, ";", ",")
		}
		report, sink := take(t, file, options(Tickets))
		if len(sink.sold) != 1 || sink.sold[0].Event != "Cid" || report.Rows != 1 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// TestLikeliestColumn: of several columns that fit a field, the likeliest.
func TestLikeliestColumn(t *testing.T) {
	report, sink := take(t, "Date,Email,Courriel,Event date,Title,Event\n"+
		"2026-01-01,wrong@example.org,right@example.com,2026-11-23,x,Cid\n", options(Tickets))
	wantRows(t, sink, "2 right@example.com -||Cid|||2026-11-23|1|0|")
	if want := []string{"Date", "Email", "Title"}; !slices.Equal(report.Ignored, want) {
		t.Errorf("ignored %q, want %q", report.Ignored, want)
	}
}

func TestMapping(t *testing.T) {
	for _, text := range []string{
		"columns:\n  email: Adresse 2\n  phone: '-'\n  discipline: genre\ndate_order: mdy\n",
		`{"columns": {"email": "adresse 2", "phone": "-", "discipline": "GENRE"}, "date_order": "mdy", "encoding": "utf-8", "delimiter": ","}`,
	} {
		m, err := ParseMapping([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o := options(Tickets)
		o.Mapping = m
		_, sink := take(t, "Courriel,Adresse 2,Téléphone,Événement,Genre,Discipline,Date\n"+
			"wrong@example.org,right@example.com,5145550123,Cid,danse,cirque,03/04/2026\n", o)
		wantRows(t, sink, "2 right@example.com -||Cid|dance||2026-03-04|1|0|")
	}
	for _, text := range []string{
		"colums: {}", "columns: {courriel: x}", "date_order: ymd", "decimal: dot", "encoding: ebcdic", "delimiter: ';;'",
		"delimiter: '\"'", "columns: [a]", "date_order: dmy\ndate_order: mdy", "{", strings.Repeat("#", MaxMapping+1),
	} {
		if m, err := ParseMapping([]byte(text)); err == nil {
			t.Errorf("%.40q was read as %+v", text, m)
		}
	}
	o := options(People)
	o.Mapping.Columns = map[Field]string{FieldEmail: "Adresse"}
	found := refusedFor(t, "Courriel,Nom\na.b@example.com,x\n", o, ProblemMissingColumn)
	if !strings.Contains(found.Text.EN, `"Adresse"`) || !strings.Contains(found.Text.EN, `"Courriel", "Nom"`) {
		t.Error(found.Text.EN)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"kind":       func(o *Options) { o.Kind = "events" },
		"region":     func(o *Options) { o.Region = "QC" },
		"mapping":    func(o *Options) { o.Mapping.DateOrder = "ymd" },
		"discipline": func(o *Options) { o.MemberDefaults.Discipline = "danse" },
		"consent":    func(o *Options) { o.MemberDefaults.Consents = []Consent{{Purpose: "selling", At: asOf}} },
		"undated":    func(o *Options) { o.MemberDefaults.Consents = []Consent{{Purpose: "pooling"}} },
		"shared":     func(o *Options) { o.SharedPhones = []string{"12"} },
	} {
		o := options(People)
		change(&o)
		t.Run(name, func(t *testing.T) { refusedFor(t, "email\na.b@example.com\n", o, ProblemSettings) })
	}
}

func TestHeadingsAreMissing(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		kind Kind
		code ProblemCode
		says string
	}{
		"no identifier":   {"Nom,Prénom\nTremblay,Marie\n", People, ProblemMissingColumn, `Missing: "E-mail". The file has these columns: "Nom", "Prénom".`},
		"no event":        {"Courriel;Date\na.b@example.com;2026-11-23\n", Tickets, ProblemMissingColumn, `Missing: "Event". The file has these columns: "Courriel", "Date".`},
		"nothing":         {"a,b\n1,2\n", Tickets, ProblemMissingColumn, `Missing: "E-mail", "Event", "Date".`},
		"no headings":     {"a.b@example.com,Tremblay\nc.d@example.com,Gagnon\n", People, ProblemNoHeader, "no row of headings"},
		"twice":           {"Courriel,COURRIEL\na.b@example.com,c.d@example.com\n", People, ProblemSameColumn, `"Courriel"`},
		"header only":     {"Courriel,Nom\n", People, ProblemNoRows, "no row of data"},
		"no line end":     {"Rapport\nCourriel,Nom", People, ProblemNoRows, "no row of data"},
		"blank rows":      {"Courriel,Nom\n,\n  ,\n\n", People, ProblemNoRows, "no row of data"},
		"10 MB heading":   {strings.Repeat("x", 10<<20) + ",Courriel\n1,a.b@example.com\n", People, ProblemNoHeader, "line 1"},
		"nothing kept":    {"Courriel\nx\ny\n", People, ProblemNothingKept, "No row could be kept"},
		"open to the end": {"Courriel,Nom\na.b@example.com,\"x" + strings.Repeat("\ny", 1<<20), People, ProblemStructure, "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			found := refusedFor(t, c.file, options(c.kind), c.code)
			if !strings.Contains(found.Text.EN, c.says) {
				t.Errorf("says %q", found.Text.EN)
			}
			if strings.Contains(found.Text.FR+found.Text.EN, "@example") {
				t.Error("the problem shows an address")
			}
		})
	}
	// Two columns of one name are nobody's business if no field wants them.
	if report, _ := take(t, "Courriel,Nom,Nom\na.b@example.com,x,y\n", options(People)); len(report.Ignored) != 2 {
		t.Errorf("ignored %q", report.Ignored)
	}
}

func TestConventions(t *testing.T) {
	head, row := "courriel;spectacle;date;montant\n", "a.b@example.com;Cid;%s;%s\n"
	file := func(cells ...string) string {
		text := head
		for i := 0; i < len(cells); i += 2 {
			text += strings.NewReplacer("%s;%s", cells[i]+";"+cells[i+1]).Replace(row)
		}
		return text
	}
	taken := func(file string, o Options) string {
		t.Helper()
		report, sink := take(t, file, o)
		var b strings.Builder
		for _, row := range sink.sold {
			b.WriteString(string(row.Day) + " ")
		}
		if report.Refused > 0 {
			b.WriteString("refused")
		}
		return strings.TrimSpace(b.String())
	}
	o := options(Tickets)
	for _, c := range [][2]string{
		{file("03/04/2026", "1", "23/11/2026", "1"), "2026-04-03 2026-11-23"},
		{file("03/04/2026", "1", "11/23/2026", "1"), "2026-03-04 2026-11-23"},
		{file("05/05/2026", "1"), "2026-05-05"},
		{file("2026-04-03", "1", "23 nov 2026", "1"), "2026-04-03 2026-11-23"},
	} {
		if got := taken(c[0], o); got != c[1] {
			t.Errorf("%q: got %s, want %s", c[0], got, c[1])
		}
	}
	refusedFor(t, file("03/04/2026", "1"), o, ProblemDateOrder)
	mixed := file("23/11/2026", "1", "11/23/2026", "1")
	refusedFor(t, mixed, o, ProblemDateOrder)
	o.Mapping.DateOrder = DayFirst
	if got := taken(mixed, o); got != "2026-11-23 refused" {
		t.Errorf("got %s", got)
	}

	o = options(Tickets)
	total := func(file string, o Options) int64 {
		t.Helper()
		report, _ := take(t, file, o)
		return report.Cents
	}
	for file, want := range map[string]int64{
		file("2026-01-01", "1,234", "2026-01-01", "5.50"):  123950,
		file("2026-01-01", "1.234", "2026-01-01", "5,50"):  123950,
		file("2026-01-01", "12,50", "2026-01-01", "5.50"):  1800,
		file("2026-01-01", "0.500", "2026-01-01", "1,234"): 123450,
	} {
		if got := total(file, o); got != want {
			t.Errorf("%q: %d cents, want %d", file, got, want)
		}
	}
	refusedFor(t, file("2026-01-01", "1,234"), o, ProblemDecimal)
	refusedFor(t, file("2026-01-01", "1,234", "2026-01-01", "5,5", "2026-01-01", "5.5"), o, ProblemDecimal)
	o.Mapping.Decimal = Comma
	if got := total(file("2026-01-01", "1,234"), o); got != 123 {
		t.Errorf("%d cents", got)
	}
}

// TestFieldNames checks the file of headings: whoever adds one learns here
// what is wrong.
func TestFieldNames(t *testing.T) {
	for _, field := range ticketFields {
		if err := names.title[field].Check(); err != nil {
			t.Errorf("%s: %v", field, err)
		}
		for _, title := range []string{names.title[field].FR, names.title[field].EN, string(field)} {
			if _, ok := names.fit(title, field); !ok {
				t.Errorf("%s is not found under %q", field, title)
			}
		}
	}
	if len(names.title) != len(ticketFields) {
		t.Errorf("%d fields in the file, %d in the code", len(names.title), len(ticketFields))
	}
	for heading, fields := range names.rank {
		if len(fields) > 1 || heading == "" {
			t.Errorf("%q stands for %v", heading, fields)
		}
	}
	for _, field := range personFields {
		if !slices.Contains(ticketFields, field) {
			t.Errorf("%s is not in both kinds", field)
		}
	}
}
