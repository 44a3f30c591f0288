package protocol

import (
	"fmt"
	"slices"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
)

// Operation is what a round computes. Each has its own package of steps.
type Operation string

// OperationMatch is a pooled audience by set intersection: protocol.md 4a.
const OperationMatch Operation = "match"

// Manifest is the whole of a joint computation, before it begins. Whoever
// takes part signs that it read it; whoever derives a key derives it from the
// manifest's hash.
type Manifest struct {
	Round     RoundID   `json:"round"`
	Operation Operation `json:"operation"`
	Title     Text      `json:"title"`
	// Sources are who uploads what, ascending by name.
	Sources []Source `json:"sources"`
	// Rule says when a person belongs to the audience.
	Rule Rule `json:"rule"`
	// Recipients are the sources whose members learn, for their own people,
	// who belongs. Ascending.
	Recipients []SourceName `json:"recipients"`
	Noise      Noise        `json:"noise"`
	// Policies is the last decision whose policies the initiator read.
	Policies Hash  `json:"policies"`
	Epoch    Epoch `json:"epoch"`
	// Deadline is when the round lapses if it has no result.
	Deadline Millis `json:"deadline"`
}

// Source is one set of people in a round: a member and the definition that
// it evaluates over its own.
type Source struct {
	Name       SourceName `json:"name"`
	Member     MemberID   `json:"member"`
	Definition Definition `json:"definition"`
}

// Noise is the variance of the discrete Gaussian added to each figure.
type Noise struct {
	Total   dp.Variance `json:"total"`   // on the size of the audience
	Sources dp.Variance `json:"sources"` // on the size of each source's part
}

// Bounds of a round.
const (
	MaxSources       = 1000
	MaxMemberSources = 4
	MaxRound         = Span(7 * 24 * 3600 * 1000)
)

// Cost is what the round takes from the privacy budget: its size (one person
// changes it by 1) and the sizes of its m sources' parts (one person changes
// each by at most 1).
func (m Manifest) Cost() (dp.NanoRho, error) {
	total, err := dp.Cost(dp.Size, m.Noise.Total)
	if err != nil {
		return 0, fmt.Errorf("cost of the size: %w", err)
	}
	sensitivity, err := dp.MemberSizes(len(m.Sources))
	if err != nil {
		return 0, fmt.Errorf("cost of the sources' sizes: %w", err)
	}
	parts, err := dp.Cost(sensitivity, m.Noise.Sources)
	if err != nil {
		return 0, fmt.Errorf("cost of the sources' sizes: %w", err)
	}
	return dp.Sum(total, parts)
}

// Participants are the members with a source, ascending, each once.
func (m Manifest) Participants() []MemberID {
	return membersOf(m.Sources)
}

// Source finds a source by name.
func (m Manifest) Source(name SourceName) (Source, bool) {
	for _, s := range m.Sources {
		if s.Name == name {
			return s, true
		}
	}
	return Source{}, false
}

// Owner is the member behind a source; empty for an unknown one.
func (m Manifest) Owner(name SourceName) MemberID {
	s, _ := m.Source(name)
	return s.Member
}

// Label implements [Document].
func (Manifest) Label() Label { return LabelManifest }

// Role implements [Document].
func (Manifest) Role() (r key.Node) { return }

// Check implements [Document].
func (m Manifest) Check() error {
	if err := m.Round.Check(); err != nil {
		return err
	}
	if m.Operation != OperationMatch {
		return fmt.Errorf("%w: the operation is not known to this version", ErrMalformed)
	}
	if err := m.Title.Check(); err != nil {
		return fmt.Errorf("title: %w", err)
	}
	if m.Epoch < 1 {
		return fmt.Errorf("%w: a manifest names its key epoch", ErrMalformed)
	}
	if err := m.Deadline.check("the deadline"); err != nil {
		return err
	}
	if err := m.checkSources(); err != nil {
		return err
	}
	if _, err := m.Cost(); err != nil {
		return fmt.Errorf("%w: noise: %w", ErrMalformed, err)
	}
	if err := m.Rule.Check(m.Owner); err != nil {
		return err
	}
	return checkRef("last decision", m.Policies)
}

func (m Manifest) checkSources() error {
	if len(m.Sources) < 1 || len(m.Sources) > MaxSources {
		return fmt.Errorf("%w: a round has 1 to %d sources", ErrMalformed, MaxSources)
	}
	perMember := map[MemberID]int{}
	for i, s := range m.Sources {
		if err := s.check(); err != nil {
			return err
		}
		if i > 0 && m.Sources[i-1].Name >= s.Name {
			return fmt.Errorf("%w: sources are in ascending order, each name once", ErrMalformed)
		}
		if perMember[s.Member]++; perMember[s.Member] > MaxMemberSources {
			return fmt.Errorf("%w: a member has at most %d sources in a round", ErrMalformed, MaxMemberSources)
		}
	}
	for i, name := range m.Recipients {
		if _, ok := m.Source(name); !ok {
			return fmt.Errorf("%w: a recipient is one of the sources", ErrMalformed)
		}
		if i > 0 && m.Recipients[i-1] >= name {
			return fmt.Errorf("%w: recipients are in ascending order, each once", ErrMalformed)
		}
	}
	return nil
}

func (s Source) check() error {
	if err := s.Name.Check(); err != nil {
		return err
	}
	if err := s.Member.Check(); err != nil {
		return err
	}
	return s.Definition.Check()
}

// IsRecipient reports whether the source's member learns its labels.
func (m Manifest) IsRecipient(name SourceName) bool { return slices.Contains(m.Recipients, name) }
