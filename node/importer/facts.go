package importer

import (
	"context"
	"time"

	"coulisse/node/identity"
	"coulisse/protocol"
)

// Kind says what the rows of a file are about.
type Kind string

// The kinds of file.
const (
	People  Kind = "people"
	Tickets Kind = "tickets"
)

// PersonRow is one row about a person. At least one identifier is there.
type PersonRow struct {
	Email, Phone *identity.Identifier
	PostalCode   string // upper case without spaces, "H2X1Y4", or "" if unknown
	Consents     []Consent
	Line         int64 // where the row starts in the file, from 1
}

// Consent is what a person said about one purpose, and when.
type Consent struct {
	Purpose protocol.Purpose
	Granted bool
	At      time.Time
}

// TicketRow is one row about tickets to one performance. At least one
// identifier is there. A refund has a negative quantity or amount and cancels
// what the other rows of the order add up to.
type TicketRow struct {
	Email, Phone *identity.Identifier
	Order        string
	Event        string
	Discipline   string // a code of node/taxonomy, or "" if unknown
	Venue        string
	Day          protocol.Date // of the performance
	Quantity     int64
	Cents        int64 // Canadian, for the whole row
	PostalCode   string
	Consents     []Consent
	Line         int64
}

// RunID names one import: 32 hexadecimal digits.
type RunID string

// Digest is the SHA-256 of a file's bytes, in hexadecimal.
type Digest string

// Run is one import of one file, as its sink comes to know it.
type Run struct {
	ID     RunID  `json:"id"`
	Kind   Kind   `json:"kind"`
	File   string `json:"file,omitempty"` // the name the operator gave, for people to read
	Digest Digest `json:"digest"`
}

// MaxBatch is the most rows that a sink is handed at once.
const MaxBatch = 2048

// Sink takes the facts of a file, all of them or none.
//
// One goroutine calls it: Begin, then People or Tickets with batches of up to
// [MaxBatch] rows in the order of the file, then Commit or Abort. Nothing is
// visible before Commit has returned nil, and then everything is, durably.
// Begin refuses a file that it holds already: the same digest and kind. A
// sink's first error ends the run, and [Import] returns it: after an error of
// People or Tickets comes Abort; after one of Begin or Commit nothing comes,
// and nothing may remain of the run. A sink may keep the rows it is handed.
type Sink interface {
	Begin(context.Context, Run) error
	People(context.Context, []PersonRow) error
	Tickets(context.Context, []TicketRow) error
	Commit(context.Context, Report) error
	Abort(context.Context) error
}
