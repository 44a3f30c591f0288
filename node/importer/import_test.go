package importer

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"coulisse/protocol"
)

const sales = "Courriel;Téléphone;No de commande;Événement;Discipline;Salle;Date de la représentation;Qté;Montant;Code postal\r\n" +
	"Marie.Tremblay@example.com;514 555-0123;A-1;Casse-Noisette;Ballet;Salle Wilfrid;23/11/2026;2;1 234,50 $;h2x 1y4\r\n" +
	"luc@example.com;;A-2;\"L'Avare,\nde Molière\";théâtre jeune public;Salle Wilfrid;05/11/2026 19:30;1;45,00;G1R-4P5\r\n" +
	"luc@example.com;;A-2;\"L'Avare,\nde Molière\";théâtre jeune public;Salle Wilfrid;05/11/2026 19:30;-1;-45,00;G1R-4P5\r\n" +
	";+33 1 42 68 53 00;A-3;Gala \"Étoiles\";hockey;;24/12/2026;1;;75008\r\n"

var salesRows = []string{
	"2 marie.tremblay@example.com +15145550123|A-1|Casse-Noisette|dance.ballet|Salle Wilfrid|2026-11-23|2|123450|H2X1Y4",
	"3 luc@example.com -|A-2|L'Avare, de Molière|theatre.young|Salle Wilfrid|2026-11-05|1|4500|G1R4P5",
	"5 luc@example.com -|A-2|L'Avare, de Molière|theatre.young|Salle Wilfrid|2026-11-05|-1|-4500|G1R4P5",
	"7 - +33142685300|A-3|Gala \"Étoiles\"|||2026-12-24|1|0|75008",
}

func TestTickets(t *testing.T) {
	report, sink := take(t, sales, options(Tickets))
	wantRows(t, sink, salesRows...)
	if report.Rows != 4 || report.Kept != 4 || report.Tickets != 3 || report.Cents != 123450 || report.People != 0 {
		t.Errorf("report: %+v", report)
	}
	want := map[Reason]int64{WarningDiscipline: 1, WarningNoAmount: 1}
	if got := reasons(report.Warnings); !maps.Equal(got, want) {
		t.Errorf("warnings %v, want %v", got, want)
	}
	if report.DateOrder[FieldDay] != DayFirst || report.Decimal[FieldAmount] != Comma || report.Delimiter != ";" ||
		report.Encoding != UTF8 || report.UnknownDisciplines[0] != "hockey" {
		t.Errorf("report: %+v", report)
	}
}

const peopleFile = "\ufeffEmail,Phone,Postal code,Consent to pooling,Consent activation,Consent date,Notes\n" +
	"marie@example.com,(514) 555-0123,H2X,yes,no,2026-09-01T10:00:00-04:00,x\n" +
	"info@example.com,438 555-0199,,oui,,2026-09-01,the address is refused\n" +
	"luc@example.com,12,bad!,0,X,,the phone is refused\n" +
	"test@example.com,,,1,1,,\n" +
	",,,1,1,,nobody\n" +
	"eve@example.com,,,maybe,1,,\n" +
	"zoe@example.com,,,vrai,FAUX,31/31/2026,\n" +
	",,,,,,\n" +
	"ana@example.com\n"

