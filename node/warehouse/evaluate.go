package warehouse

import (
	"context"
	"fmt"
	"iter"
	"math/bits"
	"strings"

	"coulisse/protocol"
)

// Evaluate lists the people who now consent to the purpose and satisfy the
// definition, ascending, all as of one instant, in the memory of half a bit a
// person in the store. It ends at the first error.
//
// Disciplines, venues and days say which lines count; the least numbers are
// then compared with the sums over those; see [LeastVisits]. A visit is an event on a day of which the person kept a ticket, so
// refunds take it away. Where a definition restricts neither lines nor
// numbers, everybody fits who consents and lives there.
func (w *Warehouse) Evaluate(ctx context.Context, d protocol.Definition, purpose protocol.Purpose) iter.Seq2[PersonID, error] {
	return func(yield func(PersonID, error) bool) {
		if err := w.evaluate(ctx, d, purpose, yield); err != nil {
			yield(0, fmt.Errorf("evaluating %s: %w", d.Name, err))
		}
	}
}

// Count returns how many [Warehouse.Evaluate] would list.
func (w *Warehouse) Count(ctx context.Context, d protocol.Definition, purpose protocol.Purpose) (n int64, err error) {
	q, err := matching(d, purpose)
	if err == nil {
		err = w.db.QueryRowContext(ctx, `SELECT count(*) FROM (`+q.String()+`)`, q.args...).Scan(&n)
	}
	if err != nil {
		return 0, fmt.Errorf("evaluating %s: %w", d.Name, err)
	}
	return n, nil
}

// evaluate has the engine gather the answer into words of wordBits people each:
// a result is held whole, and so it is a thirtieth as long, and read as quickly.
func (w *Warehouse) evaluate(ctx context.Context, d protocol.Definition, purpose protocol.Purpose, yield func(PersonID, error) bool) error {
	q, err := matching(d, purpose)
	if err != nil {
		return err
	}
	rows, err := w.db.QueryContext(ctx, fmt.Sprintf(
		`SELECT person // %[1]d, bit_or(1::UBIGINT << (person %% %[1]d)::UBIGINT) FROM (%s) GROUP BY 1 ORDER BY 1`, wordBits, q), q.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var word PersonID
		var people uint64
		if err := rows.Scan(&word, &people); err != nil {
			return err
		}
		for ; people != 0; people &= people - 1 {
			if !yield(word*wordBits+PersonID(bits.TrailingZeros64(people)), nil) {
				return nil
			}
		}
	}
	return rows.Err()
}

// wordBits is how many people make a word. A shift by more than 62 overflows in
// the engine.
const wordBits = 32

// query is a statement in the making. Words from a definition enter it as
// arguments only.
type query struct {
	strings.Builder
	args []any
}

func (q *query) add(sql string, args ...any) {
	q.WriteString(sql)
	q.args = append(q.args, args...)
}

// oneOf adds " AND (condition OR condition …)", one condition a value, each with
// its arguments; for no values, nothing.
func (q *query) oneOf(condition string, values []string, args func(string) []any) {
	for i, value := range values {
		q.add([]string{" AND (", " OR "}[min(i, 1)]+condition, args(value)...)
	}
	if len(values) > 0 {
		q.add(")")
	}
}

// matching writes the question who satisfies the definition.
func matching(d protocol.Definition, purpose protocol.Purpose) (*query, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	if err := purpose.Check(); err != nil {
		return nil, err
	}
	q := &query{}
	q.add(`SELECT s.person FROM standing s`)
	if len(d.PostalPrefixes) > 0 { // or the engine would hold everybody to find nobody missing
		q.add(` JOIN people p USING (person)`)
	}
	q.add(` WHERE s.purpose = ? AND s.granted_at > s.withdrawn_at`, string(purpose))
	q.oneOf(`starts_with(p.postal_code, ?)`, d.PostalPrefixes, func(prefix string) []any { return []any{prefix} })
	if LeastVisits(d) > 0 || d.MinTickets > 0 || d.MinCents > 0 {
		q.add(` AND s.person IN (`)
		q.facts(d)
		q.add(`)`)
	}
	return q, nil
}

// facts adds the question whose tickets satisfy the definition.
func (q *query) facts(d protocol.Definition) {
	q.add(`SELECT person FROM (
		SELECT person, event, day, sum(quantity) AS quantity, sum(cents) AS cents FROM tickets WHERE true`)
	q.oneOf(`discipline = ? OR starts_with(discipline, ?)`, d.Disciplines, func(code string) []any { return []any{code, code + "."} })
	q.oneOf(`venue_key = ?`, d.Venues, func(venue string) []any { return []any{venueKey(venue)} })
	if d.From != "" {
		q.add(` AND day >= ?::DATE`, string(d.From))
	}
	if d.Until != "" {
		q.add(` AND day <= ?::DATE`, string(d.Until))
	}
	q.add(` GROUP BY person, event, day) GROUP BY person
		HAVING count(*) FILTER (quantity > 0) >= ?`, LeastVisits(d))
	if d.MinTickets > 0 {
		q.add(` AND sum(quantity) >= ?`, d.MinTickets)
	}
	if d.MinCents > 0 {
		q.add(` AND sum(cents) >= ?`, d.MinCents)
	}
}

// LeastVisits is how many visits a definition demands: one where it says what
// was attended but no least number of anything.
func LeastVisits(d protocol.Definition) int {
	says := len(d.Disciplines) > 0 || len(d.Venues) > 0 || d.From != "" || d.Until != ""
	if says && d.MinVisits == 0 && d.MinTickets == 0 && d.MinCents == 0 {
		return 1
	}
	return d.MinVisits
}
