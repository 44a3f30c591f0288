package warehouse

import (
	"database/sql/driver"
	"encoding/json"
	"math"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// events adds a row of arriving for each event of the batch, the first of
// those that have the same identifier.
func (b *Batch) events(zone *time.Location, add func(...driver.Value) error) error {
	seen := make(map[EventID]bool, len(b.Events))
	for i := range b.Events {
		e := &b.Events[i]
		if seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		items, err := words(e.Items, len(e.Items))
		if err != nil {
			return err
		}
		properties, err := words(e.Properties, len(e.Properties))
		if err != nil {
			return err
		}
		at := e.At.UTC().Truncate(time.Microsecond)
		err = add(int32(i), duckdb.UUID(e.ID), e.Visitor.value(), at, day(at, zone), text(e.Kind), text(e.Name),
			text(e.Host), text(e.Path), text(e.Title), text(e.ReferrerHost), text(e.ReferrerPath),
			text(e.Source), text(e.Medium), text(e.Campaign), text(e.Term), text(e.Content), text(e.Click), text(e.Channel), e.Internal,
			text(e.Language), text(e.Device), text(e.Browser), text(e.System), text(e.Network), text(e.Target),
			e.Scroll, int32(min(max(e.Engaged.Milliseconds(), 0), math.MaxInt32)),
			text(e.Order), e.Cents, text(e.Currency), items, properties)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) consents(add func(...driver.Value) error) error {
	for i, c := range b.Consents {
		if err := add(int32(i), duckdb.UUID(c.Visitor), text(c.Purpose), c.Granted, c.At.UTC(), text(c.Proof)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) links(add func(...driver.Value) error) error {
	for i, l := range b.Links {
		if err := add(int32(i), duckdb.UUID(l.Visitor), text(l.Kind), text(l.Value), l.At.UTC()); err != nil {
			return err
		}
	}
	return nil
}

// value is what the engine stores: NULL where no visitor was allowed.
func (v VisitorID) value() driver.Value {
	if v == (VisitorID{}) {
		return nil
	}
	return duckdb.UUID(v)
}

// day is the date of an instant in the member's zone.
func day(at time.Time, zone *time.Location) time.Time {
	year, month, date := at.In(zone).Date()
	return time.Date(year, month, date, 0, 0, 0, 0, time.UTC)
}

// words is JSON, or nothing for nothing.
func words(v any, length int) (string, error) {
	if length == 0 {
		return "", nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}
