package warehouse

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/protocol"
)

// model is the warehouse again, the slow and obvious way.
type model struct {
	people map[string]*somebody // by address, else telephone
}

type somebody struct {
	postal  string
	words   []importer.Consent
	tickets []importer.TicketRow
}

func (m *model) somebody(email, phone *identity.Identifier, postal string, words []importer.Consent) (string, *somebody) {
	id := email
	if id == nil {
		id = phone
	}
	p := m.people[id.Reveal()]
	if p == nil {
		p = &somebody{}
		m.people[id.Reveal()] = p
	}
	if postal != "" {
		p.postal = postal
	}
	p.words = append(p.words, words...)
	return id.Reveal(), p
}

// take adds a file: of each line, as many as the file that has most of them.
func (m *model) take(people []importer.PersonRow, tickets []importer.TicketRow) {
	for _, row := range people {
		m.somebody(row.Email, row.Phone, row.PostalCode, row.Consents)
	}
	known := make(map[string]int)
	line := func(name string, t importer.TicketRow) string {
		return fmt.Sprint(name, "|", t.Order, "|", t.Event, "|", venueOf(t.Venue), "|", t.Day, "|", t.Quantity, "|", t.Cents)
	}
	for name, p := range m.people {
		for _, t := range p.tickets {
			known[line(name, t)]++
		}
	}
	for _, t := range tickets {
		name, p := m.somebody(t.Email, t.Phone, t.PostalCode, t.Consents)
		if known[line(name, t)]--; known[line(name, t)] < 0 {
			p.tickets = append(p.tickets, t)
		}
	}
}

func (p *somebody) consents() bool {
	granted, withdrawn := int64(-1), int64(-1)
	for _, w := range p.words {
		if w.Granted {
			granted = max(granted, w.At.Unix())
		} else {
			withdrawn = max(withdrawn, w.At.Unix())
		}
	}
	return granted > withdrawn
}

func (p *somebody) satisfies(d protocol.Definition) bool {
	lives := len(d.PostalPrefixes) == 0
	for _, prefix := range d.PostalPrefixes {
		lives = lives || strings.HasPrefix(p.postal, prefix)
	}
	if !lives {
		return false
	}
	says := len(d.Disciplines)+len(d.Venues) > 0 || d.From != "" || d.Until != ""
	counts := d.MinVisits > 0 || d.MinTickets > 0 || d.MinCents > 0
	kept := make(map[string]int64)
	var tickets, cents int64
	for _, t := range p.tickets {
		if fits(d, t) {
			kept[t.Event+"|"+string(t.Day)] += t.Quantity
			tickets += t.Quantity
			cents += t.Cents
		}
	}
	visits := 0
	for _, quantity := range kept {
		if quantity > 0 {
			visits++
		}
	}
	if !counts {
		return !says || visits > 0
	}
	return visits >= d.MinVisits &&
		(d.MinTickets == 0 || tickets >= int64(d.MinTickets)) && (d.MinCents == 0 || cents >= d.MinCents)
}

func fits(d protocol.Definition, t importer.TicketRow) bool {
	about := len(d.Disciplines) == 0
	for _, code := range d.Disciplines {
		above := strings.Split(code, ".")
		path := strings.Split(t.Discipline, ".")
		about = about || len(path) >= len(above) && slices.Equal(path[:len(above)], above)
	}
	there := len(d.Venues) == 0
	for _, venue := range d.Venues {
		there = there || venueOf(venue) == venueOf(t.Venue)
	}
	return about && there && (d.From == "" || t.Day != "" && t.Day >= d.From) && (d.Until == "" || t.Day != "" && t.Day <= d.Until)
}

// spellings of a venue that are one; a list, so that the oracle folds nothing.
var spellings = [][]string{
	{"Théâtre du Fleuve", "THEATRE DU FLEUVE", "the\u0301âtre  du fleuve "},
	{"Usine C", "usine c"},
	{"Sacré-Cœur", "SACRÉ-CŒUR", "sacre-coeur"},
	{"Usine"},
	{""},
}

func venueOf(name string) int {
	return slices.IndexFunc(spellings, func(s []string) bool { return slices.Contains(s, name) })
}

var (
	addresses   = []string{"a@example.org", "b@example.org", "c@example.org", "d@example.org", "e@example.org"}
	numbers     = []string{"+15145550100", "+15145550101"}
	disciplines = []string{"", "dance", "dance.contemporary", "dancehall", "music", "music.jazz"}
	days        = []protocol.Date{"", "2025-08-31", "2025-09-01", "2025-09-02", "2026-06-30"}
	postals     = []string{"", "H2X1Y4", "H2J2B8", "H3A0G4", "G1R1A1", "H"}
	prefixes    = []string{"H2", "H2X", "H2X1Y4", "G", "J", "H"}
)

