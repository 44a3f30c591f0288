package importer

import (
	"cmp"
	"slices"

	"coulisse/node/taxonomy"
	"coulisse/protocol"
)

// ticket adds a row about tickets to the batch, or says why it cannot.
func (c *converter) ticket(r row) (reason Reason) {
	person, reason := c.person(r)
	if reason != "" {
		return reason
	}
	t := TicketRow{Email: person.Email, Phone: person.Phone, PostalCode: person.PostalCode,
		Consents: person.Consents, Line: r.line}
	if t.Event, reason = c.phrases[FieldEvent].of(c.cell(r, FieldEvent)); reason != "" {
		return reason
	}
	if !c.has(FieldEvent) {
		t.Event = c.options.Mapping.Defaults[FieldEvent]
	}
	if t.Event == "" {
		return ReasonNoEvent
	}
	if t.Day = protocol.Date(c.options.Mapping.Defaults[FieldDay]); c.has(FieldDay) {
		if t.Day, reason = c.days.of(c.cell(r, FieldDay)); reason != "" {
			return reason
		}
	}
	if t.Order, reason = c.phrases[FieldOrder].of(c.cell(r, FieldOrder)); reason != "" {
		return reason
	}
	if t.Venue, reason = c.phrases[FieldVenue].of(c.cell(r, FieldVenue)); reason != "" {
		return reason
	}
	if !c.has(FieldVenue) {
		t.Venue = cmp.Or(c.options.Mapping.Defaults[FieldVenue], c.options.MemberDefaults.Venue)
	}
	t.Discipline = c.discipline(r)
	if t.Quantity, t.Cents, reason = c.sale(r); reason != "" {
		return reason
	}
	c.tickets = append(slices.Grow(c.tickets, MaxBatch-len(c.tickets)), t)
	c.report.Tickets += t.Quantity
	c.report.Cents += t.Cents
	return ""
}

func (c *converter) readDay(cell []byte) (protocol.Date, Reason) {
	text, reason := phrase(cell, maxShort)
	switch {
	case reason != "":
		return "", ReasonBadDate
	case text == "":
		return "", ReasonNoDay
	}
	m, ok := parseMoment(text, c.layout.since1904)
	if ok {
		m, ok = m.settled(c.conventions.order[FieldDay])
	}
	if !ok {
		return "", ReasonBadDate
	}
	return m.date(c.options.Zone), ""
}

// discipline returns the code for the row's words. Words that the taxonomy does
// not know are worth a warning, not the row.
func (c *converter) discipline(r row) string {
	if !c.has(FieldDiscipline) {
		return cmp.Or(c.options.Mapping.Defaults[FieldDiscipline], c.options.MemberDefaults.Discipline)
	}
	code, reason := c.disciplines.of(c.cell(r, FieldDiscipline))
	if reason != "" {
		c.notes = append(c.notes, reason)
	}
	return code
}

func (c *converter) readDiscipline(cell []byte) (string, Reason) {
	text, reason := phrase(cell, maxName)
	if reason != "" {
		return "", WarningDiscipline
	}
	if text == "" {
		return "", ""
	}
	code, ok := taxonomy.Lookup(text)
	if !ok {
		c.report.unknownDiscipline(text)
		return "", WarningDiscipline
	}
	return code, ""
}

// sale reads how many tickets and how much. Without a quantity a row is one
// ticket. Tickets that come back at their price give the price back.
func (c *converter) sale(r row) (quantity, cents int64, reason Reason) {
	quantity = 1
	if c.has(FieldQuantity) {
		f, reason := c.figure(r, FieldQuantity)
		if reason != "" {
			return 0, 0, ReasonBadQuantity
		}
		var ok bool
		if quantity, ok = f.whole(""); f.text == "" || !ok {
			return 0, 0, ReasonBadQuantity
		}
	}
	cents, said, reason := c.sum(r, FieldAmount)
	if reason != "" {
		return 0, 0, reason
	}
	if said && quantity < 0 && cents > 0 {
		cents = -cents
	}
	if !said {
		unit, there, reason := c.sum(r, FieldUnitPrice)
		if reason != "" {
			return 0, 0, reason
		}
		said, cents = there, unit*quantity // at most 10^11 by 10^6
		if unit < 0 && quantity < 0 {
			cents = -cents // written twice, meant once
		}
	}
	if at := c.layout.header.cancelled; at >= 0 && c.cancelled[fold(string(cellAt(r.cells, at)))] {
		quantity, cents = -max(quantity, -quantity), -max(cents, -cents)
	}
	if cents > protocol.MaxCents || cents < -protocol.MaxCents {
		return 0, 0, ReasonBadAmount
	}
	if !said && (c.has(FieldAmount) || c.has(FieldUnitPrice)) {
		c.notes = append(c.notes, WarningNoAmount)
	}
	return quantity, cents, ""
}

// sum reads a sum of money, if there is one.
func (c *converter) sum(r row, field Field) (cents int64, said bool, reason Reason) {
	f, reason := c.figure(r, field)
	if reason != "" || f.text == "" {
		return 0, false, reason
	}
	cents, ok := f.cents(c.conventions.decimal[field])
	if !ok {
		return 0, false, ReasonBadAmount
	}
	return cents, true, ""
}

// figure reads a number; the zero figure is an empty cell.
func (c *converter) figure(r row, field Field) (figure, Reason) {
	text, reason := phrase(c.cell(r, field), maxShort)
	if reason != "" {
		return figure{}, ReasonBadAmount
	}
	if text == "" {
		return figure{}, ""
	}
	f, ok := parseFigure(text)
	if !ok {
		return figure{}, ReasonBadAmount
	}
	if r.exact(c.layout.header.column[field]) {
		f.exact, f.decimal, f.ambiguous = true, Point, false
	}
	return f, ""
}
