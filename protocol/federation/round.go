package federation

import (
	"fmt"
	"slices"

	"coulisse/crypto/dp"
	"coulisse/protocol"
)

// Stage is how far a round has come. A round moves forward only.
type Stage string

// The stages of a round, in order; refused and aborted may follow any that is
// not yet published.
const (
	Proposed  Stage = "proposed"  // waiting for acknowledgements
	Accepted  Stage = "accepted"  // everybody accepted; waiting for the reservation
	Reserved  Stage = "reserved"  // cost set aside; waiting for key confirmations
	Keyed     Stage = "keyed"     // everybody holds the round key; waiting for uploads
	Opened    Stage = "opened"    // the matcher works; the cost is spent
	Published Stage = "published" // the result is known; recipients collect
	Closed    Stage = "closed"    // nothing is left but the record
	Refused   Stage = "refused"   // a participant or the ledger refused
	Aborted   Stage = "aborted"
)

// words say where a round is.
func (s Stage) words() (fr, en string) {
	switch s {
	case Proposed:
		return "attend les réponses des participants", "waits for the participants' answers"
	case Accepted:
		return "attend la réservation du budget", "waits for the budget's reservation"
	case Reserved:
		return "attend les confirmations de clé", "waits for the key confirmations"
	case Keyed:
		return "attend les téléversements", "waits for the uploads"
	case Opened:
		return "est en cours de calcul", "is being computed"
	case Published:
		return "est publiée", "is published"
	case Closed:
		return "est terminée", "is closed"
	case Refused:
		return "a été refusée", "was refused"
	}
	return "a été interrompue", "was aborted"
}

// Ended reports whether nothing more will happen in the round.
func (s Stage) Ended() bool { return s == Closed || s == Refused || s == Aborted }

// Round is a round as the log has it.
type Round struct {
	ID       protocol.RoundID                   `json:"id"`
	Manifest protocol.Signed[protocol.Manifest] `json:"manifest"`
	Hash     protocol.Hash                      `json:"hash"` // identity of the signed manifest
	Cost     dp.NanoRho                         `json:"cost_nano_rho"`
	// MinSize is the charter's floor when the manifest was accepted. A figure
	// clears this one and the present one: see [MinSize].
	MinSize dp.Floor        `json:"min_size"`
	At      protocol.Millis `json:"at"`
	Stage   Stage           `json:"stage"`
	// Reason is why the round was refused or aborted, and By whom; nobody when
	// it followed from the rules.
	Reason *protocol.Text   `json:"reason,omitempty"`
	By     protocol.PartyID `json:"by,omitempty"`

	Acks      int `json:"acks"`
	Confirms  int `json:"confirms"`
	Uploads   int `json:"uploads"`
	Collected int `json:"collected"`

	MAC *protocol.Hash `json:"mac,omitempty"` // what the first participant confirmed
	// Entries of the log that an export proves; 0 while there are none.
	ManifestSeq int64 `json:"manifest_seq"`
	ReserveSeq  int64 `json:"reserve_seq,omitzero"`
	ResultSeq   int64 `json:"result_seq,omitzero"`

	Result *protocol.Result `json:"result,omitempty"`
}

// Content is the manifest itself. It was verified before it was stored.
func (r Round) Content() protocol.Manifest {
	var m protocol.Manifest
	decode(roundKey(r.ID), string(r.Manifest.Body), &m)
	return m
}

// unopened reports whether a round that is under way has cost nothing yet.
func (r Round) unopened() bool { return r.Stage != Opened && r.Stage != Published }

// Ref names the round in the documents about it.
func (r Round) Ref() protocol.RoundRef { return protocol.RoundRef{Round: r.ID, Manifest: r.Hash} }

// FindRound finds a round by its number.
func FindRound(tx Tx, id protocol.RoundID) (Round, error) {
	r, ok := load[Round](tx, roundKey(id))
	if !ok {
		return r, fmt.Errorf("%w: round %s", ErrNotFound, id)
	}
	return r, nil
}

// Rounds are all of them, oldest first.
func Rounds(tx Tx) []Round {
	rounds := collect[Round](tx, "round/")
	slices.SortStableFunc(rounds, func(a, b Round) int { return int(a.ManifestSeq - b.ManifestSeq) })
	return rounds
}

// Acks are the answers to a round's manifest, ascending by member.
func Acks(tx Tx, id protocol.RoundID) []protocol.Signed[protocol.Ack] {
	return collect[protocol.Signed[protocol.Ack]](tx, ackKey(id, ""))
}

// Acknowledged reports whether a member has answered.
func Acknowledged(tx Tx, id protocol.RoundID, by protocol.MemberID) bool {
	_, ok := tx.Get(ackKey(id, by))
	return ok
}

// Confirmed reports whether a member has confirmed the round key.
func Confirmed(tx Tx, id protocol.RoundID, by protocol.MemberID) bool {
	_, ok := tx.Get(confirmKey(id, by))
	return ok
}

// UploadDigest is what a source announced that it sends.
func UploadDigest(tx Tx, id protocol.RoundID, source protocol.SourceName) (protocol.Hash, bool) {
	return load[protocol.Hash](tx, uploadKey(id, source))
}

// HasCollected reports whether a recipient has its labels.
func HasCollected(tx Tx, id protocol.RoundID, source protocol.SourceName) bool {
	_, ok := tx.Get(collectedKey(id, source))
	return ok
}

func roundKey(id protocol.RoundID) string { return "round/" + string(id) }
func ackKey(id protocol.RoundID, by protocol.MemberID) string {
	return "ack/" + string(id) + "/" + string(by)
}
func confirmKey(id protocol.RoundID, by protocol.MemberID) string {
	return "confirm/" + string(id) + "/" + string(by)
}
func uploadKey(id protocol.RoundID, source protocol.SourceName) string {
	return "upload/" + string(id) + "/" + string(source)
}
func collectedKey(id protocol.RoundID, source protocol.SourceName) string {
	return "collected/" + string(id) + "/" + string(source)
}
