package main

import (
	"hash/fnv"
	"math/rand/v2"
)

// seed makes the public what it is. Another seed is another public, with other
// golden figures.
const seed = 0xC0_115E

// dice draws everything that is invented here. A seeded PCG is right for that:
// the files must come out the same on every machine, and nothing drawn is a
// secret. Only its raw output and integer arithmetic are used: floating point
// may be fused on some processors, and rand's derived draws are not promised
// to stay the same.
type dice struct{ pcg *rand.PCG }

// newDice gives each stage a stream of its own, so that a change to one stage
// leaves what the others draw.
func newDice(stage string) dice {
	h := fnv.New64a()
	h.Write([]byte(stage))
	return dice{rand.NewPCG(seed, h.Sum64())}
}

// below draws from 0 to n-1. The bias of the remainder is under 2^-40 here.
func (d dice) below(n int) int { return int(d.pcg.Uint64() % uint64(n)) }

// chance is true permille times in a thousand.
func (d dice) chance(permille int) bool { return d.below(1000) < permille }

// weighted draws an index in proportion to its weight, or -1 if all are zero.
func (d dice) weighted(weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	if total == 0 {
		return -1
	}
	at := d.below(total)
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	panic("unreachable: the weights add up to their total")
}

func pick[T any](d dice, from []T) T { return from[d.below(len(from))] }

func shuffle[T any](d dice, s []T) {
	for i := len(s) - 1; i > 0; i-- {
		j := d.below(i + 1)
		s[i], s[j] = s[j], s[i]
	}
}
