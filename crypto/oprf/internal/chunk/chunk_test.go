package chunk_test

import (
	"sync/atomic"
	"testing"

	"coulisse/crypto/oprf/internal/chunk"
)

func TestEveryIndexOnce(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 1000} {
		for _, size := range []int{1, 8, 5000} {
			seen := make([]atomic.Int32, n)
			chunk.Do(n, size, func(lo, hi int) {
				if hi-lo > size || hi > n {
					t.Errorf("block [%d,%d) of %d exceeds %d", lo, hi, n, size)
				}
				for i := lo; i < hi; i++ {
					seen[i].Add(1)
				}
			})
			for i := range seen {
				if seen[i].Load() != 1 {
					t.Fatalf("n=%d size=%d: index %d was visited %d times", n, size, i, seen[i].Load())
				}
			}
		}
	}
}
