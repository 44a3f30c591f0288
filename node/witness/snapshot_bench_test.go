package witness_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"coulisse/crypto/key"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
)

// BenchmarkStart is a node's start with a log of 100,000 entries: all of it
// verified, and from a snapshot.
func BenchmarkStart(b *testing.B) {
	town := federationtest.Found(b, 4, func(c *protocol.Charter) { c.Allowance = 1 << 20 })
	town.Keyed()
	for i := range 100_000 {
		ticket := protocol.Ticket{Epoch: 1, Root: protocol.HashOf([]byte{byte(i), byte(i >> 8), byte(i >> 16)}), Count: 1, Sequence: int64(1 + i/4)}
		town.Must(federationtest.Node(town, town.Members[i%4], ticket))
	}
	dir := b.TempDir()
	file, err := os.Create(filepath.Join(dir, "log.jsonl"))
	town.Must(err)
	for _, e := range town.Entries {
		_, err := file.Write(append(e.Encode(), '\n'))
		town.Must(err)
	}
	town.Must(file.Close())
	own, err := key.Generate[key.Node]()
	town.Must(err)
	size, id := int64(len(town.Entries)), town.Federation
	town = nil // so that the heap is the witness's
	b.Run("replayed", func(b *testing.B) {
		for b.Loop() {
			start(b, size, func() (*witness.Witness, error) { return witness.Open(dir, id) })
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		resume := func() (*witness.Witness, error) { return witness.Resume(dir, id, own) }
		start(b, size, resume)
		for b.Loop() {
			start(b, size, resume)
		}
	})
}

func start(b *testing.B, size int64, open func() (*witness.Witness, error)) {
	w, err := open()
	if err != nil || w.Size() != size {
		b.Fatal(err)
	}
	b.StopTimer()
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(memory.HeapAlloc)/(1<<20), "MiB-heap")
	b.StartTimer()
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
