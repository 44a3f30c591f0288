package draft

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/governance"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Audience is a pooled audience as people write it down:
//
//	title: {fr: "…", en: "…"}
//	definition: {disciplines: [dance.contemporary], from: 2025-09-01}
//	houses: all            # or a list of members
//	rule: {at_least: 3}    # or a whole rule over the sources
//	recipients: [le-phare]
//	noise: {total: 400, sources: 1600}
//	deadline: 1h
type Audience struct {
	Title protocol.Text `json:"title"`
	// Definition is what every house evaluates; Segment names a segment of the
	// writer's own to take it from.
	Definition *protocol.Definition `json:"definition,omitempty"`
	Segment    string               `json:"segment,omitempty"`
	// Houses take part with one source each, under their own name. Sources
	// list more particular ones.
	Houses     Houses              `json:"houses,omitempty"`
	Sources    []Source            `json:"sources,omitempty"`
	Rule       Rule                `json:"rule"`
	Recipients []protocol.MemberID `json:"recipients,omitempty"`
	// Noise is the variances; what is 0 is drawn up to fit the charter.
	Noise    protocol.Noise `json:"noise,omitzero"`
	Deadline Span           `json:"deadline,omitempty"`
}

// Source is a source that is written out. Its name is the member's, and its
// definition the audience's, where it does not say otherwise.
type Source struct {
	Name       protocol.SourceName  `json:"name,omitempty"`
	Member     protocol.MemberID    `json:"member"`
	Definition *protocol.Definition `json:"definition,omitempty"`
}

// Houses are the members that take part: all of them but the media, or a list.
type Houses struct {
	All  bool
	List []protocol.MemberID
}