func drawIdentifiers(t *rapid.T) (email, phone *identity.Identifier) {
	restore := func(kind identity.Kind, from []string) *identity.Identifier {
		id, err := identity.Restore(kind, rapid.SampledFrom(from).Draw(t, string(kind)))
		if err != nil {
			t.Fatal(err)
		}
		return &id
	}
	which := rapid.IntRange(0, 5).Draw(t, "identified by")
	if which != 0 {
		email = restore(identity.KindEmail, addresses)
	}
	if which <= 1 {
		phone = restore(identity.KindPhone, numbers)
	}
	return email, phone
}

func drawConsents(t *rapid.T) []importer.Consent {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) importer.Consent {
		return says(rapid.IntRange(0, 3).Draw(t, "granted") > 0, rapid.IntRange(0, 3).Draw(t, "hours"))
	}), 0, 2).Draw(t, "consents")
}

func drawPerson(t *rapid.T) (row importer.PersonRow) {
	row.Email, row.Phone = drawIdentifiers(t)
	row.PostalCode = rapid.SampledFrom(postals).Draw(t, "postal code")
	row.Consents = drawConsents(t)
	return row
}

func drawTicket(t *rapid.T) importer.TicketRow {
	email, phone := drawIdentifiers(t)
	return importer.TicketRow{
		Email: email, Phone: phone,
		Order:      rapid.SampledFrom([]string{"1", "2"}).Draw(t, "order"),
		Event:      rapid.SampledFrom([]string{"Icare", "Médée"}).Draw(t, "event"),
		Discipline: rapid.SampledFrom(disciplines).Draw(t, "discipline"),
		Venue:      rapid.SampledFrom(slices.Concat(spellings...)).Draw(t, "venue"),
		Day:        rapid.SampledFrom(days).Draw(t, "day"),
		Quantity:   rapid.Int64Range(-2, 3).Draw(t, "quantity"),
		Cents:      rapid.Int64Range(-2, 3).Draw(t, "cents"),
		PostalCode: rapid.SampledFrom(postals).Draw(t, "postal code"),
		Consents:   drawConsents(t),
	}
}

// drawDefinition restricts few fields at a time, so that people remain.
func drawDefinition(t *rapid.T) protocol.Definition {
	d := protocol.Definition{Name: "drawn", Title: everybody.Title}
	some := func(from []string, what string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, 2, rapid.ID).Draw(t, what)
	}
	for _, field := range rapid.SliceOfN(rapid.IntRange(0, 7), 0, 3).Draw(t, "fields") {
		switch field {
		case 0:
			d.Disciplines = some(disciplines[1:], "disciplines")
		case 1:
			d.Venues = some(slices.Concat(spellings[:4]...), "venues")
		case 2:
			d.PostalPrefixes = some(prefixes, "prefixes")
		case 3:
			d.From = rapid.SampledFrom(days[1:3]).Draw(t, "from")
		case 4:
			d.Until = rapid.SampledFrom(days[2:]).Draw(t, "until")
		case 5:
			d.MinVisits = rapid.IntRange(1, 3).Draw(t, "visits")
		case 6:
			d.MinTickets = rapid.IntRange(1, 5).Draw(t, "tickets")
		case 7:
			d.MinCents = rapid.Int64Range(1, 5).Draw(t, "cents")
		}
	}
	return d
}

// TestEvaluateAgainstModel compares the engine's answers with plain loops.
func TestEvaluateAgainstModel(t *testing.T) {
	w := fresh(t)
	rapid.Check(t, func(rt *rapid.T) {
		for _, table := range []string{"people", "identities", "consents", "standing", "tickets", "imports"} {
			if _, err := w.db.Exec(`DELETE FROM ` + table); err != nil {
				t.Fatal(err)
			}
		}
		m := model{people: make(map[string]*somebody)}
		var tickets []importer.TicketRow
		for i := range rapid.IntRange(1, 2).Draw(rt, "files") {
			people := rapid.SliceOfN(rapid.Custom(drawPerson), 0, 4).Draw(rt, "people")
			// The second file repeats some of the first.
			tickets = append(tickets[:rapid.IntRange(0, len(tickets)).Draw(rt, "repeated")],
				rapid.SliceOfN(rapid.Custom(drawTicket), 0, 25).Draw(rt, "tickets")...)
			mustTake(t, w, fmt.Sprint(i), people, tickets...)
			m.take(people, tickets)
		}
		names := names(t, w)
		for _, d := range rapid.SliceOfN(rapid.Custom(drawDefinition), 12, 12).Draw(rt, "definitions") {
			want := []string{}
			for name, p := range m.people {
				if p.consents() && p.satisfies(d) {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			if got := who(t, w, names, d); !slices.Equal(got, want) {
				rt.Fatalf("%+v\nfits %v\nwant %v", d, got, want)
			}
		}
	})
}
