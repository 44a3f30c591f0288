package load

import "math"

// A person has a taste, a region and a habit; together they are its class. The
// shares are in 256ths; tastes go by the words of a ticketing system, regions by
// the first letter of their postal codes.
var (
	tastes = []share{
		{"Theatre", 52}, {"Pop and rock", 58}, {"Classical music", 28}, {"Contemporary dance", 18},
		{"Circus", 22}, {"Comedy", 44}, {"Visual arts", 20}, {"Theatre for young audiences", 14},
	}
	regions = []share{
		{"H", 104}, {"G", 44}, {"J", 62}, {"K", 20}, {"M", 16}, {"E", 10},
	}
	// habits are how often people go out, as weights. A thirtieth of them go
	// fifty times as often as a third do.
	habits = []share{{"0.2", 90}, {"0.6", 64}, {"1.2", 46}, {"2.5", 33}, {"5", 15}, {"10", 8}}

	habitWeights = [...]float64{0.2, 0.6, 1.2, 2.5, 5, 10}

	tasteOf, regionOf, habitOf = spread(tastes), spread(regions), spread(habits)
)

type share struct {
	name string
	of   int
}

// How much likelier somebody is at a member of their taste, or of their region,
// and the most that anything is likely.
const (
	sameTaste  = 8
	sameRegion = 12
	surest     = 0.9

	classes = 8 * 6 * 6
)

// spread turns shares into a table to look a byte up in.
func spread(shares []share) (table [256]uint8) {
	at := 0
	for i, s := range shares {
		for range s.of {
			table[at] = uint8(i)
			at++
		}
	}
	if at != len(table) {
		panic("load: the shares do not add up to 256")
	}
	return table
}

// class of a person.
func class(self uint64) int {
	return classOf(int(tasteOf[byte(self)]), int(regionOf[byte(self>>8)]), int(habitOf[byte(self>>16)]))
}

func classOf(taste, region, habit int) int {
	return (taste*len(regions)+region)*len(habits) + habit
}

// draw sets the chances so that, of all people, the wanted share is here.
func (m *member) draw(wanted float64) {
	low, high := 0.0, 1e6
	for range 100 {
		base := (low + high) / 2
		if m.expect(base) < wanted {
			low = base
		} else {
			high = base
		}
	}
	for taste := range tastes {
		for region := range regions {
			for habit := range habits {
				chance := math.Min(surest, high*m.affinity(taste, region, habit))
				m.chance[classOf(taste, region, habit)] = uint32(math.Round(chance * (1 << 32)))
			}
		}
	}
}

func (m *member) affinity(taste, region, habit int) float64 {
	a := habitWeights[habit]
	if taste == m.taste {
		a *= sameTaste
	}
	if region == m.region {
		a *= sameRegion
	}
	return a
}

// expect is the share of all people who are here, on average.
func (m *member) expect(base float64) (sum float64) {
	for taste, t := range tastes {
		for region, r := range regions {
			for habit, h := range habits {
				part := float64(t.of) * float64(r.of) * float64(h.of) / (1 << 24)
				sum += part * math.Min(surest, base*m.affinity(taste, region, habit))
			}
		}
	}
	return sum
}
