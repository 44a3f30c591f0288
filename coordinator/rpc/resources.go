package rpc

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/tiles"
	"coulisse/protocol/tlog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How long a resource may be kept. A tile never changes; but not everybody may
// read it, so no cache keeps it for others.
const (
	immutable = "private, max-age=31536000, immutable"
	momentary = "private, max-age=5"
)

// Resources is the log as static resources (C2SP tlog-tiles), for members and
// the office. state is the TLS connection that a request came on: its client
// has shown a certificate, as for a call, and the same table says who may read.
func (s *Service) Resources(state func(*http.Request) tls.ConnectionState) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.enter(state(r), reading); err != nil {
			refuseHTTP(w, err)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the log is only read here", http.StatusMethodNotAllowed)
			return
		}
		content, kind, keep, err := s.resource(strings.TrimPrefix(r.URL.Path, "/"))
		switch {
		case errors.Is(err, tlog.ErrTile) || errors.Is(err, federation.ErrNotFound):
			http.Error(w, "there is no such resource", http.StatusNotFound)
			return
		case err != nil:
			refuseHTTP(w, s.refuse(err))
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", keep)
		_, _ = w.Write(content) // a reader that is gone is its own affair
	})
}

// resource is one resource, with what it is and how long it stays so.
func (s *Service) resource(path string) (content []byte, kind, keep string, err error) {
	const text = "text/plain; charset=utf-8"
	switch path {
	case tiles.Checkpoint, tiles.All:
		c, err := s.Notary.Latest()
		if err != nil {
			return nil, "", "", err
		}
		if path == tiles.All {
			return []byte(c.String()), text, momentary, nil
		}
		return []byte(c.Short()), text, momentary, nil
	}
	err = s.Log.View(func(tx federation.Tx) error { content, err = tiles.Read(tx, path); return err })
	return content, "application/octet-stream", immutable, err
}

// refuseHTTP is a denial as a status, with its words.
func refuseHTTP(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch status.Code(err) {
	case codes.Unauthenticated:
		code = http.StatusUnauthorized
	case codes.PermissionDenied:
		code = http.StatusForbidden
	case codes.Unavailable:
		code = http.StatusServiceUnavailable
	case codes.ResourceExhausted:
		code = http.StatusTooManyRequests
		if after, ok := refusal.RetryAfter(refusal.FromStatus(err)); ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		}
	}
	http.Error(w, status.Convert(err).Message(), code)
}
