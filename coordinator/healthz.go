package coordinator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/coordinator/metrics"
	"coulisse/protocol"
)

// tellHealth answers GET /healthz until ctx ends: 200 while the replica knows
// a leader, 503 while it knows none; and GET /metrics, with figures that are
// about no single member. It tells nothing else.
func (r *Replica) tellHealth(ctx context.Context, node *consensus.Node, figures *metrics.Metrics) error {
	if r.cfg.Health == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if _, led := node.Leader(); !led {
			http.Error(w, "no leader", http.StatusServiceUnavailable)
			return
		}
		if node.Status().NoRoom {
			fmt.Fprintln(w, "ok, but the disk is nearly full: this replica takes no entries")
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", figures.Handler())
	server := &http.Server{
		Addr: r.cfg.Health, Handler: mux, MaxHeaderBytes: 8 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 30 * time.Second,
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return protocol.Refuse(errListen,
			"l'adresse %s ne peut pas être ouverte (%v)", "the address %s cannot be opened (%v)", r.cfg.Health, err)
	}
	return nil
}
