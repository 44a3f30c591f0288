// Package collect takes in what happens on the member's own web sites: it
// serves the tag that pages load, and POST /e, to which the tag sends.
//
// A request is checked against event.schema.json, the visitor's consent is
// enforced again, robots are dropped, and what may not be kept is taken away:
// most of the address, the user agent, and the parameters of every link. What
// is left is durable before the answer is sent ([spool.Spool]), and in the
// warehouse a moment later, once, however often it was sent.
//
// It assigns no sessions and knows no people: the warehouse does. It sets no
// cookie, and answers nothing about a visitor.
package collect

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"coulisse/node/collect/spool"
	"coulisse/node/warehouse"
)

// Warehouse is where events go.
type Warehouse interface {
	// Take stores a batch in one transaction. An event whose identifier is stored
	// already changes nothing, nor does a batch that is not past the stored
	// position. After an error nothing of the batch is stored.
	Take(context.Context, warehouse.Batch) (added int, err error)
	// Position is where the last batch that was stored ended.
	Position(context.Context) (warehouse.Position, error)
}

// Config is how a collector is started.
type Config struct {
	Settings Settings
	// Dir is the spool's folder.
	Dir       string
	Warehouse Warehouse
	Logger    *slog.Logger

	// now is the clock, and create makes the spool's files: the tests' own.
	now    func() time.Time
	create func(path string) (spool.File, error)
}

// Collector is a running intake.
type Collector struct {
	cfg    Config
	sites  sites
	spool  *spool.Spool
	loader loader
	gate   gate
	agents agents
	said   said
	counts counts
}

// New opens the spool. Nothing is listened to before [Collector.Run].
func New(ctx context.Context, cfg Config) (*Collector, error) {
	if cfg.now == nil {
		cfg.now = time.Now
	}
	stored, err := cfg.Warehouse.Position(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up how far events are stored: %w", err)
	}
	c := &Collector{cfg: cfg, sites: newSites(cfg.Settings.Sites), gate: newGate(cfg.Settings.Limit, cfg.now), agents: newAgents(), said: newSaid()}
	c.spool, err = spool.Open(spool.Config{
		Dir: cfg.Dir, After: stored.Segment, Limit: cfg.Settings.SpoolMB << 20, Logger: cfg.Logger, Create: cfg.create,
	})
	if err != nil {
		return nil, err
	}
	c.loader = loader{spool: c.spool, warehouse: cfg.Warehouse, logger: cfg.Logger, counts: &c.counts, from: spool.Position(stored)}
	return c, nil
}

// Run answers on the listener until ctx ends. Requests under way are answered,
// and what was acknowledged and not yet stored is at the next start.
func (c *Collector) Run(ctx context.Context, listener net.Listener) error {
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { c.spool.Run(behind) })
	parts.Go(func() { c.loader.run(behind) })
	err := c.serve(ctx, listener)
	stop()
	parts.Wait()
	return err
}
