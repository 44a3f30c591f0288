package protocol

import (
	"fmt"
	"regexp"
)

// Definition says which of its own people a member puts into a source. Every
// member evaluates the same words over its own facts, and only over people
// who consented to the purpose. An empty field does not restrict.
type Definition struct {
	Name  string `json:"name"` // in the form of a [MemberID]
	Title Text   `json:"title"`

	// Disciplines are codes of the cultural taxonomy; one of them must fit,
	// and a code covers all that is below it: "dance" covers
	// "dance.contemporary".
	Disciplines []string `json:"disciplines,omitempty"`
	// Venues are the member's venue names, compared without case or accents.
	Venues []string `json:"venues,omitempty"`
	// From and Until bound the day of the performance, both included.
	From  Date `json:"from,omitempty"`
	Until Date `json:"until,omitempty"`
	// MinVisits is the least number of different performances (event and
	// day), MinTickets of tickets, MinCents of Canadian cents spent, counted
	// over the facts that the fields above leave.
	MinVisits  int   `json:"min_visits,omitempty"`
	MinTickets int   `json:"min_tickets,omitempty"`
	MinCents   int64 `json:"min_cents,omitempty"`
	// PostalPrefixes are starts of a postal code without spaces, "H2" or
	// "G1R"; one of them must fit the person's.
	PostalPrefixes []string `json:"postal_prefixes,omitempty"`
}

// Bounds of a definition.
const (
	MaxDefinitionValues = 100
	MaxCount            = 1_000_000
	MaxCents            = 1_000_000_000_00
)

var (
	disciplineCode = regexp.MustCompile(`^[a-z]+(\.[a-z-]+){0,4}$`)
	postalPrefix   = regexp.MustCompile(`^[A-Z0-9]{1,6}$`)
)

// Check reports the first malformed field.
func (d Definition) Check() error {
	if err := checkSlug("definition name", d.Name); err != nil {
		return err
	}
	if err := d.Title.Check(); err != nil {
		return fmt.Errorf("title: %w", err)
	}
	if len(d.Disciplines) > MaxDefinitionValues || len(d.Venues) > MaxDefinitionValues ||
		len(d.PostalPrefixes) > MaxDefinitionValues {
		return fmt.Errorf("%w: a definition lists at most %d values a field", ErrMalformed, MaxDefinitionValues)
	}
	for _, code := range d.Disciplines {
		if len(code) > 80 || !disciplineCode.MatchString(code) {
			return fmt.Errorf("%w: a discipline is a taxonomy code such as dance.contemporary", ErrMalformed)
		}
	}
	for _, venue := range d.Venues {
		if venue == "" || len(venue) > 200 {
			return fmt.Errorf("%w: a venue name has 1 to 200 bytes", ErrMalformed)
		}
	}
	for _, prefix := range d.PostalPrefixes {
		if !postalPrefix.MatchString(prefix) {
			return fmt.Errorf("%w: a postal prefix is the start of a code, such as H2 or G1R", ErrMalformed)
		}
	}
	return d.checkRanges()
}

func (d Definition) checkRanges() error {
	for _, date := range []Date{d.From, d.Until} {
		if date == "" {
			continue
		}
		if err := date.Check(); err != nil {
			return err
		}
	}
	if d.From != "" && d.Until != "" && d.From > d.Until {
		return fmt.Errorf("%w: the first day is after the last", ErrMalformed)
	}
	if d.MinVisits < 0 || d.MinVisits > MaxCount || d.MinTickets < 0 || d.MinTickets > MaxCount ||
		d.MinCents < 0 || d.MinCents > MaxCents {
		return fmt.Errorf("%w: a count or amount is out of range", ErrMalformed)
	}
	return nil
}

// Purpose is what a person consented to, one at a time.
type Purpose string

// The purposes that this version asks for. Collection and the member's own
// statistics are the member's business; these two concern the pool.
const (
	// PurposePooling lets the person's pseudonym be counted in pooled audiences.
	PurposePooling Purpose = "pooling"
	// PurposeActivation lets the member act on the label it learns of the person.
	PurposeActivation Purpose = "activation"
)

// Check reports whether the purpose is known.
func (p Purpose) Check() error {
	if p != PurposePooling && p != PurposeActivation {
		return fmt.Errorf("%w: a purpose is pooling or activation", ErrMalformed)
	}
	return nil
}
