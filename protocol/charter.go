package protocol

import (
	"fmt"
	"slices"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
)

// Charter is what the founders agree on and special votes change: how the
// members vote, and the floors that no policy may go under.
type Charter struct {
	Namespace Namespace  `json:"namespace"`
	Name      Text       `json:"name"`
	Ordinary  VotingRule `json:"ordinary"`
	Special   VotingRule `json:"special"`
	// Cosigners is how many organisations besides its author support a proposal
	// before it opens; at least 1.
	Cosigners int `json:"cosigners"`
	// MaxProxies is how many other members' ballots one member may carry on one
	// proposal; 0 for none.
	MaxProxies int `json:"max_proxies"`
	// Chair settles ties where a voting rule asks for it; it may be empty.
	Chair MemberID `json:"chair,omitempty"`
	// Colleges group the members by kind, for the rules that ask for a majority
	// in each.
	Colleges []College `json:"colleges,omitempty"`
	Floors   Floors    `json:"floors"`
	Budget   Budget    `json:"budget"`
	// Allowance is how many identifiers a member may have tokenised in one
	// key epoch.
	Allowance int64 `json:"allowance"`
}

// College is the members of some kinds, who are also counted by themselves.
type College struct {
	Name  Text         `json:"name"`
	Kinds []MemberKind `json:"kinds"`
}

// VotingRule says when a vote carries. Abstentions never count for the
// majority, and a tie does not carry unless the chair settles it.
type VotingRule struct {
	QuorumPercent int `json:"quorum_percent"` // of the members in good standing
	// ExpressedQuorum leaves abstentions out of the quorum.
	ExpressedQuorum bool `json:"expressed_quorum,omitempty"`
	// EachCollege asks for more ballots for than against in every college in
	// which somebody voted for or against, besides the majority of all.
	EachCollege bool `json:"each_college,omitempty"`
	// CastingVote lets the charter's chair settle a tie by what it voted.
	CastingVote bool `json:"casting_vote,omitempty"`
	// The ballots for must be more than half of those expressed, or at least
	// Numerator/Denominator of them when that is more than a half.
	Numerator   int `json:"numerator"`
	Denominator int `json:"denominator"`
	// A proposal stays open at least, and at most, this long; it closes early
	// only when every member has voted itself.
	MinOpen Span `json:"min_open_ms"`
	MaxOpen Span `json:"max_open_ms"`
}

// Floors bound what any round may ask. Lowering one takes a special vote.
type Floors struct {
	// MinMembers is the least number of members that must each know a person
	// before the person may count.
	MinMembers int `json:"min_members"`
	// MinParticipants is the least number of members in a round.
	MinParticipants int `json:"min_participants"`
	// MinSize is k: no published size is under it, noise allowed for.
	MinSize dp.Floor `json:"min_size"`
	// MinVariance is the least variance of the noise, in persons squared.
	MinVariance dp.Variance `json:"min_variance"`
	// MaxRoundCost is the most that one round may take from the budget.
	MaxRoundCost dp.NanoRho `json:"max_round_cost_nano_rho"`
}

// Lowers reports whether going from f to g weakens the protection of anybody.
func (f Floors) Lowers(g Floors) bool {
	return g.MinMembers < f.MinMembers || g.MinParticipants < f.MinParticipants || g.MinSize < f.MinSize ||
		g.MinVariance < f.MinVariance || g.MaxRoundCost > f.MaxRoundCost
}

// Budget is the privacy loss that the federation may spend, in zCDP. It is one
// for all members, since their publics overlap, and it is granted again only
// by a special vote.
type Budget struct {
	Total dp.NanoRho `json:"total_nano_rho"`
	// DeltaExponent gives delta = 10^-DeltaExponent for printed epsilons.
	DeltaExponent int `json:"delta_exponent"`
}

// Bounds of a federation.
const (
	MaxMembers  = 1000
	MinFounders = 3
	MaxReplicas = 9
	maxOpen     = Span(366 * 24 * 3600 * 1000)
	// MaxBudget bounds the budget with all its grants, in nano-rho: a rho of a
	// million protects nobody, and sums of such numbers are exact.
	MaxBudget dp.NanoRho = 1_000_000 * dp.RhoUnit
)

