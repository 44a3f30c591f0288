package importer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"coulisse/node/identity"
	"coulisse/protocol"
)

// converter turns rows into facts and gathers them into batches.
type converter struct {
	*job
	people  []PersonRow
	tickets []TicketRow
	// Rows point into these. They are made anew for each batch, since a sink
	// may keep what it is handed.
	identifiers []identity.Identifier
	consents    []Consent

	phrases     map[Field]*memo[string]
	disciplines *memo[string]
	days        *memo[protocol.Date]
	read        []int           // the columns that are
	cancelled   map[string]bool // folded
	leftOut     map[string]bool
	postalCodes *memo[string]

	// notes are what the row at hand does without, counted if it is kept.
	notes     []Reason
	discarded []identity.Reason
}

func newConverter(j *job) *converter {
	c := &converter{job: j, phrases: make(map[Field]*memo[string])}
	for field, most := range map[Field]int{FieldEvent: maxEvent, FieldVenue: maxName, FieldOrder: maxName} {
		c.phrases[field] = remember(func(cell []byte) (string, Reason) { return phrase(cell, most) })
	}
	c.disciplines = remember(c.readDiscipline)
	c.days = remember(c.readDay)
	c.postalCodes = remember(postalCode)
	c.read = slices.Collect(maps.Values(j.layout.header.column))
	c.cancelled = folded(j.options.Mapping.Cancelled.Values)
	c.leftOut = folded(j.options.Mapping.LeftOut.Values)
	return c
}

func folded(values []string) map[string]bool {
	set := make(map[string]bool)
	for _, value := range values {
		set[fold(value)] = true
	}
	return set
}

func (c *converter) full() bool { return len(c.people) == MaxBatch || len(c.tickets) == MaxBatch }

// flush hands the batch to the sink.
func (c *converter) flush(ctx context.Context) error {
	people, tickets := c.people, c.tickets
	c.people, c.tickets, c.identifiers, c.consents = nil, nil, nil, nil
	if len(people) > 0 {
		if err := c.sink.People(ctx, people); err != nil {
			return fmt.Errorf("storing people: %w", err)
		}
	}
	if len(tickets) > 0 {
		if err := c.sink.Tickets(ctx, tickets); err != nil {
			return fmt.Errorf("storing tickets: %w", err)
		}
	}
	return nil
}

// take keeps a row or counts why not.
func (c *converter) take(r row) {
	if r.blank() || c.repeatsHeadings(r) {
		c.report.Blank++
		return
	}
	c.report.Rows++
	c.notes, c.discarded = c.notes[:0], c.discarded[:0]
	identifiers, consents := len(c.identifiers), len(c.consents)
	if reason := c.keep(r); reason != "" {
		c.identifiers, c.consents = c.identifiers[:identifiers], c.consents[:consents]
		c.report.refuse(reason, r.line)
		return
	}
	c.report.Kept++
	for _, note := range c.notes {
		c.report.warn(note, r.line)
	}
	for _, reason := range c.discarded {
		c.report.discard(Reason(reason), r.line)
	}
}

// keep adds a row to the batch, or says why it cannot.
func (c *converter) keep(r row) Reason {
	if r.broken != "" {
		return r.broken
	}
	if r.hidden {
		c.notes = append(c.notes, WarningHiddenRow)
	}
	columns := len(c.layout.header.headings)
	switch {
	case c.layout.format != Delimited: // no delimiter can be missing or one too many
	case len(r.cells) < columns:
		c.notes = append(c.notes, WarningShortRow)
	case len(r.cells) > columns && !(row{cells: r.cells[columns:]}).blank():
		return ReasonTooManyCells
	}
	for _, i := range c.read {
		if failed(cellAt(r.cells, i)) {
			return ReasonFormula
		}
	}
	if at := c.layout.header.leftOut; at >= 0 && c.leftOut[fold(string(cellAt(r.cells, at)))] {
		return ReasonLeftOut
	}
	if c.options.Kind == Tickets {
		return c.ticket(r)
	}
	person, reason := c.person(r)
	if reason != "" {
		return reason
	}
	c.people = append(slices.Grow(c.people, MaxBatch-len(c.people)), person)
	c.report.People++
	return ""
}

