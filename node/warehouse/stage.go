package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"coulisse/node/identity"
	"coulisse/node/importer"
)

// Why a row cannot be staged. An importer that reads files refuses such rows
// before they come here.
var (
	errNotBegun = errors.New("the import has not begun")
	errNobody   = errors.New("a row without an identifier is about nobody")
	errBadDay   = errors.New("a day is written 2026-11-23")
)

// stagedRow has the columns of the table staged, in order. From the sixth on
// they stay nil when the row is no ticket.
type stagedRow [13]driver.Value

// People stages rows about people.
func (in *Intake) People(ctx context.Context, people []importer.PersonRow) error {
	return in.stage(ctx, func() error {
		for i := range people {
			p := &people[i]
			row, err := in.person(p.Email, p.Phone, p.PostalCode)
			if err != nil {
				return err
			}
			if err := in.append(&row, p.Consents); err != nil {
				return err
			}
		}
		return nil
	})
}

// Tickets stages rows about tickets, and about the people who bought them.
func (in *Intake) Tickets(ctx context.Context, tickets []importer.TicketRow) error {
	return in.stage(ctx, func() error {
		for i := range tickets {
			t := &tickets[i]
			row, err := in.person(t.Email, t.Phone, t.PostalCode)
			if err != nil {
				return err
			}
			if err := in.ticket(&row, t); err != nil {
				return err
			}
			if err := in.append(&row, t.Consents); err != nil {
				return err
			}
		}
		return nil
	})
}

// stage runs rows with the connection held, as the appenders demand.
func (in *Intake) stage(ctx context.Context, rows func() error) error {
	if in.conn == nil {
		return errNotBegun
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := in.conn.Raw(func(any) error { return rows() }); err != nil {
		return fmt.Errorf("staging row %d: %w", in.count+1, err)
	}
	return nil
}

// person fills in whom the row is about: the address, else the telephone.
func (in *Intake) person(email, phone *identity.Identifier, postalCode string) (row stagedRow, err error) {
	principal, beside := email, phone
	if principal == nil {
		principal, beside = phone, nil
	}
	if principal == nil || principal.IsZero() {
		return row, errNobody
	}
	row[0], row[1], row[2], row[3] = in.count, string(principal.Kind), principal.Reveal(), ""
	if beside != nil {
		row[3] = beside.Reveal()
	}
	row[4] = compactPostalCode(postalCode)
	return row, nil
}

func (in *Intake) ticket(row *stagedRow, t *importer.TicketRow) error {
	row[5], row[6], row[7] = text(t.Order), text(t.Event), text(t.Discipline)
	row[8], row[9] = text(t.Venue), in.venues.of(t.Venue)
	if t.Day != "" {
		day, err := time.Parse(time.DateOnly, string(t.Day))
		if err != nil {
			return errBadDay
		}
		row[10] = day
	}
	row[11], row[12] = t.Quantity, t.Cents
	return nil
}

func (in *Intake) append(row *stagedRow, consents []importer.Consent) error {
	if err := in.rows.AppendRow(row[:]...); err != nil {
		return err
	}
	for _, c := range consents {
		if err := in.consents.AppendRow(in.count, string(c.Purpose), c.Granted, c.At); err != nil {
			return err
		}
	}
	in.count++
	return nil
}

// text replaces what is not UTF-8, which the engine would turn into NULL.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// compactPostalCode writes "h2x 1y4" as "H2X1Y4": prefixes compare bytes.
func compactPostalCode(code string) string {
	return text(strings.ToUpper(strings.Join(strings.Fields(code), "")))
}
