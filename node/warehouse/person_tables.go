package warehouse

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
)

// personalTable is a table whose rows may be about a person. Which those are is
// read off the schema, so that a new table cannot be forgotten: a column
// "person", "visitor", "session" or "order_code" says whose a row is.
type personalTable struct {
	name    string
	columns []string
}

func (t personalTable) has(column string) bool { return slices.Contains(t.columns, column) }

// How a row is found to be about the person of the variable "person". A browser
// may have been declared to be several people, one after another: then a visit
// is of whom it was in their time, and what the browser said is of none alone.
const (
	ofPerson = `person = getvariable('person')`
	// An account that no import has named yet is of whom the browser is.
	ofAccount = `person IS NULL AND visitor IN (` + aloneSQL + `)`
	ofVisitor = `visitor IN (` + aloneSQL + `)`
	ofSession = `session IN (` + sessionsSQL + `)`
	// What was bought on the site, if it is not known by whom, is known by the
	// order.
	ofOrder = `order_code IN (SELECT order_code FROM tickets WHERE person = getvariable('person') AND order_code <> '')`

	aloneSQL = `SELECT v.visitor FROM visitors v WHERE v.person = getvariable('person')
		AND NOT EXISTS (FROM visitors o WHERE o.visitor = v.visitor AND o.person <> v.person)`
	sessionsSQL = `SELECT s.session FROM sessions s JOIN visitors v ON v.visitor = s.visitor
		WHERE v.person = getvariable('person') AND (v.visitor IN (` + aloneSQL + `)
		  OR s.ended_at >= v.linked_at AND s.started_at < coalesce(v.ended_at, 'infinity'::TIMESTAMP))`
)

// which writes the condition that a row of the table is about the person.
func (t personalTable) which() string {
	var ways []string
	if t.has("person") {
		ways = append(ways, ofPerson)
	}
	switch {
	case t.has("session"):
		ways = append(ways, ofSession)
	case t.has("person") && t.has("visitor"):
		ways = append(ways, ofAccount)
	case t.has("visitor"):
		ways = append(ways, ofVisitor)
	}
	if t.has("order_code") && !t.has("person") {
		ways = append(ways, ofOrder)
	}
	return "(" + strings.Join(ways, ") OR (") + ")"
}

// rank is the table's place in an erasure: what others are found by goes last.
func (t personalTable) rank() int {
	switch {
	case t.name == "visitors":
		return 3
	case t.name == "sessions" || t.name == "tickets":
		return 2
	case t.has("session"):
		return 0
	}
	return 1
}

// personal lists the tables, in the order of an erasure.
func personal(ctx context.Context, tx *sql.Tx) ([]personalTable, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT t.table_name, string_agg(c.column_name, ',' ORDER BY c.column_index)
		FROM duckdb_tables() t JOIN duckdb_columns() c ON c.table_oid = t.table_oid AND c.database_name = t.database_name
		WHERE t.database_name = current_database() AND NOT t.temporary
		GROUP BY t.table_name
		HAVING bool_or(c.column_name IN ('person', 'visitor', 'session', 'order_code'))
		ORDER BY t.table_name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tables []personalTable
	for rows.Next() {
		var t personalTable
		var columns string
		if err := rows.Scan(&t.name, &columns); err != nil {
			return nil, err
		}
		t.columns = strings.Split(columns, ",")
		tables = append(tables, t)
	}
	slices.SortStableFunc(tables, func(a, b personalTable) int { return cmp.Compare(a.rank(), b.rank()) })
	return tables, rows.Err()
}
