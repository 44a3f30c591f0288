package recent_test

import (
	"testing"

	"coulisse/crypto/recent"

	"pgregory.net/rapid"
)

// TestMap holds what is remembered against what was put, and against the bound:
// the last half of the keys that were used is there, never more than two halves
// are, and no value is another key's.
func TestMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		half := rapid.IntRange(1, 5).Draw(t, "half")
		m := recent.NewMap[int, int](half)
		var used []int // distinct, the last one last
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			key := rapid.IntRange(0, 12).Draw(t, "key")
			if rapid.Bool().Draw(t, "put") {
				m.Put(key, 10*key)
			} else if got := m.Find(key, func() int { return 10 * key }); got != 10*key {
				t.Fatalf("%d is the value of %d", got, key)
			}
			used = append(without(used, key), key)
			if v, ok := m.Get(key); !ok || v != 10*key {
				t.Fatalf("%d was used just now and is %d, %v", key, v, ok)
			}
			if m.Len() > 2*half {
				t.Fatalf("%d keys are held", m.Len())
			}
		}
		found := 0
		for _, key := range used[max(0, len(used)-half):] {
			if _, ok := m.Get(key); ok {
				found++
			}
		}
		if want := min(half, len(used)); found < want {
			t.Fatalf("%d of the last %d keys are remembered", found, want)
		}
	})
}

func without(keys []int, key int) []int {
	var rest []int
	for _, k := range keys {
		if k != key {
			rest = append(rest, k)
		}
	}
	return rest
}
