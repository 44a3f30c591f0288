package protocol

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"coulisse/crypto/key"
)

// Proposal asks the members to decide one thing. It opens when as many other
// organisations as the charter asks for have cosigned it, and not before its
// opening date.
type Proposal struct {
	Title  Text   `json:"title"`
	Reason Text   `json:"reason"`
	Effect Effect `json:"effect"`
	// Opens is the first instant at which a ballot counts; zero for as soon as
	// the proposal is supported.
	Opens Millis `json:"opens,omitzero"`
	// Closes is the last instant at which a ballot counts.
	Closes Millis `json:"closes"`
	// Amends is the earlier version that this one takes the place of; zero for
	// none. Support is given to a version, so it is given again.
	Amends Hash `json:"amends,omitzero"`
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
	if p.Opens < 0 || p.Opens >= p.Closes {
		return fmt.Errorf("%w: a vote opens before it closes", ErrMalformed)
	}
	if start := p.Effect.StartEpoch; start != nil && start.Until <= p.Closes {
		return Refuse(ErrMalformed,
			"l'ancienne clé serait retirée avant la fin du vote; donnez une date plus lointaine",
			"the former key would be retired before the vote has closed; give a later date")
	}
	if start := p.Effect.StartEpoch; start != nil && Span(start.Until-p.Closes) > MaxMove {
		return Refuse(ErrMalformed,
			"l'ancienne clé serait retirée plus d'un an après la fin du vote; donnez une date plus proche",
			"the former key would be retired more than a year after the vote has closed; give an earlier date")
	}
	return p.Effect.Check()
}

// Withdrawal takes a proposal back. Once somebody else has voted on it, it is
// the members' and no longer its author's.
type Withdrawal struct {
	Proposal Hash `json:"proposal"`
}

// Label implements [Document].
func (Withdrawal) Label() Label { return LabelWithdrawal }

// Role implements [Document].
func (Withdrawal) Role() (r key.Vote) { return }

// Check implements [Document].
func (w Withdrawal) Check() error { return checkRef("proposal", w.Proposal) }

// Refers is the proposal that is taken back.
func (w Withdrawal) Refers() Hash { return w.Proposal }

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

// Vote is what a ballot says on one proposal.
type Vote struct {
	Choice   Choice `json:"choice"`
	Proposal Hash   `json:"proposal"`
}

// Check reports a choice that is none, or a proposal that is not named.
func (v Vote) Check() error {
	if v.Choice != For && v.Choice != Against && v.Choice != Abstain {
		return fmt.Errorf("%w: a vote says for, against or abstain", ErrMalformed)
	}
	return checkRef("proposal", v.Proposal)
}

// MaxVotes bounds the votes of a ballot: an assembly's agenda.
const MaxVotes = 64

// Ballot is one member's voice on the proposals of an agenda, or on one, under
// one signature: it is counted whole or not at all. It is public and final, except
// that a member's own vote replaces the one that its proxy has cast.
type Ballot struct {
	// For is whose voice it is when a proxy casts it under a [Delegation]; empty
	// for the signer's own.
	For MemberID `json:"for,omitempty"`
	// Votes are ascending by proposal, each of which is voted on once.
	Votes []Vote `json:"votes"`
}

// NewBallot puts votes in a ballot's order.
func NewBallot(votes ...Vote) Ballot {
	slices.SortFunc(votes, compareVotes)
	return Ballot{Votes: votes}
}

func compareVotes(a, b Vote) int { return bytes.Compare(a.Proposal[:], b.Proposal[:]) }

// Label implements [Document].
func (Ballot) Label() Label { return LabelBallot }

// Role implements [Document].
func (Ballot) Role() (r key.Vote) { return }

// Check implements [Document].
func (b Ballot) Check() error {
	if b.For != "" {
		if err := b.For.Check(); err != nil {
			return err
		}
	}
	if len(b.Votes) < 1 || len(b.Votes) > MaxVotes {
		return fmt.Errorf("%w: a ballot holds 1 to %d votes", ErrMalformed, MaxVotes)
	}
	for i, v := range b.Votes {
		if err := v.Check(); err != nil {
			return err
		}
		if i > 0 && compareVotes(b.Votes[i-1], v) >= 0 {
			return fmt.Errorf("%w: the votes of a ballot ascend by proposal, one on each", ErrMalformed)
		}
	}
	return nil
}

// On is what the ballot says on a proposal, if it does.
func (b Ballot) On(proposal Hash) (Choice, bool) {
	i, ok := slices.BinarySearchFunc(b.Votes, Vote{Proposal: proposal}, compareVotes)
	if !ok {
		return "", false
	}
	return b.Votes[i].Choice, true
}

// Principal is whose voice a signed ballot is.
func (b Ballot) Principal(by PartyID) MemberID {
	if b.For != "" {
		return b.For
	}
	return MemberID(by)
}

