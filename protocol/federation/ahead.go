package federation

import (
	"coulisse/crypto/key"
	"coulisse/protocol"
)

// VerifyEntriesAhead is [VerifyAhead] of the ballots among encoded entries.
func VerifyEntriesAhead(tx Tx, entries [][]byte) {
	var ballots [][]byte
	for _, e := range entries {
		if label, document, ok := protocol.ReadEntry(e); ok && label == protocol.LabelBallot {
			ballots = append(ballots, document)
		}
	}
	VerifyAhead(tx, ballots)
}

// VerifyAhead verifies the signatures of ballots that are about to be applied
// one after the other, all at once: by far the most of what it takes to apply
// one. Package key remembers those that are good. It decides nothing, so it may
// be left out.
func VerifyAhead(tx Tx, ballots [][]byte) {
	view, err := View(tx)
	if err != nil || len(ballots) < 2 {
		return
	}
	keyOf := func(by protocol.PartyID) (key.Public[key.Vote], bool) {
		m, ok := view.Active(protocol.MemberID(by))
		return m.Card.Vote, ok
	}
	claims := make([]key.Claim[key.Vote], 0, len(ballots))
	for _, document := range ballots {
		if c, ok := protocol.Claim(view.Federation, protocol.LabelBallot, document, keyOf); ok {
			claims = append(claims, c)
		}
	}
	key.Ahead(claims)
}
