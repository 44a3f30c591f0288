package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Answer is what is true of a population: what a federation of all its members
// must find before noise.
type Answer struct {
	AtLeast int   `json:"at_least"`
	People  int64 `json:"people"`
	Rows    int64 `json:"rows"`
	// Total are the people who are at that many members or more.
	Total int64 `json:"total"`
	// Spread[n] are the people who are at exactly n members.
	Spread []int64 `json:"spread"`
	// Members are in their order: how many people each has, and how many of them
	// are in the total.
	Members []MemberAnswer `json:"members"`
}

// MemberAnswer is the truth of one member.
type MemberAnswer struct {
	People int64 `json:"people"`
	Holds  int64 `json:"holds"`
}

// Count finds the exact answer, person by person: nothing is sorted, merged or
// hashed into a table, so it shares no step with what it is held against. Its
// memory is a counter a member.
func (p *Population) Count(ctx context.Context, atLeast int) (Answer, error) {
	if atLeast < 1 || atLeast > len(p.members) {
		return Answer{}, fmt.Errorf("%w: at least 1 to %d of its members", ErrShape, len(p.members))
	}
	const part = 1 << 16
	var next atomic.Uint64
	tallies := make([]tally, runtime.GOMAXPROCS(0))
	var counting sync.WaitGroup
	for i := range tallies {
		tallies[i] = newTally(len(p.members))
		counting.Go(func() {
			for ctx.Err() == nil {
				from := Person(next.Add(part) - part)
				if from >= p.people {
					return
				}
				tallies[i].count(p, from, min(from+part, p.people), atLeast)
			}
		})
	}
	counting.Wait()
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	return p.answer(tallies, atLeast), nil
}

// tally is one worker's part of an answer.
type tally struct {
	spread, people, holds []int64
	at                    []int // scratch: where the person at hand is
}

func newTally(members int) tally {
	return tally{make([]int64, members+1), make([]int64, members), make([]int64, members), make([]int, 0, members)}
}

func (t *tally) count(p *Population, from, to Person, atLeast int) {
	for id := from; id < to; id++ {
		self := p.self(id)
		class := class(self)
		t.at = t.at[:0]
		for i := range p.members {
			if p.members[i].has(self, class) {
				t.at = append(t.at, i)
			}
		}
		t.spread[len(t.at)]++
		for _, i := range t.at {
			t.people[i]++
			if len(t.at) >= atLeast {
				t.holds[i]++
			}
		}
	}
}

func (p *Population) answer(tallies []tally, atLeast int) Answer {
	a := Answer{
		AtLeast: atLeast, People: int64(p.people),
		Spread: make([]int64, len(p.members)+1), Members: make([]MemberAnswer, len(p.members)),
	}
	for _, t := range tallies {
		for n, people := range t.spread {
			a.Spread[n] += people
			a.Rows += int64(n) * people
			if n >= atLeast {
				a.Total += people
			}
		}
		for i := range a.Members {
			a.Members[i].People += t.people[i]
			a.Members[i].Holds += t.holds[i]
		}
	}
	return a
}
