package warehouse

import (
	"context"
	"database/sql/driver"
	"sync"

	"github.com/duckdb/duckdb-go/v2"
)

// gate is the only way to the engine. It can be shut while the engine lets go
// of its file: whoever asks for a connection meanwhile waits at it.
type gate struct {
	open func() (*duckdb.Connector, error)

	// mu guards what follows.
	mu     sync.Mutex
	engine *duckdb.Connector
	shut   bool
	failed error // why the engine did not come back; every connection ends in it
	out    int   // connections in use or idle
	moved  chan struct{}
}

var _ driver.Connector = (*gate)(nil)

func newGate(open func() (*duckdb.Connector, error)) (*gate, error) {
	engine, err := open()
	if err != nil {
		return nil, err
	}
	return &gate{open: open, engine: engine, moved: make(chan struct{})}, nil
}

// tell wakes whoever waits for a change. mu is held.
func (g *gate) tell() {
	close(g.moved)
	g.moved = make(chan struct{})
}

// Connect implements [driver.Connector].
func (g *gate) Connect(ctx context.Context) (driver.Conn, error) {
	engine, err := g.enter(ctx)
	if err != nil {
		return nil, err
	}
	made, err := engine.Connect(ctx)
	if err != nil {
		g.leave()
		return nil, err
	}
	return &connection{made.(*duckdb.Conn), g.leave}, nil
}

func (g *gate) enter(ctx context.Context) (*duckdb.Connector, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut && ctx.Err() == nil {
		g.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if g.failed != nil {
		return nil, g.failed
	}
	g.out++
	return g.engine, nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out--
	g.tell()
}

// Driver implements [driver.Connector].
func (g *gate) Driver() driver.Driver { return duckdb.Driver{} }

// Close closes the engine, which writes its log into its file.
func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut {
		g.wait(context.Background())
	}
	if g.failed != nil {
		return nil // it is closed
	}
	return g.engine.Close()
}

// wait waits for a change, or the end of ctx. mu is held, but not meanwhile.
func (g *gate) wait(ctx context.Context) {
	moved := g.moved
	g.mu.Unlock()
	defer g.mu.Lock()
	select {
	case <-moved:
	case <-ctx.Done():
	}
}

// without closes the engine once every connection has come back, has work done
// on the file, and opens the engine again. It fails, having done nothing, when
// ctx ends before work begins. One call at a time.
func (g *gate) without(ctx context.Context, work func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	defer func() { g.shut = false; g.tell() }()
	for g.out > 0 && ctx.Err() == nil {
		g.wait(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.failed != nil {
		return g.failed
	}
	g.mu.Unlock() // whoever comes waits, for the gate is shut
	err := g.engine.Close()
	if err == nil {
		err = work()
	}
	engine, failed := g.open()
	g.mu.Lock()
	if failed != nil {
		g.failed = openError(failed)
		return g.failed
	}
	g.engine = engine
	return err
}

// connection tells the gate when it is closed.
type connection struct {
	*duckdb.Conn
	left func()
}

// Close implements [driver.Conn].
func (c *connection) Close() error {
	defer c.left()
	return c.Conn.Close()
}

// bare is the engine's own connection, as its appenders demand, of what
// [sql.Conn.Raw] shows.
func bare(raw any) driver.Conn { return raw.(*connection).Conn }
