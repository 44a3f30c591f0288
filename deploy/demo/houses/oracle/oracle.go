// Package oracle is a second opinion on the demonstration: it reads the shipped
// exports in the simplest way there is, one description a file, puts everybody
// in one map, and counts. What a real federation must never do, it does in a
// page, so that the federation's answer has something to be compared with.
//
// It serves tests and the demonstration's last table, and shares no code with
// what it checks: it imports neither the importer, nor the warehouse, nor
// package identity. It can be this simple because of how the exports are made:
//
//   - an address in lower case and without surrounding spaces is the person;
//     no two spellings of another kind mean the same one;
//   - somebody known by telephone is known by telephone everywhere, and only
//     where there is no address does the telephone count;
//   - a person's answer about consent is the same on all its rows at a member,
//     and no answer is a no;
//   - a refund has the discipline of its sale, and never exceeds it.
package oracle

import (
	"fmt"
	"slices"

	"coulisse/deploy/demo/houses"
	"coulisse/protocol"
)

// Truth is what the exports say, everybody's together.
type Truth struct {
	members []member
}

// Tally is what one member's export says.
type Tally struct {
	Member   protocol.MemberID
	Rows     int
	Unusable int // rows without a person's address or telephone
	People   int
	// Pooling and Activation count people who consented; Activation asks for both.
	Pooling, Activation int
	// Lovers are people who hold at least one ticket for contemporary dance,
	// refunds deducted, and consented to pooling.
	Lovers int
}

// member is an export with its people gathered.
type member struct {
	id       protocol.MemberID
	rows     int
	unusable int
	people   map[string]*facts
}

// facts are what one member knows of a person, as far as it matters here.
type facts struct {
	danceTickets        int
	pooling, activation bool
}

func (f *facts) lover() bool { return f.pooling && f.danceTickets > 0 }

// Read reads all the shipped exports.
func Read() (*Truth, error) {
	truth := &Truth{}
	for _, house := range houses.All() {
		m, err := readExport(house)
		if err != nil {
			return nil, fmt.Errorf("read the export of %s: %w", house.ID, err)
		}
		truth.members = append(truth.members, m)
	}
	return truth, nil
}

// Tallies are the members' figures, in the order of [houses.All].
func (t *Truth) Tallies() []Tally {
	var out []Tally
	for _, m := range t.members {
		tally := Tally{Member: m.id, Rows: m.rows, Unusable: m.unusable, People: len(m.people)}
		for _, f := range m.people {
			tally.Pooling += one(f.pooling)
			tally.Activation += one(f.pooling && f.activation)
			tally.Lovers += one(f.lover())
		}
		out = append(out, tally)
	}
	return out
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Spread counts people by the number of members that know them: Spread()[2] is
// how many are known to exactly two. Spread()[0] is zero.
func (t *Truth) Spread() []int {
	known := map[string]int{}
	for _, m := range t.members {
		for person := range m.people {
			known[person]++
		}
	}
	spread := make([]int, len(t.members)+1)
	for _, n := range known {
		spread[n]++
	}
	return spread
}

// People counts the distinct people of the federation.
func (t *Truth) People() int {
	people := 0
	for _, n := range t.Spread() {
		people += n
	}
	return people
}

// AtLeast counts the people who are lovers of contemporary dance, as
// [Tally].Lovers says, in at least that many of the named members; of all the
// members if none is named.
func (t *Truth) AtLeast(threshold int, of ...protocol.MemberID) int {
	return len(t.audience(threshold, of))
}

// Labels is what a recipient learns of an audience about its own people.
type Labels struct {
	Pooled    int // of those who consented to pooling, how many are in it
	Addressed int // of these, how many consented to activation
}

// Labelled counts what the recipient learns of the audience AtLeast counts.
func (t *Truth) Labelled(recipient protocol.MemberID, threshold int, of ...protocol.MemberID) Labels {
	audience := t.audience(threshold, of)
	var labels Labels
	for _, m := range t.members {
		if m.id != recipient {
			continue
		}
		for person, f := range m.people {
			in := f.pooling && audience[person]
			labels.Pooled += one(in)
			labels.Addressed += one(in && f.activation)
		}
	}
	return labels
}

func (t *Truth) audience(threshold int, of []protocol.MemberID) map[string]bool {
	lovers := map[string]int{}
	for _, m := range t.members {
		if len(of) > 0 && !slices.Contains(of, m.id) {
			continue
		}
		for person, f := range m.people {
			lovers[person] += one(f.lover())
		}
	}
	audience := map[string]bool{}
	for person, n := range lovers {
		if n >= threshold && n > 0 {
			audience[person] = true
		}
	}
	return audience
}
