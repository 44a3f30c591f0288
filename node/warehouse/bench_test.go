package warehouse

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/protocol"
)

// season is a house's tickets: rows over two years, two to a person on
// average, each with a consent.
func season(rows int) []importer.TicketRow {
	rng := rand.New(rand.NewPCG(1, 2))
	codes := []string{"dance.contemporary", "dance.ballet", "theatre.creation", "music.jazz", "circus"}
	list := make([]importer.TicketRow, rows)
	for i := range list {
		id, err := identity.Restore(identity.KindEmail, fmt.Sprintf("person.number.%d@example.org", rng.IntN(rows/2)))
		if err != nil {
			panic(err)
		}
		show, quantity := i*200/rows, int64(1+rng.IntN(4))
		list[i] = importer.TicketRow{
			Email: &id, Order: fmt.Sprint("order-", i), Event: fmt.Sprint("Spectacle ", show), Discipline: codes[show%len(codes)],
			Venue: "Théâtre du Fleuve", Day: protocol.Date(noon.AddDate(0, 0, i*700/rows).Format(time.DateOnly)),
			Quantity: quantity, Cents: quantity * 4500, PostalCode: fmt.Sprintf("H%dX1Y4", rng.IntN(10)),
			Consents: []importer.Consent{says(rng.IntN(3) > 0, i%1000)},
		}
	}
	return list
}

func load(b *testing.B, w *Warehouse, id string, rows []importer.TicketRow) {
	b.Helper()
	in := w.Intake()
	if err := in.Begin(b.Context(), importer.Run{ID: importer.RunID(id), Kind: importer.Tickets, Digest: importer.Digest(id)}); err != nil {
		b.Fatal(err)
	}
	for len(rows) > 0 {
		n := min(len(rows), importer.MaxBatch)
		if err := in.Tickets(b.Context(), rows[:n]); err != nil {
			b.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := in.Commit(b.Context(), importer.Report{}); err != nil {
		b.Fatal(err)
	}
}

const benchRows = 1_000_000

func BenchmarkImport(b *testing.B) {
	rows := season(benchRows)
	for b.Loop() {
		b.StopTimer()
		w := fresh(b)
		b.StartTimer()
		load(b, w, "first", rows)
	}
	b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkImportAgain is the next export, which overlaps wholly.
func BenchmarkImportAgain(b *testing.B) {
	rows := season(benchRows)
	w := fresh(b)
	load(b, w, "first", rows)
	i := 0
	for b.Loop() {
		i++
		load(b, w, fmt.Sprint(i), rows)
	}
	b.ReportMetric(float64(b.N*benchRows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkMillionTickets(b *testing.B) {
	w := fresh(b)
	load(b, w, "first", season(benchRows))
	dance := everybody
	dance.Disciplines, dance.From, dance.MinVisits = []string{"dance"}, "2026-03-01", 2
	dance.PostalPrefixes = []string{"H2", "H3"}
	loyal := everybody
	loyal.MinVisits = 2
	for name, d := range map[string]protocol.Definition{"dance twice in H2 or H3": dance, "two visits": loyal, "everybody": everybody} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = 0
				for _, err := range w.Evaluate(b.Context(), d, protocol.PurposePooling) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n), "people")
		})
	}
	b.Run("list persons", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n = 0
			for _, err := range w.Persons(b.Context(), protocol.PurposePooling, 0) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(n), "people")
	})
	b.Run("identifiers of 100000", func(b *testing.B) {
		var ids []PersonID
		for id := range w.Evaluate(b.Context(), everybody, protocol.PurposePooling) {
			if ids = append(ids, id); len(ids) == 100_000 {
				break
			}
		}
		for b.Loop() {
			for _, err := range w.Identifiers(b.Context(), ids) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	if info, err := os.Stat(w.path(b)); err == nil {
		b.Log("the file has ", info.Size()>>20, " MiB")
	}
}

// BenchmarkTake takes batches of a busy site in: five events a visit, of which
// half go on in the next batch.
func BenchmarkTake(b *testing.B) {
	for _, size := range []int{100, 1000, 10_000, 50_000} {
		b.Run(fmt.Sprint(size, " events"), func(b *testing.B) {
			w, rng, n := fresh(b), rand.New(rand.NewPCG(1, 2)), uint64(0)
			events := make([]Event, size)
			for b.Loop() {
				b.StopTimer()
				for i := range events {
					n++
					e := happening(n, 0, int(n/5000), []string{"page_view", "engagement"}[n%2], fmt.Sprint("/spectacles/", int(math.Exp(rng.Float64()*8))))
					binary.BigEndian.PutUint64(e.Visitor[:], 1+n/uint64(size)*uint64(size)/10+uint64(rng.IntN(size/5)))
					e.Engaged, e.Internal = 5*time.Second, n%5 > 0
					e.Language, e.Device, e.Browser, e.System, e.Network = "fr-CA", "mobile", "Firefox", "Android", "24.48.10.0/24"
					events[i] = e
				}
				b.StartTimer()
				mustBatch(b, w, Batch{Events: events, Upto: then(int64(n))})
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
