package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"coulisse/node"
	"coulisse/protocol/archive"
)

func logRoutes(mux *http.ServeMux, n *node.Node) {
	mux.HandleFunc("GET /v1/log/head", answer(func(*http.Request) (any, error) { return n.LogHead() }))
	mux.HandleFunc("GET /v1/log/entries/{seq}/proof", answer(func(r *http.Request) (any, error) {
		seq, err := strconv.ParseInt(r.PathValue("seq"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: an entry has a number", errRequest)
		}
		return n.ProveEntry(seq)
	}))
	mux.HandleFunc("GET /v1/log/copy", func(w http.ResponseWriter, _ *http.Request) {
		write, err := n.CopyLog()
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		if err := write(w); err != nil {
			panic(http.ErrAbortHandler) // so that half a copy is not taken for one
		}
	})
}

// LogHead tells where the node's log is, and who vouches for it.
func (c *Client) LogHead(ctx context.Context) (node.LogHead, error) {
	return get[node.LogHead](ctx, c, at("log", "head"))
}

// ProveEntry proves an entry of the log.
func (c *Client) ProveEntry(ctx context.Context, seq int64) (archive.Proof, error) {
	return get[archive.Proof](ctx, c, at("log", "entries", strconv.FormatInt(seq, 10), "proof"))
}

// CopyLog writes a copy of the log.
func (c *Client) CopyLog(ctx context.Context, w io.Writer) error {
	answer, err := c.call(ctx, http.MethodGet, at("log", "copy"), nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	if _, err := io.Copy(w, answer); err != nil {
		return fmt.Errorf("copy the log: %w", err)
	}
	return nil
}
