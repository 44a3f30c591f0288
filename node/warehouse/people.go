package warehouse

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"coulisse/node/identity"
	"coulisse/protocol"
)

// window is how many person numbers one query covers while a list streams:
// the memory of a list, whatever its length.
const window = 1 << 15

// Person is somebody of the store with the identifier that stands for them.
type Person struct {
	ID         PersonID
	Identifier identity.Identifier
}

// Persons lists everybody who now consents to the purpose and is numbered
// above after, ascending, in constant memory. It ends at the first error.
// Whoever is imported meanwhile may be left out; a later call after the last
// number seen finds them.
func (w *Warehouse) Persons(ctx context.Context, purpose protocol.Purpose, after PersonID) iter.Seq2[Person, error] {
	return func(yield func(Person, error) bool) {
		last, err := w.lastPerson(ctx)
		if err != nil {
			yield(Person{}, fmt.Errorf("listing people: %w", err))
			return
		}
		for from := max(after, 0); from < last; from += window {
			people, err := w.people(ctx, `
				SELECT i.person, i.kind, i.value
				FROM identities i JOIN standing s USING (person)
				WHERE i.principal AND s.purpose = ? AND s.granted_at > s.withdrawn_at
				  AND i.person > ? AND i.person <= ? AND s.person > ? AND s.person <= ?
				ORDER BY i.person`,
				string(purpose), from, from+window, from, from+window)
			if err != nil {
				yield(Person{}, fmt.Errorf("listing people: %w", err))
				return
			}
			for _, p := range people {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// Identifiers lists those of the given people who now consent to activation,
// ascending: what a recipient may act on when a round told it who belongs.
func (w *Warehouse) Identifiers(ctx context.Context, ids []PersonID) iter.Seq2[Person, error] {
	return func(yield func(Person, error) bool) {
		wanted := make([]int64, len(ids)) // what the driver knows to pass
		for i, id := range ids {
			wanted[i] = int64(id)
		}
		slices.Sort(wanted)
		for part := range slices.Chunk(wanted, window) {
			people, err := w.people(ctx, `
				SELECT i.person, i.kind, i.value
				FROM identities i JOIN standing s USING (person)
				WHERE i.principal AND s.purpose = ? AND s.granted_at > s.withdrawn_at
				  AND i.person >= ? AND i.person <= ? AND s.person >= ? AND s.person <= ?
				  AND i.person IN (SELECT unnest(?::BIGINT[]))
				ORDER BY i.person`,
				string(protocol.PurposeActivation), part[0], part[len(part)-1], part[0], part[len(part)-1], part)
			if err != nil {
				yield(Person{}, fmt.Errorf("listing identifiers: %w", err))
				return
			}
			for _, p := range people {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// people runs a query for numbers, kinds and values.
func (w *Warehouse) people(ctx context.Context, query string, args ...any) ([]Person, error) {
	rows, err := w.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var people []Person
	for rows.Next() {
		var id PersonID
		var kind identity.Kind
		var value string
		if err := rows.Scan(&id, &kind, &value); err != nil {
			return nil, err
		}
		identifier, err := identity.Restore(kind, value)
		if err != nil {
			return nil, fmt.Errorf("person %d: %w", id, err)
		}
		people = append(people, Person{id, identifier})
	}
	return people, rows.Err()
}

func (w *Warehouse) lastPerson(ctx context.Context) (last PersonID, err error) {
	err = w.db.QueryRowContext(ctx, `SELECT coalesce(max(person), 0) FROM people`).Scan(&last)
	return last, err
}
