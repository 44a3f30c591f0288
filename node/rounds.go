package node

import (
	"bytes"
	"context"
	"slices"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// RoundProgress is where a round is. It is also a line of a list, and the
// event that following a round tells.
type RoundProgress struct {
	Round      protocol.RoundID  `json:"round"`
	Title      protocol.Text     `json:"title"`
	Initiator  protocol.MemberID `json:"initiator"`
	ProposedAt protocol.Millis   `json:"proposed_at_ms"`
	Deadline   protocol.Millis   `json:"deadline_ms"`
	Stage      federation.Stage  `json:"stage"`
	// What each stage waits for: so many of so many.
	Participants int `json:"participants"`
	Accepted     int `json:"accepted"`
	Confirmed    int `json:"confirmed"`
	Sources      int `json:"sources"`
	Uploaded     int `json:"uploaded"`
	Recipients   int `json:"recipients"`
	Collected    int `json:"collected"`

	Size *protocol.Figure `json:"size,omitempty"` // once published
	// Reason and By are why, and at whose word, a round ended without a result.
	Reason protocol.Text    `json:"reason,omitzero"`
	By     protocol.PartyID `json:"by,omitempty"`
}

func progressOf(r federation.Round, m protocol.Manifest) RoundProgress {
	p := RoundProgress{
		Round: r.ID, Title: m.Title, Initiator: protocol.MemberID(r.Manifest.By),
		ProposedAt: r.At, Deadline: m.Deadline, Stage: r.Stage,
		Participants: len(m.Participants()), Accepted: r.Acks, Confirmed: r.Confirms,
		Sources: len(m.Sources), Uploaded: r.Uploads, Recipients: len(m.Recipients), Collected: r.Collected,
	}
	if r.Result != nil {
		p.Size = &r.Result.Size
	}
	if r.Reason != nil {
		p.Reason, p.By = *r.Reason, r.By
	}
	if r.Stage == federation.Refused && p.Accepted > 0 {
		p.Accepted-- // the refusal is an answer too
	}
	return p
}

// Rounds lists all rounds of the federation, the latest first.
func (n *Node) Rounds() ([]RoundProgress, error) {
	list := []RoundProgress{}
	err := n.witness.View(func(tx federation.Tx) error {
		for _, round := range federation.Rounds(tx) {
			list = append(list, progressOf(round, round.Content()))
		}
		return nil
	})
	slices.Reverse(list)
	return list, err
}

// RoundPage is all that the log tells of a round.
type RoundPage struct {
	RoundProgress
	Manifest protocol.Hash  `json:"manifest"`
	Rule     protocol.Text  `json:"rule"`
	Parts    []Part         `json:"parts"` // one a source, as in the manifest
	Cost     dp.NanoRho     `json:"cost_nano_rho"`
	Spent    bool           `json:"spent"` // the cost is charged
	Budget   Budget         `json:"budget"`
	Noise    protocol.Noise `json:"noise"`
	MinSize  dp.Floor       `json:"min_size"`
	Decision int            `json:"decision"` // under whose policies it was drawn up
	Epoch    protocol.Epoch `json:"epoch"`
	Answers  []Answer       `json:"answers"`
	Timeline []Step         `json:"timeline"`
	// People is how many of this member's own people its labels mark; nil if
	// it has none.
	People *int64 `json:"people,omitempty"`
	// Activable is how many of those consent to activation now.
	Activable int64 `json:"activable,omitempty"`
}

// Part is a source with its published figure.
type Part struct {
	Source    protocol.SourceName `json:"source"`
	Member    protocol.MemberID   `json:"member"`
	Words     protocol.Text       `json:"words"`
	Recipient bool                `json:"recipient"`
	Figure    *protocol.Figure    `json:"figure,omitempty"`
}

// Answer is a participant's acknowledgement.
type Answer struct {
	Member  protocol.MemberID `json:"member"`
	Refusal protocol.Text     `json:"refusal,omitzero"`
}

// Step is an entry of the log about the round.
type Step struct {
	Seq   int64            `json:"seq"`
	At    protocol.Millis  `json:"at_ms"`
	Label protocol.Label   `json:"label"`
	By    protocol.PartyID `json:"by"`
}

// Round is the page of one, named by its number or the beginning of it.
func (n *Node) Round(ctx context.Context, id string) (RoundPage, error) {
	var page RoundPage
	err := n.witness.View(func(tx federation.Tx) error {
		r, err := findRound(tx, id)
		if err != nil {
			return err
		}
		view, err := federation.View(tx)
		if err != nil {
			return err
		}
		m := r.Content()
		page = RoundPage{
			RoundProgress: progressOf(r, m), Manifest: r.Hash, Rule: ruleWords(m), Cost: r.Cost, Noise: m.Noise,
			MinSize: r.MinSize, Epoch: m.Epoch, Decision: underDecision(tx, view, m),
			Parts: partsOf(r, m), Answers: answersOf(tx, r.ID), Timeline: timelineOf(tx, r),
		}
		page.Spent = slices.ContainsFunc(page.Timeline, func(s Step) bool { return s.Label == protocol.LabelOpening })
		page.Budget, err = budgetOf(tx, view)
		return err
	})
	if err != nil {
		return page, err
	}
	if people, err := n.rounds.Labelled(page.Round); err == nil {
		many := int64(len(people))
		page.People = &many
		for _, err := range n.warehouse.Identifiers(ctx, people) {
			if err != nil {
				return page, err
			}
			page.Activable++
		}
	}
	return page, nil
}

func partsOf(r federation.Round, m protocol.Manifest) []Part {
	parts := make([]Part, len(m.Sources))
	for i, s := range m.Sources {
		parts[i] = Part{Source: s.Name, Member: s.Member, Words: definitionWords(s.Definition), Recipient: m.IsRecipient(s.Name)}
		if r.Result != nil {
			parts[i].Figure = &r.Result.Sources[i].Figure
		}
	}
	return parts
}

func answersOf(tx federation.Tx, id protocol.RoundID) []Answer {
	answers := []Answer{}
	for _, signed := range federation.Acks(tx, id) {
		ack, err := protocol.Peek(signed)
		if err != nil {
			continue // it was checked when the log took it
		}
		a := Answer{Member: protocol.MemberID(signed.By)}
		if ack.Refusal != nil {
			a.Refusal = *ack.Refusal
		}
		answers = append(answers, a)
	}
	return answers
}

// timelineOf reads the round's entries off the log. The state keeps only what
// rules need, so the entries are looked through from the manifest on.
func timelineOf(tx federation.Tx, r federation.Round) []Step {
	steps := []Step{}
	for seq := r.ManifestSeq; seq < federation.Size(tx); seq++ {
		raw, ok := federation.EntryBytes(tx, seq)
		if !ok || !bytes.Contains(raw, []byte(r.ID)) {
			continue
		}
		entry, err := protocol.Decode[protocol.Entry](raw)
		if err != nil {
			continue
		}
		by, err := protocol.Author(entry.Doc)
		if err != nil {
			continue
		}
		steps = append(steps, Step{Seq: seq, At: entry.At, Label: entry.Label, By: by})
	}
	return steps
}

// FollowRound tells where a round is, now and at each change, until there is
// nothing more for this member to wait for: it ended, or its result is there
// and, for a recipient, the labels too.
func (n *Node) FollowRound(ctx context.Context, id string, tell func(RoundProgress) error) error {
	var last RoundProgress
	for {
		grown := n.witness.Grown()
		var now RoundProgress
		waiting := true
		err := n.witness.View(func(tx federation.Tx) error {
			r, err := findRound(tx, id)
			if err != nil {
				return err
			}
			m := r.Content()
			now, waiting = progressOf(r, m), n.waitsFor(tx, r, m)
			return nil
		})
		if err != nil {
			return err
		}
		if last.Round == "" || changedSince(last, now) {
			if err := tell(now); err != nil {
				return err
			}
			last = now
		}
		if !waiting {
			return nil
		}
		if err := n.Trouble(); err != nil {
			return err
		}
		timer := time.NewTimer(tick)
		select {
		case <-grown:
		case <-timer.C: // in case the node has stopped following the log
		case <-ctx.Done():
			return ctx.Err()
		}
		timer.Stop()
	}
}

func (n *Node) waitsFor(tx federation.Tx, r federation.Round, m protocol.Manifest) bool {
	if r.Stage.Ended() {
		return false
	}
	if r.Stage != federation.Published {
		return true
	}
	for _, name := range m.Recipients {
		if m.Owner(name) == n.folder.Card.ID && !federation.HasCollected(tx, r.ID, name) {
			return true
		}
	}
	return false
}

func changedSince(a, b RoundProgress) bool {
	return a.Stage != b.Stage || a.Accepted != b.Accepted || a.Confirmed != b.Confirmed ||
		a.Uploaded != b.Uploaded || a.Collected != b.Collected
}
