package consensus

import (
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// BareRaft is hashicorp/raft by itself, for comparison: three replicas with
// this package's store, transport, TLS port and settings, whose commands do
// nothing. It returns the leader's Apply.
func BareRaft(b *testing.B, timing Timing) func(command []byte) error {
	b.Helper()
	timing = timing.withDefaults()
	ca, silent := newAuthority(b), newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool))
	var servers []raft.Server
	var ports []*Mux
	for _, id := range []string{"a", "b", "c"} {
		m := ca.mux(b, ca.issue(replicaURI+id, time.Time{}), nil)
		ports = append(ports, m)
		servers = append(servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(m.Raft().Addr().String())})
	}
	var replicas []*raft.Raft
	for i, s := range servers {
		disk, err := openStore(filepath.Join(b.TempDir(), "log.db"), timing.Write, func(reason error) { b.Error(reason) })
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { disk.Close() })
		conf := timing.settings()
		conf.LocalID, conf.Logger = s.ID, silent
		trans := newTransport(ports[i].Raft(), timing.Exchange, &acknowledgements{}, silent)
		snaps := raft.NewDiscardSnapshotStore()
		if err := raft.BootstrapCluster(conf, disk, disk, snaps, trans, raft.Configuration{Servers: servers}); err != nil {
			b.Fatal(err)
		}
		r, err := raft.NewRaft(conf, idle{}, disk, disk, snaps, trans)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			stopped := r.Shutdown()
			trans.Close()
			stopped.Error()
			trans.CloseStreams()
		})
		replicas = append(replicas, r)
	}
	leader := awaitBare(replicas)
	return func(command []byte) error { return leader.Apply(command, timing.Exchange).Error() }
}

func awaitBare(replicas []*raft.Raft) *raft.Raft {
	for {
		for _, r := range replicas {
			if r.State() == raft.Leader && r.Barrier(0).Error() == nil {
				return r
			}
		}
		<-time.After(10 * time.Millisecond)
	}
}

// idle is a state machine that does nothing.
type idle struct{}

func (idle) Apply(*raft.Log) any { return nil }

func (idle) Snapshot() (raft.FSMSnapshot, error) { return &copied{}, nil }

func (idle) Restore(io.ReadCloser) error { return nil }
