package protocol

import (
	"fmt"

	"coulisse/crypto/dp"
	"coulisse/crypto/key"
)

// Proposal asks the members to decide one thing. It opens when a second
// organisation cosigns it.
type Proposal struct {
	Title  Text   `json:"title"`
	Reason Text   `json:"reason"`
	Effect Effect `json:"effect"`
	// Closes is the last instant at which a ballot counts.
	Closes Millis `json:"closes"`
}

// Effect is what a decision changes, applied by whoever replays it. Exactly
// one field is set.
type Effect struct {
	SetPolicy     *PolicyText   `json:"set_policy,omitempty"`
	RemovePolicy  PolicyName    `json:"remove_policy,omitempty"`
	SetFloors     *Floors       `json:"set_floors,omitempty"`
	GrantBudget   *Grant        `json:"grant_budget,omitempty"`
	ElectStewards *StewardRoll  `json:"elect_stewards,omitempty"`
	Admit         *Signed[Card] `json:"admit,omitempty"`
	Expel         MemberID      `json:"expel,omitempty"`
	SetCharter    *Charter      `json:"set_charter,omitempty"`
}

// PolicyName names a policy, in the form of a [MemberID].
type PolicyName string

// Check reports whether the name is well formed.
func (n PolicyName) Check() error { return checkSlug("policy", string(n)) }

// PolicyText is a policy in Cedar. Package policies reads it.
type PolicyText struct {
	Name PolicyName `json:"name"`
	Text string     `json:"text"`
}

// MaxPolicy bounds the text of one policy, in bytes.
const MaxPolicy = 64 << 10

// Grant adds to the privacy budget.
type Grant struct {
	NanoRho dp.NanoRho `json:"nano_rho"`
}

// StewardRoll elects the key stewards: Threshold of Members must work together
// to evaluate a token.
type StewardRoll struct {
	Members   []MemberID `json:"members"` // ascending
	Threshold int        `json:"threshold"`
}

// MaxStewards bounds a steward roll.
const MaxStewards = 31

// Check reports whether the roll can hold a key: a majority threshold, so that
// no two disjoint sets of stewards can both evaluate.
func (r StewardRoll) Check() error {
	n := len(r.Members)
	if n < 2 || n > MaxStewards {
		return fmt.Errorf("%w: there are 2 to %d key stewards", ErrMalformed, MaxStewards)
	}
	if r.Threshold > n || 2*r.Threshold <= n {
		return fmt.Errorf("%w: the threshold of %d stewards is from %d to %d", ErrMalformed, n, n/2+1, n)
	}
	for i, id := range r.Members {
		if err := id.Check(); err != nil {
			return err
		}
		if i > 0 && r.Members[i-1] >= id {
			return fmt.Errorf("%w: stewards are listed in ascending order, each once", ErrMalformed)
		}
	}
	return nil
}

// Check reports the first malformed field, or that not exactly one is set.
func (e Effect) Check() error {
	var checks []func() error
	if e.SetPolicy != nil {
		checks = append(checks, e.SetPolicy.check)
	}
	if e.RemovePolicy != "" {
		checks = append(checks, e.RemovePolicy.Check)
	}
	if e.SetFloors != nil {
		checks = append(checks, e.SetFloors.Check)
	}
	if e.GrantBudget != nil {
		checks = append(checks, e.GrantBudget.check)
	}
	if e.ElectStewards != nil {
		checks = append(checks, e.ElectStewards.Check)
	}
	if e.Admit != nil {
		checks = append(checks, func() error { _, err := OpenCard(*e.Admit); return err })
	}
	if e.Expel != "" {
		checks = append(checks, e.Expel.Check)
	}
	if e.SetCharter != nil {
		checks = append(checks, e.SetCharter.Check)
	}
	if len(checks) != 1 {
		return fmt.Errorf("%w: a proposal changes exactly one thing", ErrMalformed)
	}
	return checks[0]()
}

func (p PolicyText) check() error {
	if err := p.Name.Check(); err != nil {
		return err
	}
	if p.Text == "" || len(p.Text) > MaxPolicy {
		return fmt.Errorf("%w: a policy has 1 to %d bytes", ErrMalformed, MaxPolicy)
	}
	return nil
}

