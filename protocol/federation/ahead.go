package federation

import (
	"bytes"
	"sync"

	"coulisse/crypto/key"
	"coulisse/protocol"
)

// verifiers is how many signatures are verified at once.
const verifiers = 8

// VerifyEntriesAhead is [VerifyAhead] of the ballots among encoded entries. It
// looks for them as [protocol.Entry.Encode] writes them; what is written
// otherwise is verified when it is applied.
func VerifyEntriesAhead(tx Tx, entries [][]byte) {
	var ballots [][]byte
	for _, e := range entries {
		_, rest, begins := bytes.Cut(e, []byte(`,"doc":`))
		end := bytes.LastIndex(rest, []byte(`,"label":"`+protocol.LabelBallot+`",`))
		if begins && end >= 0 {
			ballots = append(ballots, rest[:end])
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
	next := make(chan []byte)
	var verifying sync.WaitGroup
	for range min(verifiers, len(ballots)) {
		verifying.Go(func() {
			for document := range next {
				protocol.VerifyAhead(view.Federation, protocol.LabelBallot, document, keyOf)
			}
		})
	}
	for _, document := range ballots {
		next <- document
	}
	close(next)
	verifying.Wait()
}