func (r VotingRule) check() error {
	if r.QuorumPercent < 1 || r.QuorumPercent > 100 {
		return fmt.Errorf("%w: a quorum is 1 to 100 percent", ErrMalformed)
	}
	if r.Denominator < 1 || r.Denominator > 100 || r.Numerator > r.Denominator || 2*r.Numerator < r.Denominator {
		return fmt.Errorf("%w: a majority is between a half and the whole", ErrMalformed)
	}
	if r.MinOpen < 0 || r.MaxOpen < r.MinOpen || r.MaxOpen > maxOpen || r.MaxOpen == 0 {
		return fmt.Errorf("%w: a vote stays open for at most a year, and not less than its minimum", ErrMalformed)
	}
	return nil
}

// Check reports the first value out of range.
func (f Floors) Check() error {
	switch {
	case f.MinMembers < 2 || f.MinMembers > MaxMembers:
		return fmt.Errorf("%w: a person counts only when at least 2 members know them", ErrMalformed)
	case f.MinParticipants < 2 || f.MinParticipants > MaxMembers:
		return fmt.Errorf("%w: a round needs at least 2 participants", ErrMalformed)
	case f.MinSize < 1 || f.MinSize > MaxCount:
		return fmt.Errorf("%w: the smallest published size is at least 1", ErrMalformed)
	case f.MaxRoundCost < 1 || f.MaxRoundCost > MaxBudget:
		return fmt.Errorf("%w: the largest cost of a round is 1 to %d nano-rho", ErrMalformed, MaxBudget)
	}
	if err := f.MinVariance.Check(); err != nil {
		return fmt.Errorf("%w: floor of the noise: %w", ErrMalformed, err)
	}
	return nil
}

// Check reports the first value out of range.
func (c Charter) Check() error {
	if err := c.Namespace.Check(); err != nil {
		return err
	}
	if err := c.Name.Check(); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := c.Ordinary.check(); err != nil {
		return fmt.Errorf("ordinary votes: %w", err)
	}
	if err := c.Special.check(); err != nil {
		return fmt.Errorf("special votes: %w", err)
	}
	if err := c.checkAssembly(); err != nil {
		return err
	}
	if err := c.Floors.Check(); err != nil {
		return err
	}
	if c.Budget.Total < 1 || c.Budget.Total > MaxBudget || c.Budget.DeltaExponent < 6 || c.Budget.DeltaExponent > 18 {
		return fmt.Errorf("%w: a budget is 1 to %d nano-rho, with delta from 1e-6 to 1e-18", ErrMalformed, MaxBudget)
	}
	if c.Allowance < 1 || c.Allowance > 1<<40 {
		return fmt.Errorf("%w: an allowance is 1 to 2^40 identifiers", ErrMalformed)
	}
	return nil
}

// Bounds of how an assembly is made up.
const (
	maxCosigners = 20
	maxProxies   = 20
	maxColleges  = 5
)

// checkAssembly checks who supports, speaks for whom, and is counted with whom.
func (c Charter) checkAssembly() error {
	if c.Cosigners < 1 || c.Cosigners > maxCosigners {
		return fmt.Errorf("%w: 1 to %d other organisations support a proposal", ErrMalformed, maxCosigners)
	}
	if c.MaxProxies < 0 || c.MaxProxies > maxProxies {
		return fmt.Errorf("%w: a member carries at most %d ballots of others", ErrMalformed, maxProxies)
	}
	if c.Chair != "" {
		if err := c.Chair.Check(); err != nil {
			return fmt.Errorf("chair: %w", err)
		}
	}
	if c.Chair == "" && (c.Ordinary.CastingVote || c.Special.CastingVote) {
		return fmt.Errorf("%w: a rule with a casting vote needs a chair", ErrMalformed)
	}
	if len(c.Colleges) > maxColleges || len(c.Colleges) == 0 && (c.Ordinary.EachCollege || c.Special.EachCollege) {
		return fmt.Errorf("%w: a rule that asks each college needs 1 to %d colleges", ErrMalformed, maxColleges)
	}
	seen := map[MemberKind]bool{}
	for _, college := range c.Colleges {
		if err := college.Name.Check(); err != nil {
			return fmt.Errorf("college: %w", err)
		}
		if len(college.Kinds) == 0 {
			return fmt.Errorf("%w: a college has at least one kind of member", ErrMalformed)
		}
		for _, kind := range college.Kinds {
			if err := kind.Check(); err != nil {
				return err
			}
			if seen[kind] {
				return fmt.Errorf("%w: a kind of member is in one college at most", ErrMalformed)
			}
			seen[kind] = true
		}
	}
	return nil
}

