package collect

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"coulisse/node/collect/spool"
	"coulisse/node/collect/tag"

	"golang.org/x/net/netutil"
)

//go:embed event.schema.json
var schema []byte

// Bounds of the listener: a browser sends at once, and 64 KiB at most.
const (
	maxConnections = 4096
	maxHeader      = 16 << 10
	headerWithin   = 5 * time.Second
	bodyWithin     = 15 * time.Second
	idleFor        = 60 * time.Second
	drainWithin    = 5 * time.Second
)

// errSite: a page that is not of the settings' sites.
var errSite = errors.New("the page's host is not among the sites of collect.yaml")

func (c *Collector) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: c.handler(), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerWithin, ReadTimeout: bodyWithin, WriteTimeout: 2 * bodyWithin, IdleTimeout: idleFor,
		ErrorLog: slog.NewLogLogger(c.cfg.Logger.Handler(), slog.LevelDebug),
	}
	listener = netutil.LimitListener(listener, maxConnections)
	ended := make(chan error, 1)
	go func() {
		if t := c.cfg.Settings.TLS; t != nil {
			ended <- server.ServeTLS(listener, t.Certificate, t.Key)
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	err := server.Shutdown(last)
	if err != nil {
		err = server.Close() // whoever is this slow sends again
	}
	<-ended
	return err
}

func (c *Collector) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /e", c.take)
	mux.HandleFunc("OPTIONS /e", c.preflight)
	mux.HandleFunc("GET /c.js", script)
	mux.HandleFunc("GET /coulisse.tpl", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", `attachment; filename="coulisse.tpl"`)
		_, _ = w.Write(tag.Template()) // whoever asked has gone away
	})
	mux.HandleFunc("GET /e.schema.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "application/schema+json")
		w.Header().Set("Cache-Control", "public, max-age=86400")
		_, _ = w.Write(schema) // whoever asked has gone away
	})
	return mux
}

// script serves the tag: small, cached for an hour, and known again by its
// digest. It is the same for everybody.
func script(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600, stale-while-revalidate=86400")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*") // for integrity attributes
	h.Set("ETag", tag.ETag())
	content := tag.Script()
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		// Another form of the same thing: a weak name fits both.
		h.Set("ETag", "W/"+tag.ETag())
		content = tag.Gzipped()
	}
	if strings.Contains(r.Header.Get("If-None-Match"), tag.ETag()) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content) // whoever asked has gone away
}

// cross allows the member's own sites, and nobody else, to read the answer. It
// reports whether the request may go on.
func (c *Collector) cross(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true // of the same host, or of no browser; the page's host is checked
	}
	w.Header().Set("Vary", "Origin")
	if !c.sites.origin(origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After") // the tag goes by it
	return true
}

func (c *Collector) preflight(w http.ResponseWriter, r *http.Request) {
	if c.cross(w, r) && r.Header.Get("Origin") != "" {
		w.Header().Set("Access-Control-Allow-Methods", "POST")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.Header().Set("Access-Control-Max-Age", "7200")
	}
	w.WriteHeader(http.StatusNoContent)
}

// take answers POST /e: 202 when what may be kept is durable.
func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !c.cross(w, r) {
		c.refuse(w, http.StatusForbidden, refusedSite, "this site is not among those of collect.yaml")
		return
	}
	switch kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) {
	case "text/plain", "application/json":
	default:
		c.refuse(w, http.StatusUnsupportedMediaType, refusedForm, "send text/plain or application/json")
		return
	}
	who := network(client(r, c.cfg.Settings.proxies))
	if wait := c.gate.let(who); wait > 0 {
		c.later(w, http.StatusTooManyRequests, refusedRate, wait, "too many requests from this network")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			c.refuse(w, http.StatusRequestEntityTooLarge, refusedForm, "send at most 64 KiB")
			return
		}
		c.refuse(w, http.StatusBadRequest, refusedForm, "the request did not arrive whole")
		return
	}
	v := visit{at: c.cfg.now().UTC().Truncate(time.Millisecond), agent: c.agents.read(r.UserAgent()), network: who}
	c.keep(w, r, raw, v)
}

func (c *Collector) keep(w http.ResponseWriter, r *http.Request, raw []byte, v visit) {
	b, err := decode(raw)
	if err != nil {
		c.refuse(w, http.StatusBadRequest, refusedForm, err.Error())
		return
	}
	if v.agent.bot {
		c.counts.refuse(refusedBot, len(b.events))
		w.WriteHeader(http.StatusAccepted) // a robot is told nothing
		return
	}
	kept, err := c.accept(b, v)
	if err != nil {
		c.refuse(w, http.StatusBadRequest, refusedSite, err.Error())
		return
	}
	one := saying{b.visitor, b.consent.at, b.consent.enforced()}
	if c.said.has(one) {
		kept.Consents = nil
	}
	if record := encodeRecord(kept); record != nil {
		if err := c.spool.Append(r.Context(), record); err != nil {
			c.unkept(w, err)
			return
		}
	}
	if kept.Consents != nil {
		c.said.put(one) // now that they are durable
	}
	c.counts.accept(len(kept.Events))
	w.WriteHeader(http.StatusAccepted)
}

// unkept answers for a record that is not durable.
func (c *Collector) unkept(w http.ResponseWriter, err error) {
	if errors.Is(err, spool.ErrBusy) {
		c.later(w, http.StatusTooManyRequests, refusedBusy, time.Second, "the server is busy")
		return
	}
	c.later(w, http.StatusServiceUnavailable, refusedDisk, 30*time.Second, "nothing can be kept at present")
}

func (c *Collector) later(w http.ResponseWriter, status int, why refusal, wait time.Duration, words string) {
	seconds := int64((wait + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	c.refuse(w, status, why, words)
}

func (c *Collector) refuse(w http.ResponseWriter, status int, why refusal, words string) {
	c.counts.refuse(why, 1)
	http.Error(w, words, status)
}
