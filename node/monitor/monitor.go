// Package monitor shows a node's health and figures to its member's own
// monitoring: GET /healthz, and GET /metrics in Prometheus' text form. Nothing
// there is about a single person or another member.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"coulisse/node"
	"coulisse/node/collect"
	"coulisse/protocol"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Node is what is shown; node.Node is one.
type Node interface {
	Status(context.Context) (node.Status, error)
	Trouble() error
}

var errListen = errors.New("the port cannot be opened")

// reading bounds one look at the node.
const reading = 5 * time.Second

// Serve answers at an address until ctx ends.
func Serve(ctx context.Context, address string, n Node) error {
	server := &http.Server{
		Addr: address, Handler: Handler(n), MaxHeaderBytes: 8 << 10,
		ReadTimeout: reading, WriteTimeout: 2 * reading, IdleTimeout: 30 * time.Second,
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return protocol.Refuse(errListen,
			"l'adresse %s ne peut pas être ouverte (%v)", "the address %s cannot be opened (%v)", address, err)
	}
	return nil
}

// Handler answers /healthz and /metrics.
func Handler(n Node) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(figures{n}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if n.Trouble() != nil {
			http.Error(w, "the node does not follow the log; see `coulisse node status`", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	return mux
}

// figures reads the node when it is asked.
type figures struct{ n Node }

var (
	people   = describe("people", "People in the warehouse.")
	tickets  = describe("tickets", "Tickets in the warehouse.")
	tokens   = describe("tokens", "People with a token of the key in use.")
	entries  = describe("log_entries", "Entries of the federation's log that this node has verified.")
	age      = describe("log_age_seconds", "Time since the last of them was accepted.")
	rounds   = describe("rounds", "Rounds under way that this member takes part in.")
	votes    = describe("votes_awaited", "Open votes that wait for this member's voice, or for one that it carries.")
	troubles = describe("troubles", "Things that are wrong, as `coulisse node status` lists them.")
	expiry   = describe("certificate_seconds", "Time until the certificate expires.")
	accepted = describe("events_accepted_total", "Events that were acknowledged and kept, since the start.")
	stored   = describe("events_stored_total", "Events that the warehouse has taken, since the start.")
	waiting  = describe("events_waiting_bytes", "What waits on disk for the warehouse.")
	refused  = prometheus.NewDesc("coulisse_node_events_refused_total", "What was not kept, since the start.", []string{"reason"}, nil)
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("coulisse_node_"+name, help, nil, nil)
}

// Describe implements prometheus.Collector.
func (figures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{people, tickets, tokens, entries, age, rounds, votes, troubles, expiry, accepted, stored, waiting, refused} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (f figures) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), reading)
	defer cancel()
	s, err := f.n.Status(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(people, err)
		return
	}
	for d, value := range map[*prometheus.Desc]float64{
		people: float64(s.Warehouse.People), tickets: float64(s.Warehouse.Tickets), tokens: float64(s.Tokens.Done),
		entries: float64(s.Log.Size), rounds: float64(len(s.Rounds)), votes: float64(len(s.Votes)), troubles: float64(len(s.Troubles)),
		expiry: time.Until(s.Certificate).Seconds(),
	} {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	if s.Collected != nil {
		collected(s.Collected.Figures, to)
	}
	if s.Log.Size > 0 {
		to <- prometheus.MustNewConstMetric(age, prometheus.GaugeValue, time.Since(s.Log.At.Time()).Seconds())
	}
}

// collected are the intake's figures.
func collected(f collect.Figures, to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(accepted, prometheus.CounterValue, float64(f.Accepted))
	to <- prometheus.MustNewConstMetric(stored, prometheus.CounterValue, float64(f.Stored))
	to <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(f.Waiting))
	for reason, n := range f.Refused.ByReason() {
		to <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(n), reason)
	}
}
