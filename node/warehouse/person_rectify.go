package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"coulisse/node/identity"
)

// Correction is what is to be right about a person; what is empty stays.
type Correction struct {
	PostalCode   string
	Email, Phone identity.Identifier
}

// Rectify corrects what is held of a person, and reports whether the identifier
// that stands for the person has changed: its token must be made anew. An
// address replaces the address, or becomes what stands for a person who had
// none; a telephone replaces the telephone. It fails with [ErrNoPerson] and
// [ErrTaken].
func (w *Warehouse) Rectify(ctx context.Context, id PersonID, c Correction) (renamed bool, err error) {
	if err := w.await(ctx, w.importing); err != nil {
		return false, err
	}
	defer func() { <-w.importing }()
	err = w.write(ctx, func(tx *sql.Tx) error {
		var kind identity.Kind
		var value string
		err := tx.QueryRowContext(ctx, `SELECT kind, value FROM identities WHERE person = ? AND principal`, int64(id)).Scan(&kind, &value)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoPerson
		}
		if err != nil {
			return err
		}
		before, err := identity.Restore(kind, value)
		if err != nil {
			return err
		}
		renamed, err = c.apply(ctx, tx, id, before)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("rectifying a person: %w", err)
	}
	return renamed, nil
}

func (c Correction) apply(ctx context.Context, tx *sql.Tx, id PersonID, before identity.Identifier) (renamed bool, err error) {
	if c.PostalCode != "" {
		if _, err := tx.ExecContext(ctx, `UPDATE people SET postal_code = ? WHERE person = ?`, compactPostalCode(c.PostalCode), int64(id)); err != nil {
			return false, err
		}
	}
	principal, beside := before, c.Phone
	switch {
	case !c.Email.IsZero():
		principal = c.Email
		if before.Kind == identity.KindPhone && beside.IsZero() {
			beside = before
		}
	case !c.Phone.IsZero() && before.Kind == identity.KindPhone:
		principal, beside = c.Phone, identity.Identifier{}
	}
	if !beside.IsZero() {
		if err := replaceIdentity(ctx, tx, id, beside, false); err != nil {
			return false, err
		}
	}
	if principal == before {
		return false, nil
	}
	var taken bool
	err = tx.QueryRowContext(ctx, `SELECT count(*) > 0 FROM identities WHERE principal AND kind = ? AND value = ?`,
		string(principal.Kind), principal.Reveal()).Scan(&taken)
	if err == nil && taken {
		err = ErrTaken
	}
	if err != nil {
		return false, err
	}
	return true, replaceIdentity(ctx, tx, id, principal, true)
}

func replaceIdentity(ctx context.Context, tx *sql.Tx, id PersonID, to identity.Identifier, principal bool) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM identities WHERE person = ? AND principal = ? AND (principal OR kind = ?)`,
		int64(id), principal, string(to.Kind))
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO identities VALUES (?, ?, ?, ?)`, int64(id), string(to.Kind), to.Reveal(), principal)
	}
	return err
}
