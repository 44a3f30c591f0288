// Package checkup is what the doctors of a node and of a coordinator have in
// common: what is wrong with a folder, a disk, a clock, a certificate or an
// address, in words that say what to do about it. It knows neither nodes nor
// coordinators, changes nothing, and looks at nothing of which it was not told.
package checkup

import (
	"cmp"
	"fmt"
	"slices"

	"coulisse/protocol"
)

// Gravity says how bad a finding is.
type Gravity string

// Gravities, the worst first.
const (
	Broken Gravity = "broken" // it does not work, or something was lost
	Danger Gravity = "danger" // it works, and soon will not, or is not safe
	Notice Gravity = "notice" // it would be better otherwise
)

// Words name it, for people.
func (g Gravity) Words() protocol.Text {
	switch g {
	case Broken:
		return Say("GRAVE", "GRAVE")
	case Danger:
		return Say("À RÉGLER", "TO FIX")
	}
	return Say("À SAVOIR", "TO KNOW")
}

var rank = map[Gravity]int{Broken: 0, Danger: 1, Notice: 2}

// Finding is one thing that is wrong, and what to do.
type Finding struct {
	Gravity Gravity       `json:"gravity"`
	What    protocol.Text `json:"what"`
	Do      protocol.Text `json:"do"`
}

// Report is what was found. Nothing is wrong if it is empty.
type Report []Finding

// Add appends a finding.
func (r *Report) Add(g Gravity, what, do protocol.Text) { *r = append(*r, Finding{g, what, do}) }

// Join appends another report.
func (r *Report) Join(more Report) { *r = append(*r, more...) }

// Sorted is the report with the gravest first, each once.
func (r Report) Sorted() Report {
	sorted := Report{}
	for _, f := range r {
		if !slices.Contains(sorted, f) {
			sorted = append(sorted, f)
		}
	}
	slices.SortStableFunc(sorted, func(a, b Finding) int { return cmp.Compare(rank[a.Gravity], rank[b.Gravity]) })
	return sorted
}

// Say words a sentence. Both take the same values.
func Say(fr, en string, values ...any) protocol.Text {
	return protocol.Text{FR: fmt.Sprintf(fr, values...), EN: fmt.Sprintf(en, values...)}
}