func (g Grant) check() error {
	if g.NanoRho < 1 || g.NanoRho > 1e12 {
		return fmt.Errorf("%w: a grant is 1 to 10^12 nano-rho", ErrMalformed)
	}
	return nil
}

// Label implements [Document].
func (Proposal) Label() Label { return LabelProposal }

// Role implements [Document].
func (Proposal) Role() (r key.Vote) { return }

// Check implements [Document].
func (p Proposal) Check() error {
	if err := p.Title.Check(); err != nil {
		return fmt.Errorf("title: %w", err)
	}
	if err := p.Reason.Check(); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	if err := p.Closes.check("the close of a vote"); err != nil {
		return err
	}
	return p.Effect.Check()
}

// Cosign supports the opening of a proposal, without voting on it.
type Cosign struct {
	Proposal Hash `json:"proposal"`
}

// Label implements [Document].
func (Cosign) Label() Label { return LabelCosign }

// Role implements [Document].
func (Cosign) Role() (r key.Vote) { return }

// Check implements [Document].
func (c Cosign) Check() error { return checkRef("proposal", c.Proposal) }

// Choice is what a ballot says.
type Choice string

// The choices of a ballot.
const (
	For     Choice = "for"
	Against Choice = "against"
	Abstain Choice = "abstain"
)

// Ballot is one member's voice on one proposal. It is public and final.
type Ballot struct {
	Proposal Hash   `json:"proposal"`
	Choice   Choice `json:"choice"`
}

// Label implements [Document].
func (Ballot) Label() Label { return LabelBallot }

// Role implements [Document].
func (Ballot) Role() (r key.Vote) { return }

// Check implements [Document].
func (b Ballot) Check() error {
	if b.Choice != For && b.Choice != Against && b.Choice != Abstain {
		return fmt.Errorf("%w: a ballot says for, against or abstain", ErrMalformed)
	}
	return checkRef("proposal", b.Proposal)
}

// Close ends a vote. The replica states only that it is time; every reader
// counts the ballots itself.
type Close struct {
	Proposal Hash `json:"proposal"`
}

// Label implements [Document].
func (Close) Label() Label { return LabelClose }

// Role implements [Document].
func (Close) Role() (r key.Replica) { return }

// Check implements [Document].
func (c Close) Check() error { return checkRef("proposal", c.Proposal) }

// Tally is the count of one vote.
type Tally struct {
	Members int `json:"members"` // in good standing at the close
	For     int `json:"for"`
	Against int `json:"against"`
	Abstain int `json:"abstain"`
}

// Decision is a closed vote with all that is needed to count it again:
// decisions form a chain from the genesis.
type Decision struct {
	Number   int              `json:"number"` // from 1
	Proposal Signed[Proposal] `json:"proposal"`
	Cosign   Signed[Cosign]   `json:"cosign"`
	Ballots  []Signed[Ballot] `json:"ballots"` // ascending by member
	OpenedAt Millis           `json:"opened_at"`
	ClosedAt Millis           `json:"closed_at"`
	Roster   Hash             `json:"roster"` // hash of the members in good standing
	Tally    Tally            `json:"tally"`
	Special  bool             `json:"special"`
	Carried  bool             `json:"carried"`
	Previous Hash             `json:"previous"` // the decision before, or the genesis
}

// ID is the decision's place in the chain.
func (d Decision) ID() (Hash, error) {
	body, err := Canonical(d)
	if err != nil {
		return Hash{}, err
	}
	return HashOf(append([]byte(signatureDomain+"decision\x00"), body...)), nil
}

func checkRef(what string, h Hash) error {
	if h.IsZero() {
		return fmt.Errorf("%w: the %s is not named", ErrMalformed, what)
	}
	return nil
}

// Refers is the proposal that a cosignature is about.
func (c Cosign) Refers() Hash { return c.Proposal }

// Refers is the proposal that a ballot is about.
func (b Ballot) Refers() Hash { return b.Proposal }
