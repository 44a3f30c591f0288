// Package metrics shows a replica's figures to the operator's monitoring, in
// Prometheus' text form: consensus, the log, what members submit, the rounds
// under way, and the bytes that the relay and the matcher hold.
//
// It is the gateway to prometheus/client_golang. No figure is about a single
// member: whoever may read them learns what protocol.md section 7 lets the
// coordinator know in any case, and less.
package metrics

import (
	"context"
	"errors"
	"net/http"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Sources are where the figures come from. They are asked at each reading,
// possibly at once, and must not wait for other replicas.
type Sources struct {
	Status func() consensus.Status
	View   func(func(federation.Tx) error) error
	// Relayed and Matching are the bytes in mailboxes and in uploads.
	Relayed, Matching func() int64
	// SlowestWrite is the longest write to disk since the last reading.
	SlowestWrite func() time.Duration
}

// Metrics are one replica's.
type Metrics struct {
	sources  Sources
	registry *prometheus.Registry
	submits  *prometheus.CounterVec
}

// The figures that are read when asked for.
var (
	term     = describe("raft_term", "The term of consensus.")
	state    = describe("raft_state", "1 for what this replica is now, 0 for what it is not.", "state")
	commit   = describe("raft_commit_index", "The last command that is agreed on, as far as this replica knows.")
	applied  = describe("raft_applied_index", "The last command that this replica has applied.")
	entries  = describe("log_entries", "Entries of the federation's log at this replica.")
	rounds   = describe("rounds", "Rounds under way, by the stage that they are in.", "stage")
	free     = describe("disk_free_bytes", "Bytes left on the disk of the replica's log.")
	noRoom   = describe("disk_no_room", "1 while the replica takes no entries for want of room.")
	slowest  = describe("disk_write_seconds_max", "The longest write of the replica's log since the last reading.")
	relayed  = describe("relay_bytes", "Bytes that wait in the relay's mailboxes.")
	matching = describe("matcher_bytes", "Bytes that the uploads of open rounds take on disk, or have reserved.")
)

var (
	states = []string{"leader", "follower", "candidate", "stopped"}
	stages = []federation.Stage{federation.Proposed, federation.Accepted, federation.Reserved, federation.Keyed, federation.Opened, federation.Published}
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("coulisse_"+name, help, labels, nil)
}

// New returns metrics that read the sources when they are asked.
func New(s Sources) *Metrics {
	m := &Metrics{sources: s, registry: prometheus.NewRegistry(), submits: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "coulisse_submits_total", Help: "Documents that members submitted here, by kind and by what became of them.",
	}, []string{"label", "outcome"})}
	m.registry.MustRegister(m, m.submits, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with all figures.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{term, state, commit, applied, free, noRoom, slowest, entries, rounds, relayed, matching} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := m.sources.Status()
	gauge(term, float64(s.Term))
	gauge(commit, float64(s.Commit))
	gauge(applied, float64(s.Applied))
	for _, name := range states {
		is := 0.0
		if s.Role == name {
			is = 1
		}
		gauge(state, is, name)
	}
	gauge(free, float64(s.Free))
	lacking := 0.0
	if s.NoRoom {
		lacking = 1
	}
	gauge(noRoom, lacking)
	gauge(slowest, m.sources.SlowestWrite().Seconds())
	gauge(relayed, float64(m.sources.Relayed()))
	gauge(matching, float64(m.sources.Matching()))
	var size int64
	under := map[federation.Stage]int{}
	err := m.sources.View(func(tx federation.Tx) error {
		size = federation.Size(tx)
		for _, r := range federation.RunningRounds(tx) {
			under[r.Stage]++
		}
		return nil
	})
	if err != nil {
		to <- prometheus.NewInvalidMetric(entries, err)
		return
	}
	gauge(entries, float64(size))
	for _, stage := range stages {
		gauge(rounds, float64(under[stage]), string(stage))
	}
}

// Intercept counts what members submit; it is for the gRPC server.
func (m *Metrics) Intercept(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	reply, err := handle(ctx, request)
	if submit, ok := request.(*wire.SubmitRequest); ok {
		label := protocol.Label(submit.GetLabel())
		if !label.ByMember() {
			label = "other" // or a caller could make up any number of them
		}
		m.submits.WithLabelValues(string(label), outcome(reply, err)).Inc()
	}
	return reply, err
}

func outcome(reply any, err error) string {
	if err == nil {
		if submitted, ok := reply.(*wire.SubmitReply); ok && submitted.GetAlready() {
			return "already"
		}
		return "accepted"
	}
	switch meaning := refusal.FromStatus(err); {
	case errors.Is(meaning, federation.ErrAlready):
		return "already"
	case errors.Is(meaning, refusal.ErrNotLeader):
		return "not leader"
	case errors.Is(meaning, refusal.ErrUnavailable):
		return "unavailable"
	}
	switch status.Code(err) {
	case codes.Canceled, codes.DeadlineExceeded:
		return "unavailable"
	case codes.Internal, codes.Unknown:
		return "failed"
	}
	return "refused"
}
