// Package record is the signed record of a published round: what was computed,
// under which decisions, at what privacy cost, with everything that anybody
// needs to check it without asking anybody.
//
// The coordinator builds one (package export there); [Record.Verify] checks it
// offline, from the genesis hash that the reader already trusts.
package record

import (
	"errors"
	"fmt"
	"slices"

	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/tlog"
)

// Format names this form of record.
const Format = "coulisse-record/1"

// ErrRecord: the record does not prove what it states. Ask for it again from
// another replica, and keep this one: it is evidence.
var ErrRecord = errors.New("the record does not prove what it states")

// Record is the file. Entries are kept as they stand in the log, so that their
// place in it can be proved.
type Record struct {
	Format    string                             `json:"format"`
	Founding  protocol.Founding                  `json:"founding"`
	Decisions []protocol.Decision                `json:"decisions"`
	Ballots   []protocol.Signed[protocol.Ballot] `json:"ballots"` // that the decisions name, each once
	Manifest  Proven                             `json:"manifest"`
	Acks      []protocol.Signed[protocol.Ack]    `json:"acknowledgements"`
	Reserve   Proven                             `json:"reservation"`
	Result    Proven                             `json:"result"`
	Heading   protocol.Signed[protocol.Heading]  `json:"head"`
}

// Proven is an entry of the log with its way to the head.
type Proven struct {
	Entry protocol.Entry  `json:"entry"`
	Path  []protocol.Hash `json:"path"`
}

// Statement is what a verified record says.
type Statement struct {
	Federation  protocol.Hash
	View        governance.View
	Manifest    protocol.Manifest
	Initiator   protocol.MemberID
	Accepted    []protocol.MemberID
	Reserve     protocol.Reserve
	Result      protocol.Result
	PublishedAt protocol.Millis
	Head        protocol.Head
}

// Build collects the record of a published round. The heading is signed by the
// caller over the head that the proofs lead to.
func Build(tx federation.Tx, id protocol.RoundID) (Record, error) {
	r, err := federation.FindRound(tx, id)
	if err != nil {
		return Record{}, err
	}
	if r.Result == nil {
		return Record{}, protocol.Refuse(federation.ErrRefused,
			"cette ronde n'a pas encore de résultat à exporter", "this round has no result to export yet")
	}
	founding, err := federation.Founding(tx)
	if err != nil {
		return Record{}, err
	}
	rec := Record{Format: Format, Founding: founding, Acks: federation.Acks(tx, id)}
	// The chain up to the decision that the manifest names.
	last := r.Content().Policies
	for _, d := range federation.Decisions(tx, 0) {
		if d.Previous == last {
			break
		}
		rec.Decisions = append(rec.Decisions, d)
	}
	rec.Ballots = federation.BallotsOf(tx, rec.Decisions...)
	for _, p := range []struct {
		seq int64
		to  *Proven
	}{{r.ManifestSeq, &rec.Manifest}, {r.ReserveSeq, &rec.Reserve}, {r.ResultSeq, &rec.Result}} {
		if *p.to, err = prove(tx, p.seq); err != nil {
			return Record{}, err
		}
	}
	return rec, nil
}

func prove(tx federation.Tx, seq int64) (Proven, error) {
	raw, ok := federation.EntryBytes(tx, seq)
	if !ok {
		return Proven{}, fmt.Errorf("%w: entry %d", federation.ErrNotFound, seq)
	}
	entry, err := protocol.Decode[protocol.Entry](raw)
	if err != nil {
		return Proven{}, err
	}
	path, err := tlog.Prove(tx, seq, federation.Size(tx))
	return Proven{Entry: entry, Path: path}, err
}

// Verify checks the record from the ground up: the founders' signatures under
// the expected genesis, every ballot of every decision, the manifest and the
// acknowledgement of every participant, the reservation, the result, and that
// the log whose head a replica signed holds them.
func (r Record) Verify(federationID protocol.Hash) (Statement, error) {
	if r.Format != Format {
		return Statement{}, fmt.Errorf("%w: it is not a %s", ErrRecord, Format)
	}
	view, err := replay(r.Founding, r.Decisions, r.Ballots)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if view.Federation != federationID {
		return Statement{}, fmt.Errorf("%w: it comes from the federation %s, not from %s", ErrRecord, view.Federation.Short(), federationID.Short())
	}
	s := Statement{Federation: view.Federation, View: view}
	for _, check := range []func(*Statement) error{r.verifyHead, r.verifyManifest, r.verifyAcks, r.verifyReserve, r.verifyResult} {
		if err := check(&s); err != nil {
			return Statement{}, fmt.Errorf("%w: %w", ErrRecord, err)
		}
	}
	return s, nil
}

