package warehouse

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"coulisse/node/importer"
	"coulisse/protocol"
)

// Summary is the store at a glance.
type Summary struct {
	People int64 `json:"people"`
	// Consented counts the people who now consent, by purpose.
	Consented map[protocol.Purpose]int64 `json:"consented"`
	// Lines are lines of orders, Tickets what they add up to after refunds.
	Lines   int64 `json:"lines"`
	Tickets int64 `json:"tickets"`
	// FirstDay and LastDay are of performances; empty without any.
	FirstDay protocol.Date `json:"first_day,omitempty"`
	LastDay  protocol.Date `json:"last_day,omitempty"`
	Imports  int64         `json:"imports"`
	// LastImport is the zero time before the first.
	LastImport time.Time `json:"last_import,omitzero"`
}

// Summary describes the store.
func (w *Warehouse) Summary(ctx context.Context) (Summary, error) {
	s := Summary{Consented: map[protocol.Purpose]int64{protocol.PurposePooling: 0, protocol.PurposeActivation: 0}}
	var last sql.NullTime
	err := w.db.QueryRowContext(ctx, `
		SELECT (SELECT count(*) FROM people), count(*), coalesce(sum(quantity), 0)::BIGINT,
		       coalesce(strftime(min(day), '%Y-%m-%d'), ''), coalesce(strftime(max(day), '%Y-%m-%d'), ''),
		       (SELECT count(*) FROM imports), (SELECT max(imported_at) FROM imports)
		FROM tickets`).
		Scan(&s.People, &s.Lines, &s.Tickets, &s.FirstDay, &s.LastDay, &s.Imports, &last)
	if err != nil {
		return Summary{}, fmt.Errorf("summing up the warehouse: %w", err)
	}
	s.LastImport = last.Time
	rows, err := w.db.QueryContext(ctx,
		`SELECT purpose, count(*) FROM standing WHERE granted_at > withdrawn_at GROUP BY purpose`)
	if err != nil {
		return Summary{}, fmt.Errorf("counting consents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var purpose protocol.Purpose
		var n int64
		if err := rows.Scan(&purpose, &n); err != nil {
			return Summary{}, fmt.Errorf("counting consents: %w", err)
		}
		s.Consented[purpose] = n
	}
	return s, rows.Err()
}

// Import is a file that was taken in.
type Import struct {
	importer.Run
	Report json.RawMessage `json:"report"`
	At     time.Time       `json:"at"`
}

// Imports lists the files that were taken in, the latest first.
func (w *Warehouse) Imports(ctx context.Context) ([]Import, error) {
	rows, err := w.db.QueryContext(ctx,
		`SELECT import, kind, file, digest, report, imported_at FROM imports ORDER BY imported_at DESC, import`)
	if err != nil {
		return nil, fmt.Errorf("listing imports: %w", err)
	}
	defer rows.Close()
	var imports []Import
	for rows.Next() {
		var i Import
		var report string
		if err := rows.Scan(&i.ID, &i.Kind, &i.File, &i.Digest, &report, &i.At); err != nil {
			return nil, fmt.Errorf("listing imports: %w", err)
		}
		i.Report = json.RawMessage(report)
		imports = append(imports, i)
	}
	return imports, rows.Err()
}
