package warehouse

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"coulisse/node/identity"
	"coulisse/protocol"
)

var (
	// ErrNoPerson: the store has nobody of that number. Find the person again.
	ErrNoPerson = errors.New("nobody in the store has that number")
	// ErrTaken: another person has that identifier. Find out which of the two
	// is right, and erase or rectify the other.
	ErrTaken = errors.New("another person in the store has that identifier")
)

// Traits are ways to name a person. What is empty names nobody.
type Traits struct {
	Number       PersonID
	Email, Phone identity.Identifier
	// Text is an order's code, or the number of an account.
	Text string
}

// maxFound bounds a search: a telephone may be a whole school's.
const maxFound = 100

// Find lists the people whom any of the traits names, ascending; of more than
// a hundred, the first.
func (w *Warehouse) Find(ctx context.Context, t Traits) ([]PersonID, error) {
	rows, err := w.db.QueryContext(ctx, fmt.Sprintf(`
		SELECT person FROM people WHERE person = ?
		UNION SELECT person FROM identities WHERE kind = ? AND value = ?
		UNION SELECT person FROM identities WHERE kind = ? AND value = ?
		UNION SELECT person FROM identities WHERE kind NOT IN ('email', 'phone') AND value = ? AND value <> ''
		UNION SELECT person FROM tickets WHERE order_code = ? AND order_code <> ''
		ORDER BY person LIMIT %d`, maxFound),
		int64(t.Number), string(identity.KindEmail), t.Email.Reveal(), string(identity.KindPhone), t.Phone.Reveal(), t.Text, t.Text)
	if err != nil {
		return nil, fmt.Errorf("finding a person: %w", err)
	}
	defer rows.Close()
	var found []PersonID
	for rows.Next() {
		var id PersonID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("finding a person: %w", err)
		}
		found = append(found, id)
	}
	return found, rows.Err()
}

// Held is what one table has of a person.
type Held struct {
	Table   string            `json:"table"`
	Columns []string          `json:"columns"`
	Rows    []json.RawMessage `json:"rows"` // an object each, with those names
}

// Held is everything that the store has of a person, as of one instant: of each
// table that names people, or visitors linked to one, the rows. It fails with
// [ErrNoPerson].
func (w *Warehouse) Held(ctx context.Context, id PersonID) (held []Held, err error) {
	err = w.transact(ctx, func(tx *sql.Tx) error {
		tables, err := personal(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `SET VARIABLE person = ?`, int64(id)); err != nil {
			return err
		}
		for _, t := range tables {
			rows, err := texts(ctx, tx, `SELECT to_json(t)::VARCHAR FROM (SELECT * FROM `+quoted(t.name)+` WHERE `+t.which()+`) t`)
			if err != nil {
				return err
			}
			h := Held{Table: t.name, Columns: t.columns, Rows: make([]json.RawMessage, len(rows))}
			for i, row := range rows {
				h.Rows[i] = json.RawMessage(row)
			}
			if t.name == "people" && len(rows) == 0 {
				return ErrNoPerson
			}
			held = append(held, h)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what is held of a person: %w", err)
	}
	return held, nil
}

// Erased counts the rows that an erasure took away.
type Erased struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// Erase deletes everything that the store has of a person, in one transaction.
// Erasing somebody who is gone deletes nothing. The rows are out of every
// answer when it returns, and out of the file after [Warehouse.Rewrite].
func (w *Warehouse) Erase(ctx context.Context, id PersonID) (erased []Erased, err error) {
	if err := w.await(ctx, w.importing); err != nil {
		return nil, err
	}
	defer func() { <-w.importing }()
	err = w.write(ctx, func(tx *sql.Tx) error {
		tables, err := personal(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `SET VARIABLE person = ?`, int64(id)); err != nil {
			return err
		}
		for _, t := range tables {
			result, err := tx.ExecContext(ctx, `DELETE FROM `+quoted(t.name)+` WHERE `+t.which())
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			erased = append(erased, Erased{t.name, n})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("erasing a person: %w", err)
	}
	return erased, nil
}

// Present lists those of the given people who are in the store, ascending.
func (w *Warehouse) Present(ctx context.Context, ids []PersonID) ([]PersonID, error) {
	present := make([]PersonID, 0, len(ids))
	wanted := make([]int64, len(ids)) // what the driver knows to pass
	for i, id := range ids {
		wanted[i] = int64(id)
	}
	slices.Sort(wanted)
	for part := range slices.Chunk(wanted, window) {
		rows, err := w.db.QueryContext(ctx, `
			SELECT person FROM people
			WHERE person >= ? AND person <= ? AND person IN (SELECT unnest(?::BIGINT[])) ORDER BY person`,
			part[0], part[len(part)-1], part)
		if err != nil {
			return nil, fmt.Errorf("looking for people: %w", err)
		}
		for rows.Next() {
			var id PersonID
			if err := rows.Scan(&id); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			present = append(present, id)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("looking for people: %w", err)
		}
	}
	return present, nil
}

// Fits reports whether [Warehouse.Evaluate] would list a person.
func (w *Warehouse) Fits(ctx context.Context, d protocol.Definition, purpose protocol.Purpose, id PersonID) (fits bool, err error) {
	q, err := matching(d, purpose)
	if err == nil {
		err = w.db.QueryRowContext(ctx, `SELECT count(*) > 0 FROM (`+q.String()+`) WHERE person = ?`, append(q.args, int64(id))...).Scan(&fits)
	}
	if err != nil {
		return false, fmt.Errorf("evaluating %s: %w", d.Name, err)
	}
	return fits, nil
}
