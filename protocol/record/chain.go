package record

import (
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// ChainFormat names this form of chain.
const ChainFormat = "coulisse-decisions/1"

// Chain is the decisions of a federation from its genesis on: what anybody can
// recount who trusts the genesis hash.
type Chain struct {
	Format   string            `json:"format,omitempty"`
	Founding protocol.Founding `json:"founding"`
	// Decisions name their ballots by hash; Ballots are those, each once.
	Decisions []protocol.Decision                `json:"decisions"`
	Ballots   []protocol.Signed[protocol.Ballot] `json:"ballots"`
}

// ChainOf takes the first decisions of a log, as many as are asked for, with their
// ballots.
func ChainOf(log federation.Tx, decisions int) (Chain, error) {
	founding, err := federation.Founding(log)
	if err != nil {
		return Chain{}, err
	}
	chain := federation.Decisions(log, 0)
	chain = chain[:min(decisions, len(chain))]
	return Chain{Format: ChainFormat, Founding: founding, Decisions: chain, Ballots: federation.BallotsOf(log, chain...)}, nil
}

// Verify counts every ballot again and returns what follows. It cannot know
// whether later decisions were left out.
func (c Chain) Verify(federationID protocol.Hash) (governance.View, error) {
	if c.Format != "" && c.Format != ChainFormat {
		return governance.View{}, fmt.Errorf("%w: it is not a %s", ErrRecord, ChainFormat)
	}
	view, err := replay(c.Founding, c.Decisions, c.Ballots)
	if err != nil {
		return governance.View{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if view.Federation != federationID {
		return governance.View{}, fmt.Errorf("%w: it comes from the federation %s, not from %s", ErrRecord, view.Federation.Short(), federationID.Short())
	}
	return view, nil
}

// replay counts every ballot again, and takes none that no decision names.
func replay(f protocol.Founding, chain []protocol.Decision, signed []protocol.Signed[protocol.Ballot]) (governance.View, error) {
	ballots, err := governance.BallotsOf(signed)
	if err != nil {
		return governance.View{}, err
	}
	named := map[protocol.Hash]bool{}
	for _, d := range chain {
		for _, hash := range d.Ballots {
			named[hash] = true
		}
	}
	if len(named) != len(signed) { // each of which is missing, spare or there twice
		return governance.View{}, protocol.Refuse(governance.ErrBallot,
			"les bulletins joints ne sont pas ceux des décisions, chacun une fois", "the ballots that came along are not those of the decisions, each once")
	}
	return governance.Replay(f, chain, ballots)
}

// Compare holds a chain that was verified against a log that was replayed: what
// the chain alone cannot show, the log does. A replay counts every ballot that
// the log took, and no delegation that it had revoked.
func (c Chain) Compare(log federation.Tx) error {
	for i, d := range c.Decisions {
		stated, err := d.ID()
		if err != nil {
			return err
		}
		made, ok := federation.FindDecision(log, i+1)
		if !ok {
			return protocol.Refuse(ErrRecord,
				"cette copie du journal s'arrête avant la décision %d\u00a0; prenez-en une plus récente", "this copy of the log ends before decision %d; take a newer one", i+1)
		}
		logged, err := made.ID()
		if err != nil {
			return err
		}
		if logged != stated {
			return protocol.Refuse(ErrRecord,
				"la décision %d n'est pas celle du journal\u00a0: des bulletins y manquent, ou une procuration révoquée y compte", "decision %d is not the log's: it lacks ballots, or counts a revoked delegation", i+1)
		}
	}
	return nil
}
