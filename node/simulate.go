package node

import (
	"slices"
	"time"

	"coulisse/crypto/dp"
	"coulisse/node/rounds"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// What a change of the rules would have done to the rounds of the past. Each
// round is judged by the rules of its own day, as they were and with the
// change, from the log alone: members' own policies are not in it.

// Simulation is the answer. It holds no figure of any round.
type Simulation struct {
	Since protocol.Millis `json:"since_ms"`
	// Asked is how many rounds were proposed since, and Allowed how many of them
	// the rules of their day permitted.
	Asked   int `json:"asked"`
	Allowed int `json:"allowed_then"`
	// Refused are those permitted then that the change would have refused, and
	// Permitted those refused then that it would have permitted.
	Refused   []SimulatedRound `json:"refused"`
	Permitted []SimulatedRound `json:"newly_allowed"`
}

// SimulatedRound is a round for which the change makes a difference.
type SimulatedRound struct {
	Round        protocol.RoundID    `json:"round"`
	Title        protocol.Text       `json:"title"`
	At           protocol.Millis     `json:"at_ms"`
	By           protocol.MemberID   `json:"by"`
	Participants []protocol.MemberID `json:"participants"`
	// Why are the rules that would have refused it, or that refused it then.
	Why []protocol.Text `json:"why"`
}

// SimulateSince is how far back a simulation looks by itself.
const SimulateSince = 90 * 24 * time.Hour

var errNotSimulated = protocol.Refuse(federation.ErrRefused,
	"seul un changement de politique ou de planchers peut être essayé sur les rondes passées",
	"only a change of a policy or of the floors can be tried on past rounds")

// Simulate tries an effect on the rounds proposed since then.
func (n *Node) Simulate(e protocol.Effect, since protocol.Millis) (s Simulation, err error) {
	if err := e.Check(); err != nil {
		return s, err
	}
	if !simulated(e) {
		return s, errNotSimulated
	}
	if e.SetPolicy != nil {
		if _, err := policies.Parse(e.SetPolicy.Name, e.SetPolicy.Text); err != nil {
			return s, err
		}
	}
	err = n.witness.View(func(tx federation.Tx) error {
		if err := checkRemoved(tx, e); err != nil {
			return err
		}
		s, err = simulate(tx, e, since)
		return err
	})
	return s, err
}

// simulate tries a proposal that is still to be decided. One that cannot be
// tried has no simulation: its particulars say what is wrong with it.
func (page *ProposalPage) simulate(tx federation.Tx, p federation.Proposal) {
	effect := p.Content().Effect
	if page.Outcome != nil || rank(page.State) != 0 || !simulated(effect) {
		return
	}
	if policy := effect.SetPolicy; policy != nil {
		if _, err := policies.Parse(policy.Name, policy.Text); err != nil {
			return
		}
	}
	if s, err := simulate(tx, effect, federation.Time(tx)-protocol.Millis(SimulateSince.Milliseconds())); err == nil {
		page.Simulation = &s
	}
}

// checkRemoved refuses to try the removal of what was never there.
func checkRemoved(tx federation.Tx, e protocol.Effect) error {
	view, err := federation.View(tx)
	if err != nil || e.RemovePolicy == "" {
		return err
	}
	if !slices.ContainsFunc(view.Policies, func(p governance.Policy) bool { return p.Name == e.RemovePolicy }) {
		return errNoPolicy
	}
	return nil
}

// simulated reports whether an effect changes what a round may ask.
func simulated(e protocol.Effect) bool {
	return e.SetPolicy != nil || e.RemovePolicy != "" || e.SetFloors != nil || e.SetCharter != nil
}

func simulate(tx federation.Tx, e protocol.Effect, since protocol.Millis) (Simulation, error) {
	s := Simulation{Since: since, Refused: []SimulatedRound{}, Permitted: []SimulatedRound{}}
	all := federation.Rounds(tx)
	asked := slices.DeleteFunc(slices.Clone(all), func(r federation.Round) bool { return r.At < since })
	s.Asked = len(asked)
	if len(asked) == 0 {
		return s, nil
	}
	views, err := viewsByDecision(tx)
	if err != nil {
		return s, err
	}
	for _, r := range asked {
		m := r.Content()
		then := views[m.Policies] // the rules of the log: a manifest names the last decision
		a := rounds.Asked{Hash: r.Hash, Manifest: m, Initiator: protocol.MemberID(r.Manifest.By), At: r.At, Left: leftFor(tx, all, r, then)}
		before, after := judge(tx, then, a), judge(tx, changedView(then, e), a)
		if len(before) == 0 {
			s.Allowed++
		}
		line := SimulatedRound{Round: r.ID, Title: m.Title, At: r.At, By: a.Initiator, Participants: m.Participants()}
		switch {
		case len(before) == 0 && len(after) > 0:
			line.Why = after
			s.Refused = append(s.Refused, line)
		case len(before) > 0 && len(after) == 0:
			line.Why = before
			s.Permitted = append(s.Permitted, line)
		}
	}
	return s, nil
}

// viewsByDecision replays the decisions: the rules as they were after each.
func viewsByDecision(tx federation.Tx) (map[protocol.Hash]governance.View, error) {
	founding, err := federation.Founding(tx)
	if err != nil {
		return nil, err
	}
	view, err := governance.Replay(founding, nil, nil)
	if err != nil {
		return nil, err
	}
	views := map[protocol.Hash]governance.View{view.Last: view}
	chain := federation.Decisions(tx, 0)
	ballots, err := governance.BallotsOf(federation.BallotsOf(tx, chain...))
	if err != nil {
		return nil, err
	}
	for _, d := range chain {
		if view, err = view.Apply(d, ballots); err != nil {
			return nil, err
		}
		views[view.Last] = view
	}
	return views, nil
}

// changedView is a view with the effect's rules. It shares nothing that it
// writes to.
func changedView(view governance.View, e protocol.Effect) governance.View {
	same := func(name protocol.PolicyName) func(governance.Policy) bool {
		return func(p governance.Policy) bool { return p.Name == name }
	}
	switch {
	case e.SetPolicy != nil:
		view.Policies = slices.DeleteFunc(slices.Clone(view.Policies), same(e.SetPolicy.Name))
		view.Policies = append(view.Policies, governance.Policy{PolicyText: *e.SetPolicy})
	case e.RemovePolicy != "":
		view.Policies = slices.DeleteFunc(slices.Clone(view.Policies), same(e.RemovePolicy))
	case e.SetFloors != nil:
		view.Charter.Floors = *e.SetFloors
	case e.SetCharter != nil:
		view.Charter.Floors = e.SetCharter.Charter.Floors
	}
	return view
}

// judge says why a round is refused; nothing if it is permitted.
func judge(tx federation.Tx, view governance.View, a rounds.Asked) []protocol.Text {
	if err := federation.CheckFloors(view.Charter.Floors, a.Manifest); err != nil {
		return []protocol.Text{Words(err)}
	}
	set, err := rounds.Adopted(view)
	if err != nil {
		return []protocol.Text{Words(err)}
	}
	decision := set.Decide(rounds.Request(tx, view, a))
	if decision.Allowed {
		return nil
	}
	why := make([]protocol.Text, len(decision.Rules))
	for i, rule := range decision.Rules {
		why[i] = rule.Text
	}
	return why
}

// leftFor is what the budget had left for a round. For one that was reserved
// the log states it; for another it is what those reserved before had left,
// without those that gave theirs back since.
func leftFor(tx federation.Tx, all []federation.Round, r federation.Round, view governance.View) dp.NanoRho {
	if r.ReserveSeq != 0 {
		if left, ok := statedLeft(tx, r.ReserveSeq); ok {
			return left + r.Cost
		}
	}
	left := view.Charter.Budget.Total
	for _, other := range all {
		unopened := other.Stage == federation.Refused || other.Stage == federation.Aborted && other.Uploads < len(other.Content().Sources)
		if other.ReserveSeq != 0 && other.ReserveSeq < r.ManifestSeq && !unopened {
			left -= other.Cost
		}
	}
	return max(0, left)
}

func statedLeft(tx federation.Tx, seq int64) (dp.NanoRho, bool) {
	raw, _ := federation.EntryBytes(tx, seq)
	entry, err := protocol.Decode[protocol.Entry](raw)
	if err != nil {
		return 0, false
	}
	signed, err := protocol.Decode[protocol.Signed[protocol.Reserve]](entry.Doc)
	if err != nil {
		return 0, false
	}
	reserve, err := protocol.Peek(signed) // verified when the log took it
	return reserve.Left, err == nil
}