// UnmarshalJSON reads "all" or a list.
func (h *Houses) UnmarshalJSON(raw []byte) error {
	*h = Houses{}
	if jsonOf(raw) == '[' {
		return json.Unmarshal(raw, &h.List)
	}
	var word string
	if err := json.Unmarshal(raw, &word); err != nil {
		return err
	}
	if word != "all" && word != "all houses" {
		return fmt.Errorf("%w: houses are \"all\" or a list of members", protocol.ErrMalformed)
	}
	h.All = true
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (h Houses) MarshalJSON() ([]byte, error) {
	if h.All {
		return []byte(`"all"`), nil
	}
	return json.Marshal(h.List)
}

// Rule is a threshold over the houses, or a whole rule over the sources.
type Rule struct {
	AtLeast int
	Whole   *protocol.Rule
}

// UnmarshalJSON reads {"at_least": N} or a [protocol.Rule].
func (r *Rule) UnmarshalJSON(raw []byte) error {
	*r = Rule{}
	var short struct {
		AtLeast jsontext.Value `json:"at_least"`
	}
	if err := json.Unmarshal(raw, &short, json.RejectUnknownMembers(true)); err == nil && jsonOf(short.AtLeast) != '{' && len(short.AtLeast) > 0 {
		return json.Unmarshal(short.AtLeast, &r.AtLeast)
	}
	r.Whole = new(protocol.Rule)
	return json.Unmarshal(raw, r.Whole, json.RejectUnknownMembers(true))
}

// MarshalJSON writes what UnmarshalJSON reads.
func (r Rule) MarshalJSON() ([]byte, error) {
	if r.Whole != nil {
		return json.Marshal(r.Whole)
	}
	return json.Marshal(map[string]int{"at_least": r.AtLeast})
}

// ParseAudience reads the file of an audience.
func ParseAudience(text []byte) (Audience, error) {
	a, err := Decode[Audience](text)
	if err != nil {
		return a, err
	}
	if err := a.Title.Check(); err != nil {
		return a, refuse("il manque un titre en français et en anglais (title: {fr: …, en: …})",
			"a title is missing, in French and in English (title: {fr: …, en: …})")
	}
	if len(a.Sources) == 0 && !a.Houses.All && len(a.Houses.List) == 0 {
		return a, refuse("personne ne participe\u00a0: écrivez houses: all, une liste de membres, ou des sources",
			"nobody takes part: write houses: all, a list of members, or sources")
	}
	return a, nil
}

// Known is what drawing up a manifest needs to know of the federation.
type Known struct {
	Self protocol.MemberID
	View governance.View
	Now  time.Time
	// Epoch is the key epoch of a round between these members.
	Epoch func(participants []protocol.MemberID) (protocol.Epoch, error)
}

// Defaults of a manifest: a sigma of 20 people on the size, of 40 on each
// source's part, and an hour to complete it.
const (
	DefaultTotal    dp.Variance = 400
	DefaultSources  dp.Variance = 1600
	DefaultDeadline             = time.Hour
)

// Manifest draws up what the audience asks for, under a fresh number. It is
// well formed; whether it is allowed is for the policies to say.
func (a Audience) Manifest(k Known) (protocol.Manifest, error) {
	m := protocol.Manifest{
		Round: NewRound(), Operation: protocol.OperationMatch, Title: a.Title,
		Policies: k.View.Last, Recipients: []protocol.SourceName{},
	}
	span := time.Duration(a.Deadline)
	if span == 0 {
		span = DefaultDeadline
	}
	m.Deadline = protocol.At(k.Now.Add(span))
	var err error
	if m.Sources, err = a.sources(k.View); err != nil {
		return m, err
	}
	if m.Rule, err = a.rule(m.Sources); err != nil {
		return m, err
	}
	a.addRecipients(&m)
	slices.SortFunc(m.Sources, func(x, y protocol.Source) int { return strings.Compare(string(x.Name), string(y.Name)) })
	if m.Noise, err = noise(a.Noise, len(m.Sources), k.View.Charter.Floors); err != nil {
		return m, err
	}
	if !slices.Contains(m.Participants(), k.Self) {
		return m, refuse("votre organisation distribue la clé de la ronde et doit participer\u00a0: ajoutez %s",
			"your organisation deals the round's key and must take part: add %s", k.Self)
	}
	if m.Epoch, err = k.Epoch(m.Participants()); err != nil {
		return m, err
	}
	return m, m.Check()
}

// NewRound draws the number of a round.
func NewRound() protocol.RoundID {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return protocol.RoundID(hex.EncodeToString(id))
}

// sources are those of the houses and those written out, without those of
// recipients only.
func (a Audience) sources(view governance.View) ([]protocol.Source, error) {
	houses := a.Houses.List
	if a.Houses.All {
		for _, m := range view.Roster() {
			if m.Card.Kind != protocol.KindMedia {
				houses = append(houses, m.Card.ID)
			}
		}
	}
	var list []protocol.Source
	add := func(s Source) error {
		if s.Name == "" {
			s.Name = protocol.SourceName(s.Member)
		}
		definition := s.Definition
		if definition == nil {
			definition = a.Definition
		}
		if definition == nil {
			return refuse("la source %s n'a pas de définition, ni l'audience", "the source %s has no definition, nor has the audience", s.Name)
		}
		list = append(list, protocol.Source{Name: s.Name, Member: s.Member, Definition: a.named(*definition)})
		return nil
	}
	for _, house := range houses {
		if err := add(Source{Member: house}); err != nil {
			return nil, err
		}
	}
	for _, s := range a.Sources {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	for _, s := range list {
		if _, ok := view.Active(s.Member); !ok {
			return nil, refuse("l'organisation %s n'est pas un membre en règle", "the organisation %s is not a member in good standing", s.Member)
		}
	}
	return list, nil
}

// named gives a definition the audience's title where it has none of its own.
func (a Audience) named(d protocol.Definition) protocol.Definition {
	if d.Name == "" {
		d.Name = "audience"
	}
	if d.Title == (protocol.Text{}) {
		d.Title = a.Title
	}
	return d
}

// rule is the threshold over all sources so far, or the whole rule as written.
func (a Audience) rule(sources []protocol.Source) (protocol.Rule, error) {
	switch {
	case a.Rule.Whole != nil:
		return *a.Rule.Whole, nil
	case a.Rule.AtLeast < 1:
		return protocol.Rule{}, refuse("il manque la règle\u00a0: écrivez rule: {at_least: 3}, ou une règle entière",
			"the rule is missing: write rule: {at_least: 3}, or a whole rule")
	}
	of := make([]protocol.SourceName, len(sources))
	for i, s := range sources {
		of[i] = s.Name
	}
	slices.Sort(of)
	return protocol.Rule{AtLeast: &protocol.AtLeast{T: a.Rule.AtLeast, Of: of}}, nil
}

// everybody is the definition of a recipient's people who are in no rule: its
// readers.
var everybody = protocol.Definition{
	Name: "readers", Title: protocol.Text{FR: "Toutes les personnes du destinataire", EN: "Everybody whom the recipient knows"},
}

// addRecipients makes the recipients' sources recipients, and gives those that
// have none a source of all their people, which no rule mentions.
func (a Audience) addRecipients(m *protocol.Manifest) {
	for _, member := range a.Recipients {
		has := false
		for _, s := range m.Sources {
			if s.Member == member {
				m.Recipients, has = append(m.Recipients, s.Name), true
			}
		}
		if !has {
			name := protocol.SourceName(member)
			m.Sources = append(m.Sources, protocol.Source{Name: name, Member: member, Definition: everybody})
			m.Recipients = append(m.Recipients, name)
		}
	}
	slices.Sort(m.Recipients)
	m.Recipients = slices.Compact(m.Recipients)
}

// noise fills what was not asked for: the defaults, more where the charter
// wants more, or where they would cost more than a round may.
func noise(asked protocol.Noise, sources int, floors protocol.Floors) (protocol.Noise, error) {
	n := asked
	if n.Total == 0 {
		n.Total = max(DefaultTotal, floors.MinVariance)
	}
	if n.Sources == 0 {
		n.Sources = max(DefaultSources, floors.MinVariance)
		size, err := dp.Cost(dp.Size, n.Total)
		if err != nil {
			return n, err
		}
		if left := floors.MaxRoundCost - size; left > 0 {
			least := (int64(sources)*int64(dp.RhoUnit) + 2*int64(left) - 1) / (2 * int64(left))
			n.Sources = max(n.Sources, dp.Variance(min(least, int64(dp.MaxVariance))))
		}
	}
	return n, nil
}
