// Package load invents the public of a country: who goes to which houses, at any
// size, from one seed, with the exact answer alongside. It serves benchmarks and
// whoever wants to try a federation with more people than the demonstration has.
//
// It is not a forecast. Three things are taken from life because they decide
// what matching costs and finds: a few members are very large and most are
// small, a few people go everywhere and most hardly ever, and people go where
// their taste is and near where they live. DESIGN.md has the model's numbers.
//
// Whether a person is at a member is a function of the seed, the two numbers,
// and nothing else. So rows are drawn as a stream in either direction, member by
// member for the files, person by person for the exact answer, and neither holds
// more than one of them in memory. Nobody in it exists; every address is under a
// domain that RFC 2606 reserves.
package load

import (
	"errors"
	"fmt"
	"iter"
	"math"
)

// Person is the number of an invented person, from 0.
type Person uint64

// Shape is what a population is drawn from.
type Shape struct {
	Seed uint64
	// Rows is how many (member, person) rows to expect in all. The drawn number
	// differs by its chance: see [Answer.Rows].
	Rows    int64
	Members int
}

// Bounds of a shape.
const (
	MinRows    = 1_000
	MaxRows    = 1_000_000_000
	MaxMembers = 1_000
)

// The country of the reference figures: 10 million people make 31 million rows at
// 150 members, and 3 million of them are at the largest one.
const (
	rowsPerPerson = 3.1
	largestShare  = 0.3
)

// ErrShape: there is no such population.
var ErrShape = errors.New("no population has this shape")

func (s Shape) check() error {
	switch {
	case s.Rows < MinRows || s.Rows > MaxRows:
		return fmt.Errorf("%w: it has %d to %d rows", ErrShape, MinRows, MaxRows)
	case s.Members < 2 || s.Members > MaxMembers:
		return fmt.Errorf("%w: it has 2 to %d members", ErrShape, MaxMembers)
	}
	return nil
}

// Population is a drawn shape. It is safe for concurrent use.
type Population struct {
	shape   Shape
	people  Person
	targets []float64
	members []member
}

// member is where a member stands in the country, and whom it draws.
type member struct {
	salt   uint64
	taste  int
	region int
	// chance is, for each class of people, the probability that one of them is
	// here, in units of 2^-32.
	chance [classes]uint32
}

// New draws a population.
func New(s Shape) (*Population, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	p := &Population{shape: s, people: Person(math.Round(float64(s.Rows) / rowsPerPerson))}
	p.targets = zipf(s.Members, float64(s.Rows), math.Min(largestShare*float64(p.people), float64(s.Rows)/2))
	p.members = make([]member, s.Members)
	for i := range p.members {
		m := &p.members[i]
		m.salt = mix(mix(s.Seed) ^ mix(uint64(i)+1))
		where := mix(m.salt)
		m.taste, m.region = int(tasteOf[byte(where)]), int(regionOf[byte(where>>8)])
		m.draw(p.targets[i] / float64(p.people))
	}
	return p, nil
}

// zipf are sizes that fall as rank^-s from the largest and add up to rows, for
// the s that does so.
func zipf(members int, rows, largest float64) []float64 {
	sizes := make([]float64, members)
	low, high := 0.0, 8.0
	for range 60 {
		s, sum := (low+high)/2, 0.0
		for i := range sizes {
			sizes[i] = largest * math.Pow(float64(i+1), -s)
			sum += sizes[i]
		}
		if sum > rows {
			low = s
		} else {
			high = s
		}
	}
	return sizes
}

// People is how many people the country has. Some are at no member.
func (p *Population) People() int64 { return int64(p.people) }

// Members is how many members it has.
func (p *Population) Members() int { return len(p.members) }

// At yields the people of a member, ascending.
func (p *Population) At(number int) iter.Seq[Person] {
	m := &p.members[number]
	return func(yield func(Person) bool) {
		for id := range p.people {
			self := p.self(id)
			if m.has(self, class(self)) && !yield(id) {
				return
			}
		}
	}
}

// self is what the seed makes of a person: the source of all that it is.
func (p *Population) self(id Person) uint64 { return mix(p.shape.Seed + uint64(id)*golden) }

// has reports whether a person is here.
func (m *member) has(self uint64, class int) bool {
	return uint32(mix(self^m.salt)>>32) < m.chance[class]
}

const golden = 0x9e3779b97f4a7c15

// mix is the finaliser of SplitMix64: a permutation that spreads every bit of its
// argument over the whole result. Nothing drawn with it is a secret.
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
