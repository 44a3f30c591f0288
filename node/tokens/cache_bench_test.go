package tokens_test

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// benchPeople is how many people the benchmarks have.
const benchPeople = 3_000_000

// filled is a cache of 3 million people, as it grows by tickets.
func filled(b *testing.B) (string, *seal.Identity, *tokens.Cache) {
	b.Helper()
	dir, identity := b.TempDir(), newIdentity(b)
	cache := openCache(b, dir, identity)
	made := make([]oprf.Token, protocol.MaxBatch)
	for at, sequence := 0, int64(1); at < benchPeople; at, sequence = at+protocol.MaxBatch, sequence+1 {
		ids := numbers(1+at, min(protocol.MaxBatch, benchPeople-at))
		for i := range ids {
			binary.BigEndian.PutUint64(made[i][:], uint64(ids[i]))
		}
		if err := cache.Put(sequence, ids, made[:len(ids)]); err != nil {
			b.Fatal(err)
		}
	}
	return dir, identity, cache
}

// cpu is what the process has used: the machine may do other things meanwhile.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// perSecond runs a passage through everybody, and tells its pace by the CPU.
func perSecond(b *testing.B, unit string, pass func()) {
	b.Helper()
	before := cpu(b)
	for b.Loop() {
		pass()
	}
	b.ReportMetric(float64(b.N)*benchPeople/(cpu(b)-before).Seconds(), unit+"/cpu-s")
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkCache is what a cache of 3 million people costs. The bare read is of
// the same files, in the same run.
func BenchmarkCache(b *testing.B) {
	dir, identity, cache := filled(b)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			again, err := tokens.OpenCache(dir, identity, 1)
			if err != nil || again.Len() != benchPeople {
				b.Fatal(err)
			}
			again.Close()
		}
	})
	b.Run("heap", func(b *testing.B) {
		for b.Loop() {
			before := heap()
			again, err := tokens.OpenCache(dir, identity, 1)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(heap()-before, "MiB")
			again.Close()
		}
	})
	b.Run("bare read", func(b *testing.B) {
		perSecond(b, "tokens", func() { bareRead(b, dir) })
	})
	b.Run("select", func(b *testing.B) {
		perSecond(b, "tokens", func() {
			n, sum := 0, byte(0)
			err := cache.Select(context.Background(), upTo(benchPeople+1), func(_ warehouse.PersonID, token *oprf.Token) error {
				n, sum = n+1, sum^token[63]
				return nil
			})
			if err != nil || int64(n) != cache.Len() {
				b.Fatal(n, sum, err)
			}
		})
	})
	b.Run("missing", func(b *testing.B) {
		perSecond(b, "people", func() {
			for p, err := range cache.Missing(func(yield func(warehouse.Person, error) bool) {
				for id := range warehouse.PersonID(benchPeople) {
					if !yield(warehouse.Person{ID: id + 1}, nil) {
						return
					}
				}
			}) {
				b.Fatal(p.ID, err)
			}
		})
	})
	b.Run("lookup", func(b *testing.B) {
		id := uint64(1)
		for b.Loop() {
			id = id * 6364136223846793005 % benchPeople
			found := false
			err := cache.Select(context.Background(), sequence(warehouse.PersonID(id+1)), func(warehouse.PersonID, *oprf.Token) error {
				found = true
				return nil
			})
			if err != nil || !found {
				b.Fatal(id, err)
			}
		}
	})
	b.Run("erase", func(b *testing.B) { // the largest run is written anew
		id := warehouse.PersonID(1)
		for b.Loop() {
			id += protocol.MaxBatch
			if err := cache.Erase([]warehouse.PersonID{id}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		at, made := benchPeople, make([]oprf.Token, protocol.MaxBatch)
		for b.Loop() {
			at += protocol.MaxBatch
			if err := cache.Put(int64(at), numbers(at, protocol.MaxBatch), made); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func bareRead(b *testing.B, dir string) {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "run-*"))
	if err != nil || len(files) == 0 {
		b.Fatal(err)
	}
	buffer := make([]byte, 64<<10)
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = file.Read(buffer)
		}
		if file.Close(); err != io.EOF {
			b.Fatal(err)
		}
	}
}
