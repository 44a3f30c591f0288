package tokens_test

import (
	"testing"

	"coulisse/crypto/oprf"
	"coulisse/crypto/seal"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// BenchmarkOpenCache opens the tokens of 400,000 people.
func BenchmarkOpenCache(b *testing.B) {
	identity, err := seal.NewIdentity()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	cache, err := tokens.OpenCache(dir, identity, 1)
	if err != nil {
		b.Fatal(err)
	}
	const files = 100
	for f := range files {
		ids := make([]warehouse.PersonID, protocol.MaxBatch)
		for i := range ids {
			ids[i] = warehouse.PersonID(f*protocol.MaxBatch + i)
		}
		if err := cache.Put(int64(f+1), ids, make([]oprf.Token, len(ids))); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		again, err := tokens.OpenCache(dir, identity, 1)
		if err != nil || again.Len() != files*protocol.MaxBatch {
			b.Fatal(again.Len(), err)
		}
	}
}