func TestPeople(t *testing.T) {
	report, sink := take(t, peopleFile, options(People))
	wantRows(t, sink,
		"2 marie@example.com +15145550123 H2X pooling=true@2026-09-01T09:00 activation=false@2026-09-01T09:00",
		"3 - +14385550199  pooling=true@2026-09-01T00:00",
		"4 luc@example.com -  pooling=false@2026-11-24T12:00 activation=true@2026-11-24T12:00",
		"10 ana@example.com - ")
	if report.Rows != 8 || report.Kept != 4 || report.Refused != 4 || report.Blank != 1 || report.People != 4 {
		t.Errorf("report: %+v", report)
	}
	for _, c := range []struct {
		got  []Tally
		want map[Reason]int64
	}{
		{report.RefusedBy, map[Reason]int64{"placeholder": 1, ReasonNoIdentifier: 1, ReasonBadBoolean: 1, ReasonBadDate: 1}},
		{report.Discarded, map[Reason]int64{"role-address": 1, "bad-phone": 1}},
		{report.Warnings, map[Reason]int64{WarningShortRow: 1, WarningPostalCode: 1}},
	} {
		if got := reasons(c.got); !maps.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
	if len(report.Ignored) != 1 || report.Ignored[0] != "Notes" {
		t.Errorf("ignored %q", report.Ignored)
	}
}

func TestDefaults(t *testing.T) {
	o := options(Tickets)
	o.MemberDefaults = Defaults{Venue: "Grande salle", Discipline: "theatre",
		Consents: []Consent{{protocol.PurposePooling, true, asOf}}}
	o.SharedPhones = []string{"514 555-0100"}
	report, sink := take(t, "email,phone,event,date\nmarie@example.com,5145550100,Cid,2026-11-23\n", o)
	wantRows(t, sink, "2 marie@example.com -||Cid|theatre|Grande salle|2026-11-23|1|0| pooling=true@2026-11-24T12:00")
	if reasons(report.Discarded)["shared-phone"] != 1 {
		t.Errorf("discarded %v", report.Discarded)
	}
	// A column of the file goes before the default, even where it is empty.
	_, sink = take(t, "email,event,date,venue,consent pooling\nmarie@example.com,Cid,2026-11-23,,\n", o)
	wantRows(t, sink, "2 marie@example.com -||Cid|theatre||2026-11-23|1|0|")
}

func TestUnitPrice(t *testing.T) {
	_, sink := take(t, "email,event,date,quantity,unit price\n"+
		"a.b@example.com,Cid,2026-11-23,3,$12.25\n"+
		"a.b@example.com,Cid,2026-11-23,-1,12.25\n"+
		"a.b@example.com,Cid,2026-11-23,-1,-12.25\n"+
		"a.b@example.com,Cid,2026-11-23,1,(12.25)\n", options(Tickets))
	var got []int64
	for _, row := range sink.sold {
		got = append(got, row.Cents)
	}
	if want := []int64{3675, -1225, -1225, -1225}; !equal(got, want) {
		t.Errorf("cents %v, want %v", got, want)
	}
	// Tickets that come back at a positive price give it back.
	_, sink = take(t, "email,event,date,quantity,amount\na.b@example.com,Cid,2026-11-23,-2,24.50\n", options(Tickets))
	if row := sink.sold[0]; row.Quantity != -2 || row.Cents != -2450 {
		t.Errorf("a refund came out as %d tickets, %d cents", row.Quantity, row.Cents)
	}
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestSameFileTwice(t *testing.T) {
	sink := newMemory(t)
	for i, want := range []error{nil, errSeen} {
		report, err := Import(t.Context(), strings.NewReader(sales), options(Tickets), sink)
		if !errors.Is(err, want) || report.Digest == "" {
			t.Errorf("import %d: %v", i+1, err)
		}
	}
	wantRows(t, sink, salesRows...)
}

// TestCutReaders: pieces of any size, and a reader that cannot seek, give the
// same rows.
func TestCutReaders(t *testing.T) {
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"one byte":  iotest.OneByteReader,
		"half":      iotest.HalfReader,
		"data+EOF":  iotest.DataErrReader,
		"no seek":   func(r io.Reader) io.Reader { return io.MultiReader(r) },
		"cut seeks": func(r io.Reader) io.Reader { return &cutSeeker{r.(io.ReadSeeker)} },
	} {
		o := options(Tickets)
		o.SpoolDir = t.TempDir()
		sink := newMemory(t)
		if _, err := Import(t.Context(), cut(strings.NewReader(sales)), o, sink); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wantRows(t, sink, salesRows...)
		if left, _ := os.ReadDir(o.SpoolDir); len(left) != 0 {
			t.Errorf("%s: a copy of the file stayed on disk", name)
		}
	}
}

type cutSeeker struct{ io.ReadSeeker }

func (c *cutSeeker) Read(p []byte) (int, error) { return c.ReadSeeker.Read(p[:min(len(p), 3)]) }

func TestReaderFails(t *testing.T) {
	broken := errors.New("the disk is gone")
	_, err := Import(t.Context(), io.MultiReader(strings.NewReader(sales), iotest.ErrReader(broken)), options(Tickets), newMemory(t))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestSinkFails(t *testing.T) {
	for _, c := range []struct {
		call    string
		aborted int
	}{{"Begin", 0}, {"Tickets", 1}, {"Commit", 0}} {
		sink := newMemory(t)
		sink.failAt = c.call
		_, err := Import(t.Context(), strings.NewReader(sales), options(Tickets), sink)
		if !errors.Is(err, errSink) || sink.aborted != c.aborted || sink.committed != 0 {
			t.Errorf("%s: %v, %d aborted", c.call, err, sink.aborted)
		}
	}
}

func TestCancel(t *testing.T) {
	rows := strings.Repeat("marie@example.com\n", 3*MaxBatch)
	for _, stage := range []Stage{StageReading, StageChecking, StageImporting} {
		ctx, cancel := context.WithCancel(t.Context())
		o := options(People)
		var last Progress
		o.Progress = func(p Progress) {
			if last = p; p.Stage == stage {
				cancel()
			}
		}
		sink := newMemory(t)
		_, err := Import(ctx, strings.NewReader("email\n"+rows), o, sink)
		if !errors.Is(err, context.Canceled) || sink.committed != 0 || sink.run != nil || last.Stage != stage {
			t.Errorf("%s: %v, stopped while %s", stage, err, last.Stage)
		}
		cancel()
	}
}

// TestChangedFile: a file that is written to between the passes is refused.
func TestChangedFile(t *testing.T) {
	name := t.TempDir() + "/sales.csv"
	if err := os.WriteFile(name, []byte("email\nmarie@example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sink := &writingSink{newMemory(t), func() {
		os.WriteFile(name, []byte("email\nmarie@example.com\nluc@example.com\n"), 0o600)
	}}
	var found *Problem
	if _, err := Import(t.Context(), file, options(People), sink); !errors.As(err, &found) || found.Code != ProblemChanged {
		t.Errorf("got %v", err)
	}
	if sink.aborted != 1 {
		t.Error("the run was not aborted")
	}
}

type writingSink struct {
	*memory
	begin func()
}

func (w *writingSink) Begin(ctx context.Context, run Run) error {
	w.begin()
	return w.memory.Begin(ctx, run)
}

func TestProgress(t *testing.T) {
	o := options(People)
	var seen []Progress
	o.Progress = func(p Progress) { seen = append(seen, p) }
	report, _ := take(t, "email\n"+strings.Repeat("marie@example.com\n", 5000), o)
	last := seen[len(seen)-1]
	if last.Stage != StageImporting || last.Rows != 5000 || last.Total != report.Bytes || last.Bytes != report.Bytes {
		t.Errorf("the last progress is %+v", last)
	}
}
