package warehouse

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"coulisse/protocol"
)

// Evaluate lists the people who now consent to the purpose and satisfy the
// definition, ascending, all as of one instant, in constant memory. It ends at
// the first error.
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

// evaluate keeps the answer in a temporary table, which the engine may spill,
// and reads it window by window: a result as such would be held whole.
func (w *Warehouse) evaluate(ctx context.Context, d protocol.Definition, purpose protocol.Purpose, yield func(PersonID, error) bool) error {
	q, err := matching(d, purpose)
	if err != nil {
		return err
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer conn.ExecContext(context.WithoutCancel(ctx), `DROP TABLE IF EXISTS temp.matching`)
	_, err = conn.ExecContext(ctx, `CREATE TEMP TABLE matching AS `+q.String()+` ORDER BY person`, q.args...)
	if err != nil {
		return err
	}
	return stream(ctx, conn, yield)
}

// stream yields the temporary table's persons until there are no more or the
// consumer has enough.
func stream(ctx context.Context, conn *sql.Conn, yield func(PersonID, error) bool) error {
	ids := make([]PersonID, 0, window)
	var last PersonID
	for {
		rows, err := conn.QueryContext(ctx, `SELECT person FROM temp.matching WHERE person > ? ORDER BY person LIMIT ?`, last, window)
		if err != nil {
			return err
		}
		ids = ids[:0]
		for rows.Next() {
			if err := rows.Scan(&last); err != nil {
				rows.Close()
				return err
			}
			ids = append(ids, last)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, id := range ids {
			if !yield(id, nil) {
				return nil
			}
		}
		if len(ids) < window {
			return nil
		}
	}
}

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
	q.add(`SELECT s.person FROM standing s JOIN people p USING (person)
		WHERE s.purpose = ? AND s.granted_at > s.withdrawn_at`, string(purpose))
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
