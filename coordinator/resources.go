package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/consensus"
	"coulisse/coordinator/rpc"
)

// Bounds on who reads static resources: a reader that is slow is cut off, and
// asks again.
const (
	resourceHeaders = 8 << 10
	resourceWait    = 10 * time.Second
	resourceTime    = time.Minute
)

// serveResources answers HTTP on the replica's port until ctx ends: the log as
// static resources, for whoever may read it. The door counts these connections
// among the party's others.
func serveResources(ctx context.Context, mux *consensus.Mux, service *rpc.Service, d *door) error {
	server := &http.Server{
		Handler: service.Resources(func(r *http.Request) tls.ConnectionState {
			state, _ := r.Context().Value(secured{}).(tls.ConnectionState)
			return state
		}),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if v, ok := conn.(*reader); ok {
				ctx = context.WithValue(ctx, secured{}, v.state)
			}
			return ctx
		},
		MaxHeaderBytes: resourceHeaders, ReadTimeout: resourceWait, WriteTimeout: resourceTime, IdleTimeout: resourceTime,
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(doored{mux.HTTP(), d}); !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
		return err
	}
	return nil
}

// secured is the key of a connection's TLS state.
type secured struct{}

// doored is a listener behind the door.
type doored struct {
	net.Listener
	door *door
}

// Accept implements net.Listener.
func (l doored) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if r, err := l.admit(conn); err == nil {
			return r, nil
		}
		_ = conn.Close() // it is refused
	}
}

func (l doored) admit(conn net.Conn) (*reader, error) {
	over, ok := conn.(*tls.Conn)
	if !ok {
		return nil, authority.ErrParty
	}
	state := over.ConnectionState()
	party := l.door.whose(state)
	if !l.door.enter(party) {
		return nil, errCrowded
	}
	return &reader{visitor{Conn: conn, leave: sync.OnceFunc(func() { l.door.leave(party) })}, state}, nil
}

// reader is a counted connection with its TLS state, which an http.Server does
// not find behind the count by itself.
type reader struct {
	visitor
	state tls.ConnectionState
}
