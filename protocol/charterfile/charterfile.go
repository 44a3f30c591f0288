// Package charterfile reads charters and floors as people write them, in YAML.
// Founders and voters write the same form: what a federation was founded with
// can be edited and proposed again. It knows neither nodes nor coordinators.
package charterfile

import (
	"cmp"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"go.yaml.in/yaml/v4"
)

// Shipped is the charter that a federation starts from if it says nothing.
//
//go:embed charter.yaml
var Shipped []byte

const maxFile = 64 << 10

// charterFile is a charter as people write it.
type charterFile struct {
	Name struct {
		FR string `yaml:"fr"`
		EN string `yaml:"en"`
	} `yaml:"name"`
	Ordinary   votingRule `yaml:"ordinary"`
	Special    votingRule `yaml:"special"`
	Cosigners  int        `yaml:"cosigners"`
	MaxProxies int        `yaml:"max_proxies"`
	Chair      string     `yaml:"chair"`
	Colleges   []college  `yaml:"colleges"`
	Floors     floors     `yaml:"floors"`
	Budget     struct {
		Total         int64 `yaml:"total_nano_rho"`
		DeltaExponent int   `yaml:"delta_exponent"`
	} `yaml:"budget"`
	Allowance int64 `yaml:"allowance"`
}

type college struct {
	Name struct {
		FR string `yaml:"fr"`
		EN string `yaml:"en"`
	} `yaml:"name"`
	Kinds []protocol.MemberKind `yaml:"kinds"`
}

type floors struct {
	MinMembers      int   `yaml:"min_members"`
	MinParticipants int   `yaml:"min_participants"`
	MinSize         int64 `yaml:"min_size"`
	MinVariance     int64 `yaml:"min_variance"`
	MaxRoundCost    int64 `yaml:"max_round_cost_nano_rho"`
}

// floorFields are what a file of floors holds.
const floorFields = "min_members, min_participants, min_size, min_variance, max_round_cost_nano_rho"

type votingRule struct {
	QuorumPercent int    `yaml:"quorum_percent"`
	Majority      string `yaml:"majority"`
	OpenAtLeast   string `yaml:"open_at_least"`
	OpenAtMost    string `yaml:"open_at_most"`

	AbstentionsOut bool `yaml:"abstentions_out_of_quorum"`
	EachCollege    bool `yaml:"each_college"`
	CastingVote    bool `yaml:"casting_vote"`
}

// Parse reads a charter strictly: a name that is not known is an error, since a
// floor that is misspelt would be no floor. The namespace is not in the file: a
// federation keeps its own for ever.
func Parse(text []byte, namespace protocol.Namespace) (protocol.Charter, error) {
	var f charterFile
	if len(text) > maxFile {
		return protocol.Charter{}, command.Misused("La charte a au plus %d octets.", "A charter has at most %d bytes.", maxFile)
	}
	if err := yaml.Load(text, &f, yaml.WithKnownFields()); err != nil {
		return protocol.Charter{}, command.Misused("La charte ne se lit pas\u00a0: %v.", "The charter does not read: %v.", err)
	}
	c := protocol.Charter{
		Namespace: namespace, Name: protocol.Text{FR: f.Name.FR, EN: f.Name.EN},
		Floors:    f.Floors.floors(),
		Budget:    protocol.Budget{Total: dp.NanoRho(f.Budget.Total), DeltaExponent: f.Budget.DeltaExponent},
		Allowance: f.Allowance,
		// A proposal is never its author's alone: unsaid, one other supports it.
		Cosigners: cmp.Or(f.Cosigners, 1), MaxProxies: f.MaxProxies, Chair: protocol.MemberID(f.Chair),
	}
	for _, college := range f.Colleges {
		c.Colleges = append(c.Colleges, protocol.College{Name: protocol.Text{FR: college.Name.FR, EN: college.Name.EN}, Kinds: college.Kinds})
	}
	var err error
	if c.Ordinary, err = f.Ordinary.parse(); err == nil {
		c.Special, err = f.Special.parse()
	}
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return c, command.Misused("La charte ne convient pas\u00a0: %v.", "The charter will not do: %v.", err)
	}
	return c, nil
}

// ParseFloors reads a file of floors: the fields of a charter's floors, all of
// them.
func ParseFloors(text []byte) (protocol.Floors, error) {
	var f floors
	if len(text) > maxFile {
		return protocol.Floors{}, command.Misused("Un fichier de planchers a au plus %d octets.", "A file of floors has at most %d bytes.", maxFile)
	}
	err := yaml.Load(text, &f, yaml.WithKnownFields())
	if err == nil {
		err = f.floors().Check()
	}
	if err != nil {
		return protocol.Floors{}, command.Misused(
			"Un fichier de planchers donne les cinq champs %[1]s, à la racine, comme ceux de la charte (%[2]v).",
			"A file of floors gives the five fields %[1]s, at the top, as those of the charter (%[2]v).", floorFields, err)
	}
	return f.floors(), nil
}

func (f floors) floors() protocol.Floors {
	return protocol.Floors{
		MinMembers: f.MinMembers, MinParticipants: f.MinParticipants,
		MinSize: dp.Floor(f.MinSize), MinVariance: dp.Variance(f.MinVariance),
		MaxRoundCost: dp.NanoRho(f.MaxRoundCost),
	}
}

func (r votingRule) parse() (v protocol.VotingRule, err error) {
	v.QuorumPercent, v.ExpressedQuorum = r.QuorumPercent, r.AbstentionsOut
	v.EachCollege, v.CastingVote = r.EachCollege, r.CastingVote
	over, under, ok := strings.Cut(r.Majority, "/")
	v.Numerator, err = strconv.Atoi(strings.TrimSpace(over))
	if err == nil {
		v.Denominator, err = strconv.Atoi(strings.TrimSpace(under))
	}
	if !ok || err != nil {
		return v, fmt.Errorf("a majority is written 1/2 or 2/3, not %q", r.Majority)
	}
	if v.MinOpen, err = parseSpan(r.OpenAtLeast); err != nil {
		return v, err
	}
	v.MaxOpen, err = parseSpan(r.OpenAtMost)
	return v, err
}

// parseSpan reads days, "3d", or what Go reads: "90m", "0".
func parseSpan(text string) (protocol.Span, error) {
	if count, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.Atoi(count)
		if err != nil || days < 0 || days > 1000 {
			return 0, fmt.Errorf("a length of time is written 3d, 36h or 10m, not %q", text)
		}
		return protocol.Span(days) * 24 * 3600 * 1000, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("a length of time is written 3d, 36h or 10m, not %q", text)
	}
	return protocol.Span(d.Milliseconds()), nil
}