func (c *converter) cell(r row, field Field) []byte {
	i, ok := c.layout.header.column[field]
	if !ok {
		return nil
	}
	return cellAt(r.cells, i)
}

func (c *converter) has(field Field) bool {
	_, ok := c.layout.header.column[field]
	return ok
}

// person reads what the rows of both kinds have in common.
func (c *converter) person(r row) (p PersonRow, reason Reason) {
	p.Line = r.line
	email, emailReason := c.identifier(r, FieldEmail)
	phone, phoneReason := c.identifier(r, FieldPhone)
	if email.IsZero() && phone.IsZero() {
		switch {
		case isTotal(r.cells):
			return p, ReasonTotal
		case emailReason != identity.ReasonEmpty:
			return p, Reason(emailReason)
		case phoneReason != identity.ReasonEmpty:
			return p, Reason(phoneReason)
		}
		return p, ReasonNoIdentifier
	}
	for _, reason := range []identity.Reason{emailReason, phoneReason} {
		if reason != "" && reason != identity.ReasonEmpty {
			c.discarded = append(c.discarded, reason)
		}
	}
	code, note := c.postalCodes.of(c.cell(r, FieldPostalCode))
	if p.PostalCode = code; note != "" {
		c.notes = append(c.notes, note)
	}
	if p.Consents, reason = c.consentsOf(r); reason != "" {
		return p, reason
	}
	p.Email, p.Phone = c.store(email), c.store(phone)
	return p, ""
}

// identifier reads the cell of an identifier; an empty one has a reason too.
func (c *converter) identifier(r row, field Field) (id identity.Identifier, reason identity.Reason) {
	raw := string(unwrap(c.cell(r, field)))
	var err error
	if field == FieldEmail {
		id, err = identity.Email(raw)
	} else {
		id, err = identity.Phone(raw, c.options.Region)
	}
	if err != nil {
		return id, err.(identity.Reason) // both say that they return nothing else
	}
	if c.shared[id] {
		return identity.Identifier{}, identity.ReasonSharedPhone
	}
	return id, ""
}

// store moves an identifier to the batch.
func (c *converter) store(id identity.Identifier) *identity.Identifier {
	if id.IsZero() {
		return nil
	}
	if c.identifiers == nil {
		c.identifiers = make([]identity.Identifier, 0, 2*MaxBatch)
	}
	c.identifiers = append(c.identifiers, id)
	return &c.identifiers[len(c.identifiers)-1]
}

var consentFields = []struct {
	field   Field
	purpose protocol.Purpose
}{
	{FieldConsentPooling, protocol.PurposePooling},
	{FieldConsentActivation, protocol.PurposeActivation},
}

// consentsOf reads what the row says about each purpose. Where the file has no
// column for one, the member's own word holds.
func (c *converter) consentsOf(r row) ([]Consent, Reason) {
	first := len(c.consents)
	for _, f := range consentFields {
		if !c.has(f.field) {
			for _, d := range c.options.MemberDefaults.Consents {
				if d.Purpose == f.purpose {
					c.consents = append(c.consents, d)
				}
			}
			continue
		}
		yes, said, reason := answer(c.cell(r, f.field))
		if reason != "" {
			return nil, reason
		}
		if !said {
			continue
		}
		at, reason := c.consentDate(r)
		if reason != "" {
			return nil, reason
		}
		c.consents = append(c.consents, Consent{f.purpose, yes, at})
	}
	if len(c.consents) == first {
		return nil, ""
	}
	return c.consents[first:len(c.consents):len(c.consents)], ""
}

// consentDate reads the date of the row's consents; without one it is the
// file's.
func (c *converter) consentDate(r row) (time.Time, Reason) {
	text, reason := phrase(c.cell(r, FieldConsentDate), maxShort)
	if reason != "" {
		return time.Time{}, ReasonBadDate
	}
	if text == "" {
		return c.options.AsOf, ""
	}
	m, ok := parseMoment(text, c.layout.since1904)
	if ok {
		m, ok = m.settled(c.conventions.order[FieldConsentDate])
	}
	if !ok {
		return time.Time{}, ReasonBadDate
	}
	return m.in(c.options.Zone), ""
}