// Delegation lets another member cast this one's ballots on the proposals that
// close within a span of time: those of one assembly. It is not passed on.
type Delegation struct {
	To    MemberID `json:"to"`
	From  Millis   `json:"from"`
	Until Millis   `json:"until"`
}

// MaxDelegation is the longest span of a delegation.
const MaxDelegation = Span(31 * 24 * 3600 * 1000)

// Label implements [Document].
func (Delegation) Label() Label { return LabelDelegation }

// Role implements [Document].
func (Delegation) Role() (r key.Vote) { return }

// Check implements [Document].
func (d Delegation) Check() error {
	if err := d.To.Check(); err != nil {
		return err
	}
	if err := d.From.check("the beginning of a delegation"); err != nil {
		return err
	}
	if d.Until < d.From || Span(d.Until-d.From) > MaxDelegation {
		return fmt.Errorf("%w: a delegation is for one assembly, 31 days at most", ErrMalformed)
	}
	return d.Until.check("the end of a delegation")
}

// Covers reports whether the delegation is for a proposal that closes then.
func (d Delegation) Covers(closes Millis) bool { return d.From <= closes && closes <= d.Until }

// Revocation ends a delegation of the signer's. Ballots cast under it before
// stand, unless the signer votes itself.
type Revocation struct {
	Delegation Hash `json:"delegation"`
}

// Label implements [Document].
func (Revocation) Label() Label { return LabelRevocation }

// Role implements [Document].
func (Revocation) Role() (r key.Vote) { return }

// Check implements [Document].
func (r Revocation) Check() error { return checkRef("delegation", r.Delegation) }

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
	Count
	// Chair is what the chair said, who settles a tie if the rule says so.
	Chair Choice `json:"chair,omitempty"`
	// Colleges counts each college by itself, in the charter's order; empty
	// where the charter has none.
	Colleges []Count `json:"colleges,omitempty"`
	Members  int     `json:"members"` // in good standing at the close
}

// Count is how many said what.
type Count struct {
	Abstain int `json:"abstain"`
	Against int `json:"against"`
	For     int `json:"for"`
}

// Add counts one ballot.
func (c *Count) Add(choice Choice) {
	switch choice {
	case For:
		c.For++
	case Against:
		c.Against++
	case Abstain:
		c.Abstain++
	}
}

// Equal reports whether two counts are the same.
func (t Tally) Equal(u Tally) bool {
	return t.Members == u.Members && t.Count == u.Count && t.Chair == u.Chair && slices.Equal(t.Colleges, u.Colleges)
}

// Decision is a closed vote with all that is needed to count it again, or an
// [Act] that takes no vote: decisions form a chain from the genesis, and whoever has
// all of it, and the ballots that it names, knows who the members are.
type Decision struct {
	// Act is what was done without a vote; the rest but Number, ClosedAt and
	// Previous is empty then.
	Act *Act `json:"act,omitempty"`
	// Ballots are the hashes of the signed ballots, ascending by whose voice each
	// is: one that holds an agenda is named by several decisions.
	Ballots  []Hash           `json:"ballots"`
	Carried  bool             `json:"carried"`
	ClosedAt Millis           `json:"closed_at"`
	Cosigns  []Signed[Cosign] `json:"cosigns"` // ascending by member
	// Delegations are those under which ballots were cast by proxy, ascending
	// by who gave them.
	Delegations []Signed[Delegation] `json:"delegations,omitempty"`
	Number      int                  `json:"number"` // from 1
	OpenedAt    Millis               `json:"opened_at"`
	Previous    Hash                 `json:"previous"` // the decision before, or the genesis
	Proposal    Signed[Proposal]     `json:"proposal,omitzero"`
	Roster      Hash                 `json:"roster"` // hash of the members in good standing
	Special     bool                 `json:"special"`
	Tally       Tally                `json:"tally"`
}

// Act is what a member decides about itself, or the replicas about who they
// are. Exactly one field is set.
type Act struct {
	KeyChange *Signed[KeyChange]  `json:"key_change,omitempty"`
	Leave     *Signed[Leave]      `json:"leave,omitempty"`
	Roll      *Signed[RollChange] `json:"roll,omitempty"`
}

// ID is the decision's place in the chain.
func (d Decision) ID() (Hash, error) {
	body, err := Canonical(d)
	if err != nil {
		return Hash{}, err
	}
	id := sha256.New()
	id.Write([]byte(signatureDomain + "decision\x00"))
	id.Write(body)
	return Hash(id.Sum(nil)), nil
}

func checkRef(what string, h Hash) error {
	if h.IsZero() {
		return fmt.Errorf("%w: the %s is not named", ErrMalformed, what)
	}
	return nil
}

// Refers is the proposal that a cosignature is about.
func (c Cosign) Refers() Hash { return c.Proposal }
