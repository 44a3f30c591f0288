package houses_test

import (
	"context"
	"testing"

	"coulisse/deploy/demo/houses"
	"coulisse/deploy/demo/houses/oracle"
	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/protocol"
)

// A member drags its export in and says nothing about it. The importer, which
// has never seen it, must find the people that the oracle was told how to find.
func TestImporterReadsEveryExport(t *testing.T) {
	truth, err := oracle.Read()
	if err != nil {
		t.Fatal(err)
	}
	for i, house := range houses.All() {
		want := truth.Tallies()[i]
		got := importAll(t, house)
		got.Member = want.Member
		if got != want {
			t.Errorf("%s: imported %+v, the oracle read %+v", house.ID, got, want)
		}
	}
}

func importAll(t *testing.T, house houses.House) oracle.Tally {
	t.Helper()
	file, err := house.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	people := ledger{}
	options := importer.Options{Kind: importer.Kind(house.FileKind), File: house.File, SpoolDir: t.TempDir()}
	report, err := importer.Import(t.Context(), file, options, people)
	if err != nil {
		t.Fatalf("%s: %v", house.ID, err)
	}
	tally := people.tally()
	tally.Rows, tally.Unusable = int(report.Rows), int(report.Refused)
	for _, refused := range report.RefusedBy {
		if refused.Reason == importer.ReasonBadDate { // somebody's, all the same
			tally.Unusable -= int(refused.Count)
		}
	}
	return tally
}

// ledger keeps a line a person, in memory, for one import.
type ledger map[identity.Identifier]*line

type line struct {
	consents map[protocol.Purpose]bool
	dance    map[visit]int64
}

// visit is an event on a day, which is what a refund takes back.
type visit struct {
	event string
	day   protocol.Date
}

func (l ledger) of(email, phone *identity.Identifier, consents []importer.Consent) *line {
	who := phone
	if email != nil {
		who = email
	}
	known := l[*who]
	if known == nil {
		known = &line{map[protocol.Purpose]bool{}, map[visit]int64{}}
		l[*who] = known
	}
	for _, c := range consents {
		known.consents[c.Purpose] = c.Granted
	}
	return known
}

func (l ledger) Begin(context.Context, importer.Run) error     { return nil }
func (l ledger) Commit(context.Context, importer.Report) error { return nil }
func (l ledger) Abort(context.Context) error                   { return nil }

func (l ledger) People(_ context.Context, rows []importer.PersonRow) error {
	for _, r := range rows {
		l.of(r.Email, r.Phone, r.Consents)
	}
	return nil
}

func (l ledger) Tickets(_ context.Context, rows []importer.TicketRow) error {
	for _, r := range rows {
		known := l.of(r.Email, r.Phone, r.Consents)
		if r.Discipline == "dance.contemporary" {
			known.dance[visit{r.Event, r.Day}] += r.Quantity
		}
	}
	return nil
}

func (l ledger) tally() oracle.Tally {
	tally := oracle.Tally{People: len(l)}
	for _, known := range l {
		if !known.consents[protocol.PurposePooling] {
			continue
		}
		tally.Pooling++
		if known.consents[protocol.PurposeActivation] {
			tally.Activation++
		}
		for _, tickets := range known.dance {
			if tickets > 0 {
				tally.Lovers++
				break
			}
		}
	}
	return tally
}
