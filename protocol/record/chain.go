package record

import (
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// ChainFormat names this form of chain.
const ChainFormat = "coulisse-decisions/1"

// Chain is the decisions of a federation from its genesis on: what anybody can
// recount who trusts the genesis hash.
type Chain struct {
	Format    string              `json:"format,omitempty"`
	Founding  protocol.Founding   `json:"founding"`
	Decisions []protocol.Decision `json:"decisions"`
}

// Verify counts every ballot again and returns what follows. It cannot know
// whether later decisions were left out.
func (c Chain) Verify(federationID protocol.Hash) (governance.View, error) {
	if c.Format != "" && c.Format != ChainFormat {
		return governance.View{}, fmt.Errorf("%w: it is not a %s", ErrRecord, ChainFormat)
	}
	view, err := governance.Replay(c.Founding, c.Decisions)
	if err != nil {
		return governance.View{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if view.Federation != federationID {
		return governance.View{}, fmt.Errorf("%w: it comes from the federation %s, not from %s", ErrRecord, view.Federation.Short(), federationID.Short())
	}
	return view, nil
}