func (r Record) verifyHead(s *Statement) error {
	pub, ok := s.View.Replica(protocol.ReplicaID(r.Heading.By))
	if !ok {
		return errors.New("the head is not signed by a replica of this federation")
	}
	heading, err := protocol.Open(s.Federation, r.Heading, pub)
	if err != nil {
		return err
	}
	s.Head = heading.Head
	for _, p := range []Proven{r.Manifest, r.Reserve, r.Result} {
		raw, err := protocol.Canonical(p.Entry)
		if err != nil {
			return err
		}
		if err := tlog.Check(s.Head, p.Entry.Seq, raw, p.Path); err != nil {
			return err
		}
	}
	return nil
}

func (r Record) verifyManifest(s *Statement) error {
	signed, err := decode[protocol.Manifest](r.Manifest.Entry, protocol.LabelManifest)
	if err != nil {
		return err
	}
	author, ok := s.View.Active(protocol.MemberID(signed.By))
	if !ok {
		return errors.New("the manifest is not signed by a member in good standing")
	}
	if s.Manifest, err = protocol.Open(s.Federation, signed, author.Card.Node); err != nil {
		return err
	}
	if s.Manifest.Policies != s.View.Last {
		return errors.New("the manifest was drawn up under other decisions than the record shows")
	}
	s.Initiator = author.Card.ID
	if !slices.Contains(s.Manifest.Participants(), s.Initiator) {
		return errors.New("the initiator does not take part")
	}
	return federation.CheckFloors(s.View.Charter.Floors, s.Manifest)
}

func (r Record) ref(s *Statement) (protocol.RoundRef, error) {
	signed, err := decode[protocol.Manifest](r.Manifest.Entry, protocol.LabelManifest)
	return protocol.RoundRef{Round: s.Manifest.Round, Manifest: protocol.ID(s.Federation, signed)}, err
}

func (r Record) verifyAcks(s *Statement) error {
	ref, err := r.ref(s)
	if err != nil {
		return err
	}
	participants := s.Manifest.Participants()
	if len(r.Acks) != len(participants) {
		return fmt.Errorf("%d of %d participants acknowledged", len(r.Acks), len(participants))
	}
	for i, signed := range r.Acks {
		if protocol.MemberID(signed.By) != participants[i] {
			return errors.New("an acknowledgement is not by the participant whose turn it is")
		}
		member, ok := s.View.Active(participants[i])
		if !ok {
			return fmt.Errorf("%s is not a member in good standing", participants[i])
		}
		ack, err := protocol.Open(s.Federation, signed, member.Card.Node)
		if err != nil {
			return err
		}
		if ack.RoundRef != ref || ack.Refusal != nil {
			return fmt.Errorf("%s did not accept this manifest", participants[i])
		}
		s.Accepted = append(s.Accepted, participants[i])
	}
	return nil
}

func (r Record) verifyReserve(s *Statement) error {
	reserve, err := openReplica[protocol.Reserve](s, r.Reserve.Entry)
	if err != nil {
		return err
	}
	ref, err := r.ref(s)
	if err != nil {
		return err
	}
	cost, err := s.Manifest.Cost()
	if err != nil {
		return err
	}
	if reserve.RoundRef != ref || reserve.Cost != cost || reserve.Left < 0 {
		return errors.New("the reservation is not for this round or not at its cost")
	}
	s.Reserve = reserve
	return nil
}

func (r Record) verifyResult(s *Statement) error {
	result, err := openReplica[protocol.Result](s, r.Result.Entry)
	if err != nil {
		return err
	}
	ref, err := r.ref(s)
	if err != nil {
		return err
	}
	if result.RoundRef != ref {
		return errors.New("the result is not for this round")
	}
	if !(r.Manifest.Entry.Seq < r.Reserve.Entry.Seq && r.Reserve.Entry.Seq < r.Result.Entry.Seq) {
		return errors.New("the result was not reserved for before it was opened")
	}
	if err := federation.CheckResult(s.View.Charter.Floors.MinSize, s.Manifest, result); err != nil {
		return err
	}
	s.Result, s.PublishedAt = result, r.Result.Entry.At
	return nil
}

func decode[T any](e protocol.Entry, label protocol.Label) (protocol.Signed[T], error) {
	if e.Label != label {
		return protocol.Signed[T]{}, fmt.Errorf("entry %d is not a %s", e.Seq, label)
	}
	return protocol.Decode[protocol.Signed[T]](e.Doc)
}

func openReplica[T protocol.Document[key.Replica]](s *Statement, e protocol.Entry) (T, error) {
	var zero T
	signed, err := decode[T](e, zero.Label())
	if err != nil {
		return zero, err
	}
	pub, ok := s.View.Replica(protocol.ReplicaID(signed.By))
	if !ok {
		return zero, fmt.Errorf("the %s is not signed by a replica of this federation", zero.Label())
	}
	return protocol.Open(s.Federation, signed, pub)
}
