package collect

import (
	"context"
	"log/slog"
	"time"

	"coulisse/node/collect/spool"
	"coulisse/node/warehouse"
)

// loader takes what is in the spool to the warehouse. It is the only one that
// reads the spool.
type loader struct {
	spool     *spool.Spool
	warehouse Warehouse
	logger    *slog.Logger
	counts    *counts
	from      spool.Position
	// took is how long the last batch took.
	took time.Duration
}

const (
	// batchSize is about how much is stored at once, in bytes of records.
	batchSize = 8 << 20
	// Events wait for others, so that a batch is worth its transaction: eight
	// times as long as the last one took, within these bounds. The warehouse then
	// takes a ninth of the time, and events are in it within five seconds.
	minGather, maxGather, timesTaken = 500 * time.Millisecond, 3 * time.Second, 8
	// retry is the pause after the warehouse refused a batch.
	retry = 2 * time.Second
)

func (l *loader) run(ctx context.Context) {
	// What was stored just before the process ended is still there.
	if err := l.spool.Release(l.from); err != nil {
		l.logger.ErrorContext(ctx, "what is stored is still in the spool", "error", err)
	}
	for ctx.Err() == nil {
		grown := l.spool.Grown()
		more, err := l.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			l.counts.trouble(err)
			l.logger.ErrorContext(ctx, "events wait in the spool, the warehouse does not take them", "error", err)
			pause(ctx, retry)
		case !more:
			select {
			case <-ctx.Done():
			case <-grown:
				pause(ctx, min(max(minGather, timesTaken*l.took), maxGather))
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// step stores what is there by now, a batch of it, and reports whether there was
// any.
func (l *loader) step(ctx context.Context) (more bool, err error) {
	records, upto, err := l.spool.Read(l.from, batchSize)
	if err != nil || len(records) == 0 {
		return false, err
	}
	batch := warehouse.Batch{Upto: warehouse.Position(upto)}
	for _, raw := range records {
		r, err := decodeRecord(raw)
		if err != nil {
			// It says nothing to this version, and would say nothing tomorrow.
			l.counts.unreadable()
			l.logger.ErrorContext(ctx, "a record of the spool is left out", "error", err)
			continue
		}
		batch.Events = append(batch.Events, r.Events...)
		batch.Consents = append(batch.Consents, r.Consents...)
		batch.Links = append(batch.Links, r.Links...)
	}
	begun := time.Now()
	added, err := l.warehouse.Take(ctx, batch)
	if err != nil {
		return false, err
	}
	l.from, l.took = upto, time.Since(begun)
	l.counts.store(added, time.Now())
	return true, l.spool.Release(upto)
}
