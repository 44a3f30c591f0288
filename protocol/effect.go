package protocol

import (
	"fmt"

	"coulisse/crypto/dp"
)

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
	// Suspend takes a member's vote, rounds and tokens until Reinstate gives
	// them back.
	Suspend   MemberID `json:"suspend,omitempty"`
	Reinstate MemberID `json:"reinstate,omitempty"`
	// ReplaceCard gives new keys to a member that has lost its own.
	ReplaceCard  *Signed[Card]  `json:"replace_card,omitempty"`
	ElectWorkers *WorkerRoll    `json:"elect_workers,omitempty"`
	SetFees      *Fees          `json:"set_fees,omitempty"`
	StartEpoch   *EpochStart    `json:"start_epoch,omitempty"`
	SetCharter   *CharterChange `json:"set_charter,omitempty"`
	// SoleReplica leaves the coordinator with one of its replicas.
	SoleReplica *SoleReplica `json:"sole_replica,omitempty"`
}

// SoleReplica names the replica that goes on alone once a majority of the others
// is lost with their keys, which alone could have signed another roll. The
// members decide it instead; new replicas then join it in the usual way.
type SoleReplica struct {
	Replica ReplicaID `json:"replica"`
	// Address is where it is dialled. A roll that named one keeps it.
	Address string `json:"address"`
}

func (s SoleReplica) check() error {
	if err := s.Replica.Check(); err != nil {
		return err
	}
	return checkAddress(s.Address)
}

// CharterChange is a new charter, and the one that it was written from: what
// was decided meanwhile is not undone by accident.
type CharterChange struct {
	Charter Charter `json:"charter"`
	From    Hash    `json:"from"` // [Charter.ID]
}

func (c CharterChange) check() error {
	if err := checkRef("charter that this one was written from", c.From); err != nil {
		return err
	}
	return c.Charter.Check()
}

// WorkerRoll elects the two share workers of measure rounds (protocol.md
// section 4b).
type WorkerRoll struct {
	First  MemberID `json:"first"`
	Second MemberID `json:"second"`
}

// Members are both.
func (r WorkerRoll) Members() []MemberID { return []MemberID{r.First, r.Second} }

func (r WorkerRoll) check() error {
	if r.First == r.Second {
		return fmt.Errorf("%w: the two share workers are two members", ErrMalformed)
	}
	if err := r.First.Check(); err != nil {
		return err
	}
	return r.Second.Check()
}

// Fees are what each kind of member pays the co-operative in a year. They are
// in the log so that all know them; nothing collects them.
type Fees struct {
	Yearly []Fee `json:"yearly"` // ascending by kind
}

// Fee is one kind's, in cents of the co-operative's currency.
type Fee struct {
	Kind  MemberKind `json:"kind"`
	Cents int64      `json:"cents"`
}

// maxFee is ten million, in cents.
const maxFee = 1_000_000_000

func (f Fees) check() error {
	for i, fee := range f.Yearly {
		if err := fee.Kind.Check(); err != nil {
			return err
		}
		if fee.Cents < 0 || fee.Cents > maxFee {
			return fmt.Errorf("%w: a fee is 0 to %d cents", ErrMalformed, int64(maxFee))
		}
		if i > 0 && f.Yearly[i-1].Kind >= fee.Kind {
			return fmt.Errorf("%w: fees are in ascending order, one a kind", ErrMalformed)
		}
	}
	if len(f.Yearly) == 0 {
		return fmt.Errorf("%w: fees name at least one kind of member", ErrMalformed)
	}
	return nil
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
	for _, card := range []*Signed[Card]{e.Admit, e.ReplaceCard} {
		if card != nil {
			checks = append(checks, func() error { _, err := OpenCard(*card); return err })
		}
	}
	for _, id := range []MemberID{e.Expel, e.Suspend, e.Reinstate} {
		if id != "" {
			checks = append(checks, id.Check)
		}
	}
	if e.ElectWorkers != nil {
		checks = append(checks, e.ElectWorkers.check)
	}
	if e.SetFees != nil {
		checks = append(checks, e.SetFees.check)
	}
	if e.StartEpoch != nil {
		checks = append(checks, e.StartEpoch.check)
	}
	if e.SetCharter != nil {
		checks = append(checks, e.SetCharter.check)
	}
	if e.SoleReplica != nil {
		checks = append(checks, e.SoleReplica.check)
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
