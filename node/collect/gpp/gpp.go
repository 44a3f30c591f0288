// Package gpp reads the consent strings of the IAB's Global Privacy Platform: which
// sections a string has, and what Canada's (tcfcav1, section 5) says. It follows the
// IAB Tech Lab's "Global Privacy Platform String" 1.0 and "IAB Canada TCF Technical
// Specification".
//
// It is not where consent is decided: Consents says what a string allows at most, and
// the intake takes the stricter of that and of what else was said.
package gpp

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxLength is the longest string that Decode looks at.
	MaxLength = 4096
	// Canada is the number of the Canadian section.
	Canada = 5

	most     = 1<<16 - 1 // the largest identifier of a vendor or section
	sections = 64        // more than the IAB has given numbers to
)

// ErrString comes with every string that cannot be read. Nothing may be concluded
// from such a string, least of all that something was allowed.
var ErrString = errors.New("not a GPP string that can be read")

// Range is a run of identifiers, both ends included.
type Range struct{ First, Last int }

// IDs is a set of identifiers.
type IDs []Range

// Has says whether the set has an identifier.
func (s IDs) Has(id int) bool {
	for _, r := range s {
		if r.First <= id && id <= r.Last {
			return true
		}
	}
	return false
}

// Section is one law's part of a string, as it stands there.
type Section struct {
	ID   int
	Text string
}

// Sections is what a string holds. Those that are not Canada's are not read.
type Sections struct {
	List   []Section
	Canada *TCFCA // nil if the string has none
}

// Decode reads a string.
func Decode(s string) (Sections, error) {
	found, err := split(s)
	if err != nil {
		return Sections{}, fmt.Errorf("%w: %w", ErrString, err)
	}
	all := Sections{List: found}
	for _, section := range found {
		if section.ID != Canada {
			continue
		}
		if all.Canada, err = decodeCanada(section.Text); err != nil {
			return Sections{}, fmt.Errorf("%w: section %d: %w", ErrString, Canada, err)
		}
	}
	return all, nil
}

// split reads the header, which says which section is which.
func split(s string) ([]Section, error) {
	if len(s) > MaxLength {
		return nil, fmt.Errorf("it is longer than %d characters", MaxLength)
	}
	parts := strings.Split(s, "~")
	if len(parts) > 1+sections {
		return nil, fmt.Errorf("it has more than %d sections", sections)
	}
	b := bits{text: parts[0]}
	kind, version := b.number(6), b.number(6)
	if b.err == nil && (kind != 3 || version != 1) {
		return nil, errors.New("it does not begin as version 1 does")
	}
	ids := b.fibonacciRange()
	b.end()
	if b.err != nil {
		return nil, fmt.Errorf("header: %w", b.err)
	}
	var found []Section
	for _, r := range ids {
		for id := r.First; id <= r.Last; id++ {
			if len(found) == len(parts)-1 {
				return nil, errors.New("it has fewer sections than its header names")
			}
			found = append(found, Section{id, parts[len(found)+1]})
		}
	}
	if len(found) != len(parts)-1 {
		return nil, errors.New("it has more sections than its header names")
	}
	return found, nil
}