// CollegeOf is the place, in Colleges, of the college that a kind of member
// belongs to, or -1.
func (c Charter) CollegeOf(kind MemberKind) int {
	return slices.IndexFunc(c.Colleges, func(college College) bool { return slices.Contains(college.Kinds, kind) })
}

// ID names a charter: what changes it says which one it was written from.
func (c Charter) ID() (Hash, error) {
	body, err := Canonical(c)
	if err != nil {
		return Hash{}, err
	}
	return HashOf(append([]byte(signatureDomain+"charter\x00"), body...)), nil
}

// Genesis is the first entry of the log: the charter, the founders and the
// replicas that sequence the log. Its hash names the federation.
type Genesis struct {
	Charter  Charter        `json:"charter"`
	Founders []Signed[Card] `json:"founders"`
	Replicas []Replica      `json:"replicas"`
	At       Millis         `json:"at"`
}

// Check reports the first field that breaks the form. It does not verify the
// founders' signatures: package governance does.
func (g Genesis) Check() error {
	if err := g.Charter.Check(); err != nil {
		return err
	}
	if len(g.Founders) < MinFounders || len(g.Founders) > MaxMembers {
		return fmt.Errorf("%w: a federation is founded by %d to %d members", ErrMalformed, MinFounders, MaxMembers)
	}
	if err := g.checkChair(); err != nil {
		return err
	}
	if err := checkReplicas(g.Replicas); err != nil {
		return err
	}
	for _, r := range g.Replicas {
		if !r.Former.IsZero() {
			return fmt.Errorf("%w: a replica begins with one certificate authority", ErrMalformed)
		}
	}
	return g.At.check("the founding")
}

// checkChair wants the chair among the founders: nobody else could settle a tie
// before a vote admits it, and a name with a slip in it never could.
func (g Genesis) checkChair() error {
	founds := func(s Signed[Card]) bool { return s.By == PartyID(g.Charter.Chair) }
	if g.Charter.Chair == "" || slices.ContainsFunc(g.Founders, founds) {
		return nil
	}
	return Refuse(ErrMalformed,
		"la charte confie la présidence à %s, qui n'est pas parmi les membres fondateurs\u00a0; corrigez «\u00a0chair\u00a0», ou ajoutez sa fiche",
		"the charter gives the chair to %s, which is not among the founders; correct “chair”, or add its card", g.Charter.Chair)
}

// ID is the federation's name: the hash of the canonical genesis under its
// label.
func (g Genesis) ID() (Hash, error) {
	body, err := Canonical(g)
	if err != nil {
		return Hash{}, err
	}
	return HashOf(append([]byte(signatureDomain+string(LabelGenesis)+"\x00"), body...)), nil
}

// Assent is a founder's signature under the genesis. Its federation is the
// genesis's own ID and its head is zero, since there is no log yet.
type Assent struct {
	Genesis Hash `json:"genesis"`
}

// Label implements [Document].
func (Assent) Label() Label { return LabelAssent }

// Role implements [Document].
func (Assent) Role() (r key.Vote) { return }

// Check implements [Document].
func (a Assent) Check() error {
	if a.Genesis.IsZero() {
		return fmt.Errorf("%w: an assent names its genesis", ErrMalformed)
	}
	return nil
}

// Founding is the genesis with every founder's assent: what the log begins
// with, and what a new node is given to start from.
type Founding struct {
	Genesis Genesis          `json:"genesis"`
	Assents []Signed[Assent] `json:"assents"`
}
