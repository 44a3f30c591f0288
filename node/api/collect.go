package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"coulisse/node"
	"coulisse/protocol"
)

// errNoIntake: the node has no collect.yaml.
var errNoIntake = errors.New("this node collects nothing")

// ServeHouse answers for a house that has not enrolled: what its intake does,
// and for all the rest that it has to enrol first.
func ServeHouse(ctx context.Context, listener net.Listener, h *node.House, logger *slog.Logger) error {
	mux := http.NewServeMux()
	collectRoutes(mux, h)
	personRoutes(mux, h)
	mux.HandleFunc("/", answer(func(*http.Request) (any, error) { return nil, node.ErrNotEnrolled }))
	return serve(ctx, listener, mux, logger)
}

func collectRoutes(mux *http.ServeMux, h *node.House) {
	mux.HandleFunc("GET /v1/collect", answer(func(*http.Request) (any, error) {
		if c := h.Collected(); c != nil {
			return c, nil
		}
		return nil, protocol.Refuse(errNoIntake,
			"ce nœud ne collecte rien\u00a0; faites ses réglages avec «\u00a0coulisse collect init\u00a0», puis redémarrez-le",
			"this node collects nothing; make its settings with “coulisse collect init”, then start it again")
	}))
}

// Collected asks what the intake has done.
func (c *Client) Collected(ctx context.Context) (node.Collected, error) {
	return get[node.Collected](ctx, c, at("collect"))
}
