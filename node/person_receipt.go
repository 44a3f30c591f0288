package node

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"coulisse/crypto/key"
	"coulisse/protocol"
)

// Removed counts what was taken from one place.
type Removed struct {
	Place string `json:"place"` // a table of the warehouse, or "tokens" or "labels"
	Count int64  `json:"count"`
}

func removedOf(page PersonPage) []Removed {
	removed := []Removed{}
	add := func(place string, count int) {
		if count > 0 {
			removed = append(removed, Removed{place, int64(count)})
		}
	}
	for _, t := range page.Held {
		add(t.Table, len(t.Rows))
	}
	add("tokens", len(page.Tokens))
	add("labels", len(page.Audiences))
	return removed
}

// ErasureReceipt says what an erasure took away, without saying whose it was.
// The node signs it, for whoever asks whether the member did what was asked.
type ErasureReceipt struct {
	Erasure    string          `json:"erasure"`
	Federation protocol.Hash   `json:"federation"` // zero for a house alone
	Asked      protocol.Millis `json:"asked_ms"`
	Done       protocol.Millis `json:"done_ms"`
	Removed    []Removed       `json:"removed"`
	// Audiences are the pooled audiences in whose making this member took part,
	// and whose recipients hold labels, about their own people, from before the
	// erasure: a refresh of each leaves the person out.
	Audiences []DependentRound `json:"audiences"`
	// Waited are the rounds that were under way, and whose uploads, with a
	// pseudonym of the person, are deleted now.
	Waited []protocol.RoundID `json:"waited"`
}

// DependentRound is an audience from before an erasure, and who has its labels.
type DependentRound struct {
	Round      protocol.RoundID    `json:"round"`
	Recipients []protocol.MemberID `json:"recipients"`
}

// LabelErasure is the kind of document that a receipt is. It is not of the log.
const LabelErasure protocol.Label = "erasure-receipt"

// Label implements [protocol.Document].
func (ErasureReceipt) Label() protocol.Label { return LabelErasure }

// Role implements [protocol.Document].
func (ErasureReceipt) Role() key.Node { return key.Node{} }

// Check implements [protocol.Document].
func (r ErasureReceipt) Check() error {
	if len(r.Erasure) != 16 || r.Asked <= 0 || r.Done < r.Asked {
		return fmt.Errorf("%w: an erasure has a name of 16 digits, and ends after it was asked for", protocol.ErrMalformed)
	}
	return nil
}

// signReceipt signs the receipt of an erasure and puts it in the folder. The
// receipt that is there already, from before a process ended, stays.
func (h *House) signReceipt(e erasure) (signed protocol.Signed[ErasureReceipt], err error) {
	name := filepath.Join(dirErasures, e.ID+receiptSuffix)
	if raw, err := os.ReadFile(h.folder.path(name)); err == nil {
		return protocol.DecodeFile[protocol.Signed[ErasureReceipt]](raw)
	}
	signer := protocol.Signer[key.Node]{By: protocol.PartyID(h.folder.Card.ID), Key: h.folder.node}
	var head protocol.Head
	if h.pool != nil {
		if signer.Federation, head, err = h.pool.place(); err != nil {
			return signed, err
		}
	}
	receipt := ErasureReceipt{
		Erasure: e.ID, Federation: signer.Federation, Asked: e.At, Done: max(e.At, protocol.At(time.Now())),
		Removed: e.Removed, Audiences: e.Audiences, Waited: e.Rounds,
	}
	if signed, err = protocol.Sign(signer, head, receipt); err != nil {
		return signed, err
	}
	content, err := protocol.Indented(signed)
	if err != nil {
		return signed, err
	}
	return signed, h.folder.replace(name, content)
}
