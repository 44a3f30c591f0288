package consensus

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// BenchmarkApply commits commands of 1 KiB with three replicas in one process,
// on this package's store and, for comparison, on raft's store in memory.
func BenchmarkApply(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("disk/%d clients", clients), func(b *testing.B) {
			nodes, _, stop, err := threeReplicas(b.TempDir(), Timing{}, func(reason error) { b.Error(reason) })
			if err != nil {
				b.Fatal(err)
			}
			defer stop()
			leader := awaitReader(b, nodes)
			benchmarkCalls(b, clients, func() error {
				_, _, err := leader.Apply(context.Background(), make([]byte, 1024))
				return err
			})
		})
		b.Run(fmt.Sprintf("memory/%d clients", clients), func(b *testing.B) {
			leader := threeInMemory(b)
			benchmarkCalls(b, clients, func() error { return leader.Apply(make([]byte, 1024), 0).Error() })
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d clients", clients), func(b *testing.B) {
			nodes, _, stop, err := threeReplicas(b.TempDir(), Timing{}, func(reason error) { b.Error(reason) })
			if err != nil {
				b.Fatal(err)
			}
			defer stop()
			leader := awaitReader(b, nodes)
			benchmarkCalls(b, clients, func() error { return leader.Read(context.Background()) })
		})
	}
}

func benchmarkCalls(b *testing.B, clients int, call func() error) {
	b.SetParallelism(clients) // times GOMAXPROCS
	b.ResetTimer()
	if clients == 1 {
		for b.Loop() {
			if err := call(); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// threeInMemory is raft without a disk, otherwise tuned as [Node] tunes it.
func threeInMemory(b *testing.B) *raft.Raft {
	net := newNetwork()
	servers := []raft.Server{{ID: "a", Address: "a:1"}, {ID: "b", Address: "b:1"}, {ID: "c", Address: "c:1"}}
	var replicas []*raft.Raft
	for _, s := range servers {
		conf := raft.DefaultConfig()
		conf.LocalID, conf.Logger = s.ID, newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool))
		port := net.listen(Address(s.Address))
		trans := newTransport(port, Timing{}.withDefaults().Exchange, &acknowledgements{}, newRaftLogger(slog.New(slog.DiscardHandler), new(atomic.Bool)))
		logs, snaps := raft.NewInmemStore(), raft.NewDiscardSnapshotStore()
		if err := raft.BootstrapCluster(conf, logs, logs, snaps, trans, raft.Configuration{Servers: servers}); err != nil {
			b.Fatal(err)
		}
		r, err := raft.NewRaft(conf, &machine{state: &ledger{}}, logs, logs, snaps, trans)
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
	for {
		for _, r := range replicas {
			if r.State() == raft.Leader && r.Barrier(0).Error() == nil {
				return r
			}
		}
		<-time.After(10 * time.Millisecond)
	}
}

func BenchmarkStoreLogs(b *testing.B) {
	for _, batch := range []uint64{1, 64} {
		b.Run(fmt.Sprintf("%d entries of 1 KiB", batch), func(b *testing.B) {
			s := testStore(b, filepath.Join(b.TempDir(), "log"))
			next := uint64(1)
			for b.Loop() {
				logs := entries(next, next+batch-1, 1)
				for _, l := range logs {
					l.Data = make([]byte, 1024)
				}
				if err := s.StoreLogs(logs); err != nil {
					b.Fatal(err)
				}
				next += batch
			}
			b.ReportMetric(float64(next-1)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
