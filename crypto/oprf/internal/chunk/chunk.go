// Package chunk spreads work over a range of indexes across the processors.
// It is not a scheduler: it knows no priorities, no cancellation and no errors.
// It serves protocol.md section 3, where a batch has thousands of equal steps.
package chunk

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Do calls f for blocks [lo, hi) of at most size indexes that together cover
// [0, n), on as many goroutines as there are processors, and returns when all
// calls have returned. If each call writes only what belongs to its own block,
// the result does not depend on who ran which.
func Do(n, size int, f func(lo, hi int)) {
	blocks := (n + size - 1) / size
	block := func(b int) { f(b*size, min((b+1)*size, n)) }
	workers := min(runtime.GOMAXPROCS(0), blocks)
	if workers <= 1 {
		for b := range blocks {
			block(b)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for b := int(next.Add(1)) - 1; b < blocks; b = int(next.Add(1)) - 1 {
				block(b)
			}
		})
	}
	wg.Wait()
}
