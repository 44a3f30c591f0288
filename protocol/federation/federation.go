// Package federation is the one transition function of Coulisse: which signed
// documents a federation accepts, in which order, and what follows from them.
//
// The coordinator runs it inside its replicated state; every node runs it
// again, in memory, over the log that it follows. So a coordinator can only
// sequence documents: whatever else it does, a node that replays its log
// stops at the first entry that these rules refuse.
//
// It is deterministic: no clock, no randomness, no map order, no
// configuration (protocol.md sections 3, 4 and 6; enforced by a test). Time is
// the entry's own, stamped by the leader. Policies are not evaluated here:
// each participant evaluates them and says so in its acknowledgement.
package federation

import (
	"errors"
	"fmt"

	"coulisse/protocol"
	"coulisse/protocol/governance"
	"coulisse/protocol/tlog"
)

// Tx is a transaction over the state. Ascend visits the keys with a prefix in
// ascending order until fn returns false. The caller discards everything when
// Apply fails.
type Tx interface {
	Get(key string) (string, bool)
	Set(key, value string)
	Ascend(prefix string, fn func(key, value string) bool)
}

// Errors of a refused entry. The author is told; nothing has changed.
var (
	// ErrOrder: the entry is not the next one, or its time goes back.
	ErrOrder = errors.New("the entry is out of order")
	// ErrFork: the author signed under a head that this log never had. One of
	// the two has been shown another history; stop and compare.
	ErrFork = errors.New("the author has seen another log")
	// ErrRefused: a rule of the protocol refuses the document in this state.
	ErrRefused = errors.New("refused")
	// ErrNotFound: the document speaks of something that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAlready: the same document is in the log already; nothing to do.
	ErrAlready = errors.New("already in the log")
)

// refuse words an [ErrRefused] in both languages.
func refuse(fr, en string, args ...any) error {
	return protocol.Refuse(ErrRefused, fr, en, args...)
}

func notActive(id protocol.PartyID) error {
	return refuse("l'organisation %s n'est pas un membre en règle",
		"the organisation %s is not a member in good standing", id)
}

// Size is how many entries the log has.
func Size(tx Tx) int64 {
	size, _ := loadInt(tx, "size")
	return size
}

// Head is the log's present head; zero before the genesis.
func Head(tx Tx) (protocol.Head, error) {
	size := Size(tx)
	if size == 0 {
		return protocol.Head{}, nil
	}
	return tlog.HeadAt(tx, size)
}

// Time is when the last entry was accepted; it never goes back.
func Time(tx Tx) protocol.Millis {
	at, _ := loadInt(tx, "at")
	return protocol.Millis(at)
}

// Lookup finds the entry that holds exactly this document. Sending a document
// again, after an answer was lost, is therefore harmless.
func Lookup(tx Tx, document []byte) (int64, bool) { return loadInt(tx, documentKey(document)) }

func documentKey(document []byte) string { return hashKey(protocol.HashOf(document)) }

func hashKey(document protocol.Hash) string { return "document/" + document.String() }

// EntryBytes is the entry as it was appended: the leaf of the Merkle log.
func EntryBytes(tx Tx, seq int64) ([]byte, bool) {
	raw, ok := tx.Get(entryKey(seq))
	return []byte(raw), ok
}

// documentAt is the document of an entry, as it was appended.
func documentAt(tx Tx, seq int64) ([]byte, bool) {
	raw, ok := EntryBytes(tx, seq)
	if !ok {
		return nil, false
	}
	_, document, ok := protocol.ReadEntry(raw)
	return document, ok
}

func entryKey(seq int64) string { return fmt.Sprintf("log/%016x", seq) }

// Append gives a document the next place in the log, at that time or, if the
// clock of whoever stamped it is behind the last entry, at the last entry's. It
// leaves a document alone that is in the log already, and tells its place. On
// an error the caller must discard the transaction.
func Append(tx Tx, at protocol.Millis, label protocol.Label, document []byte) (seq int64, already bool, err error) {
	if seq, already = Lookup(tx, document); already {
		return seq, true, nil
	}
	last := Time(tx)
	e := protocol.Entry{Seq: Size(tx), At: max(at, last), Label: label, Doc: document}
	return e.Seq, false, apply(tx, e, last)
}

// Apply verifies an entry and carries out what follows from it. On an error
// the caller must discard the transaction.
func Apply(tx Tx, e protocol.Entry) error {
	if size := Size(tx); e.Seq != size {
		return fmt.Errorf("%w: entry %d after %d entries", ErrOrder, e.Seq, size)
	}
	if _, ok := Lookup(tx, e.Doc); ok {
		return ErrAlready
	}
	return apply(tx, e, Time(tx))
}

