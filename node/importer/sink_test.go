package importer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/node/identity"
)

// memory is a sink that keeps everything, and checks the order of the calls
// that [Sink] promises.
type memory struct {
	t       testing.TB
	run     *Run
	seen    map[Digest]bool
	people  []PersonRow // of the open run
	tickets []TicketRow
	largest int

	kept      []PersonRow // committed
	sold      []TicketRow
	committed int
	aborted   int
	failAt    string // the call that fails
}

var errSink = errors.New("the sink failed")
var errSeen = errors.New("seen before")

func newMemory(t testing.TB) *memory { return &memory{t: t, seen: make(map[Digest]bool)} }

func (m *memory) call(name string, open bool) error {
	m.t.Helper()
	if open != (m.run != nil) {
		m.t.Errorf("%s was called at the wrong time", name)
	}
	if m.failAt == name {
		return errSink
	}
	return nil
}

func (m *memory) Begin(_ context.Context, run Run) error {
	if err := m.call("Begin", false); err != nil {
		return err
	}
	if m.seen[run.Digest] {
		return errSeen
	}
	if len(run.ID) != 32 || len(run.Digest) != 64 {
		m.t.Errorf("the run is %+v", run)
	}
	m.run = &run
	return nil
}

func (m *memory) People(_ context.Context, rows []PersonRow) error {
	m.people = append(m.people, rows...)
	m.largest = max(m.largest, len(rows))
	return m.call("People", true)
}

func (m *memory) Tickets(_ context.Context, rows []TicketRow) error {
	m.tickets = append(m.tickets, rows...)
	m.largest = max(m.largest, len(rows))
	return m.call("Tickets", true)
}

func (m *memory) Commit(_ context.Context, r Report) error {
	if err := m.call("Commit", true); err != nil {
		m.run = nil
		return err
	}
	if r.Run != m.run.ID || r.Rows != r.Kept+r.Refused {
		m.t.Errorf("committed with the report %+v", r)
	}
	m.seen[m.run.Digest] = true
	m.kept, m.sold = append(m.kept, m.people...), append(m.sold, m.tickets...)
	m.run, m.people, m.tickets = nil, nil, nil
	m.committed++
	return nil
}

func (m *memory) Abort(ctx context.Context) error {
	err := m.call("Abort", true)
	if ctx.Err() != nil {
		m.t.Error("Abort was called with a context that has ended")
	}
	m.run, m.people, m.tickets = nil, nil, nil
	m.aborted++
	return err
}

// montreal is where the tests are, wherever they run.
var montreal = time.FixedZone("EST", -5*3600)

var asOf = time.Date(2026, 11, 24, 12, 0, 0, 0, montreal)

func options(kind Kind) Options {
	return Options{Kind: kind, File: "export.csv", Zone: montreal, AsOf: asOf}
}

// take imports a file that must be taken.
func take(t *testing.T, file string, o Options) (Report, *memory) {
	t.Helper()
	sink := newMemory(t)
	report, err := Import(t.Context(), strings.NewReader(file), o, sink)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	if sink.committed != 1 || sink.largest > MaxBatch {
		t.Fatalf("%d commits, batches of %d", sink.committed, sink.largest)
	}
	return report, sink
}

// refusedFor checks that the file as a whole is refused for a reason, that both
// languages say why, and that nothing was kept.
func refusedFor(t *testing.T, file string, o Options, code ProblemCode) *Problem {
	t.Helper()
	sink := newMemory(t)
	_, err := Import(t.Context(), strings.NewReader(file), o, sink)
	var found *Problem
	if !errors.As(err, &found) || found.Code != code {
		t.Fatalf("got %v, want the problem %s", err, code)
	}
	if err := found.Text.Check(); err != nil || strings.Contains(found.Text.FR+found.Text.EN, "%!") {
		t.Errorf("the problem's text: %v: %+v", err, found.Text)
	}
	if sink.committed != 0 || sink.run != nil || len(sink.kept)+len(sink.sold) != 0 {
		t.Error("something of a refused file was kept")
	}
	return found
}

// spelled writes a row out, identifiers included: only tests do.
func (p PersonRow) spelled() string {
	return fmt.Sprintf("%d %s %s %s%s", p.Line, revealed(p.Email), revealed(p.Phone), p.PostalCode, consents(p.Consents))
}

func (t TicketRow) spelled() string {
	return fmt.Sprintf("%d %s %s|%s|%s|%s|%s|%s|%d|%d|%s%s", t.Line, revealed(t.Email), revealed(t.Phone), t.Order, t.Event,
		t.Discipline, t.Venue, t.Day, t.Quantity, t.Cents, t.PostalCode, consents(t.Consents))
}

func revealed(id *identity.Identifier) string {
	if id == nil {
		return "-"
	}
	return id.Reveal()
}

func consents(list []Consent) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, " %s=%v@%s", c.Purpose, c.Granted, c.At.In(montreal).Format("2006-01-02T15:04"))
	}
	return b.String()
}

func (m *memory) spelled() []string {
	var rows []string
	for _, p := range m.kept {
		rows = append(rows, p.spelled())
	}
	for _, t := range m.sold {
		rows = append(rows, t.spelled())
	}
	return rows
}

func wantRows(t *testing.T, sink *memory, want ...string) {
	t.Helper()
	if got := sink.spelled(); !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func reasons(tallies []Tally) map[Reason]int64 {
	counts := make(map[Reason]int64)
	for _, t := range tallies {
		counts[t.Reason] = t.Count
	}
	return counts
}

// discard is a sink that keeps nothing, to measure the importer alone.
type discard struct{ rows int64 }

func (d *discard) Begin(context.Context, Run) error { return nil }
func (d *discard) People(_ context.Context, rows []PersonRow) error {
	d.rows += int64(len(rows))
	return nil
}
func (d *discard) Tickets(_ context.Context, rows []TicketRow) error {
	d.rows += int64(len(rows))
	return nil
}
func (d *discard) Commit(context.Context, Report) error { return nil }
func (d *discard) Abort(context.Context) error          { return nil }
