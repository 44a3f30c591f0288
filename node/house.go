package node

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"coulisse/node/collect"
	"coulisse/node/segment"
	"coulisse/node/warehouse"
)

// Names of the intake in a node's folder. The member writes the first.
const (
	FileCollect = "collect.yaml"
	dirSpool    = "spool"
)

// House is what a member has on its own machine, without any federation: its
// data, its segments, and the intake of what happens on its sites. A [Node] is
// a house that takes part in a federation.
type House struct {
	folder    *Folder
	logger    *slog.Logger
	warehouse *warehouse.Warehouse
	segments  *segment.Store
	// collector is nil without collect.yaml, and so is the listener.
	collector *collect.Collector
	listener  net.Listener
	// months is for how long events are kept; the warehouse's own if 0.
	months int
	// changed asks for the tokens of people who were just imported.
	changed chan struct{}

	// erased knows who is kept out of imports; erasing is held while somebody is
	// erased. pool is nil for a house alone.
	erased  *erasedList
	erasing sync.Mutex
	pool    pool
}

// ErrEnrolled: the node of a house that ran alone has enrolled. It is opened
// again, as a node.
var ErrEnrolled = errors.New("the node has enrolled")

// OpenHouse opens a member's data, and the address of its intake. Close undoes
// it.
func OpenHouse(ctx context.Context, cfg Config) (*House, error) {
	h := &House{folder: cfg.Folder, logger: cfg.Logger, changed: make(chan struct{}, 1)}
	settings, collects, err := h.folder.Collects()
	if err != nil {
		return nil, err
	}
	h.warehouse, err = warehouse.Open(ctx, warehouse.Config{Path: h.folder.path(fileWarehouse), MemoryMB: cfg.WarehouseMemory})
	if err != nil {
		return nil, err
	}
	h.segments = segment.New(h.warehouse)
	if err := h.openErasures(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if !collects {
		return h, nil
	}
	h.months = settings.RetentionMonths
	h.collector, err = collect.New(ctx, collect.Config{
		Settings: settings, Dir: h.folder.path(dirSpool), Warehouse: sifted{h.warehouse, h.erased}, Logger: h.logger,
	})
	if err == nil {
		h.listener, err = collect.Listen(settings)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Collects reads the settings of the intake; false without collect.yaml.
func (f *Folder) Collects() (s collect.Settings, ok bool, err error) {
	text, err := os.ReadFile(f.path(FileCollect))
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err == nil {
		s, err = collect.ParseSettings(text)
	}
	return s, err == nil, err
}

// Close frees the folder of a house that does not run.
func (h *House) Close() error {
	if h.listener != nil {
		_ = h.listener.Close() // closed already, if it has run
	}
	return h.warehouse.Close()
}

// collects runs the intake until ctx ends, if there is one.
func (h *House) collects(ctx context.Context) error {
	if h.collector == nil {
		return nil
	}
	h.logger.InfoContext(ctx, "the intake listens", "address", h.listener.Addr().String())
	return h.collector.Run(ctx, h.listener)
}

// Pauses of a house's own work.
const (
	lookForMembership = 2 * time.Second
	expireEvery       = 24 * time.Hour
)

// Run collects until ctx ends, or until the node has enrolled ([ErrEnrolled]).
func (h *House) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	enrolled := false
	parts.Go(func() {
		every(ctx, lookForMembership, func() {
			if _, err := h.folder.Membership(); !errors.Is(err, ErrNotEnrolled) {
				enrolled = true
				stop()
			}
		})
	})
	parts.Go(func() { h.keepExpiring(ctx) })
	parts.Go(func() { h.keepErasing(ctx) })
	err := h.collects(ctx)
	stop()
	parts.Wait()
	if err == nil && enrolled {
		err = ErrEnrolled
	}
	return err
}

// keepExpiring deletes events that are older than the settings keep them, once
// a day.
func (h *House) keepExpiring(ctx context.Context) {
	every(ctx, expireEvery, func() {
		gone, err := h.warehouse.Expire(ctx, h.months, time.Now())
		switch {
		case ctx.Err() != nil:
		case err != nil:
			h.logger.ErrorContext(ctx, "what is too old was not deleted; it will be tried again tomorrow", "error", err)
		case gone.Events+gone.Visits > 0:
			h.logger.InfoContext(ctx, "what is too old was deleted", "events", gone.Events, "visits", gone.Visits)
		}
	})
}

// every does something now and then, until ctx ends.
func every(ctx context.Context, pause time.Duration, do func()) {
	timer := time.NewTicker(pause)
	defer timer.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// Collected are the figures of the intake.
type Collected struct {
	// Address is where it listens.
	Address string `json:"address"`
	collect.Figures
}

// Collected reads the intake's figures; nil without one.
func (h *House) Collected() *Collected {
	if h.collector == nil {
		return nil
	}
	return &Collected{h.listener.Addr().String(), h.collector.Figures()}
}