// apply is Apply of an entry that is the next one, and not in the log.
func apply(tx Tx, e protocol.Entry, last protocol.Millis) error {
	if e.At < last || e.At > protocol.MaxInstant {
		return fmt.Errorf("%w: its time is before the last entry's, or out of range", ErrOrder)
	}
	if len(e.Doc) > maxDocument(e.Label) {
		return refuse("un document a au plus %d octets", "a document has at most %d bytes", maxDocument(e.Label))
	}
	transition, ok := transitions[e.Label]
	if !ok {
		return refuse("cette version ne connaît pas ce genre de document; mettez-la à jour",
			"this version knows no document of this kind; upgrade it")
	}
	if e.Seq == 0 && e.Label != protocol.LabelGenesis {
		return refuse("le journal commence par l'acte de fondation", "the log begins with the genesis")
	}
	if err := inForce(tx, e.Label); err != nil {
		return err
	}
	if err := transition(tx, e); err != nil {
		return fmt.Errorf("%s: %w", e.Label, err)
	}
	return keep(tx, e)
}

// inForce refuses a kind of document that came with newer rules than those in
// force.
func inForce(tx Tx, label protocol.Label) error {
	rules := governance.LabelRules(label)
	if rules == protocol.FirstRules {
		return nil
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	return view.InForce(rules)
}

// maxDocument bounds an entry's document. The genesis alone is no command of
// a member's, and holds every founder's card.
func maxDocument(label protocol.Label) int {
	if label == protocol.LabelGenesis {
		return maxGenesis
	}
	return protocol.MaxDocument
}

const maxGenesis = 8 << 20

// keep appends the entry to the log.
func keep(tx Tx, e protocol.Entry) error {
	raw := e.Encode()
	if err := tlog.Append(tx, e.Seq, raw); err != nil {
		return err
	}
	tx.Set(entryKey(e.Seq), string(raw))
	saveInt(tx, documentKey(e.Doc), e.Seq)
	saveInt(tx, "size", e.Seq+1)
	saveInt(tx, "at", int64(e.At))
	return nil
}

// transitions is the table of everything that can happen.
var transitions = map[protocol.Label]func(Tx, protocol.Entry) error{
	protocol.LabelGenesis: applyGenesis,

	protocol.LabelProposal: applyProposal,
	protocol.LabelCosign:   applyCosign,
	protocol.LabelBallot:   applyBallot,
	protocol.LabelClose:    applyClose,

	protocol.LabelWithdrawal: applyWithdrawal,
	protocol.LabelDelegation: applyDelegation,
	protocol.LabelRevocation: applyRevocation,
	protocol.LabelKeyChange:  applyKeyChange,
	protocol.LabelLeave:      applyLeave,
	protocol.LabelRoll:       applyRoll,

	protocol.LabelEnrolment:  applyEnrolment,
	protocol.LabelHello:      applyHello,
	protocol.LabelDeal:       applyDeal,
	protocol.LabelReady:      applyReady,
	protocol.LabelComplaint:  applyComplaint,
	protocol.LabelTicket:     applyTicket,
	protocol.LabelMigrated:   applyMigrated,
	protocol.LabelRetirement: applyRetirement,

	protocol.LabelManifest:   applyManifest,
	protocol.LabelAck:        applyAck,
	protocol.LabelReserve:    applyReserve,
	protocol.LabelKeyConfirm: applyKeyConfirm,
	protocol.LabelUpload:     applyUpload,
	protocol.LabelOpening:    applyOpening,
	protocol.LabelResult:     applyResult,
	protocol.LabelCollected:  applyCollected,
	protocol.LabelAbort:      applyAbort,
	protocol.LabelLapse:      applyLapse,
}

func applyGenesis(tx Tx, e protocol.Entry) error {
	if e.Seq != 0 {
		return refuse("une fédération n'a qu'un acte de fondation", "a federation has one genesis")
	}
	founding, err := protocol.Decode[protocol.Founding](e.Doc)
	if err != nil {
		return err
	}
	view, err := governance.Begin(founding)
	if err != nil {
		return err
	}
	save(tx, "founding", founding)
	saveView(tx, view)
	return nil
}

// Founding is the genesis with its assents.
func Founding(tx Tx) (protocol.Founding, error) {
	f, ok := load[protocol.Founding](tx, "founding")
	if !ok {
		return f, fmt.Errorf("%w: the log has no genesis yet", ErrNotFound)
	}
	return f, nil
}

// Enrolled is the certificate that a member's node presents.
func Enrolled(tx Tx, id protocol.MemberID) (protocol.Enrolment, bool) {
	key := "enrolment/" + string(id)
	raw, ok := tx.Get(key)
	if !ok {
		return protocol.Enrolment{}, false
	}
	return lastEnrolments.decode(key, raw), true
}

// lastEnrolments are those that were read last: every call of a node reads its
// own.
var lastEnrolments = newMemo(func(*protocol.Enrolment) {})

func applyEnrolment(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Enrolment](tx, e)
	if err != nil {
		return err
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	if m, ok := view.Member(doc.Member); !ok || !m.Belongs() { // a suspended one reads on
		return notActive(protocol.PartyID(doc.Member))
	}
	save(tx, "enrolment/"+string(doc.Member), doc)
	return nil
}
