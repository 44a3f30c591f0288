package federation

import (
	"slices"

	"coulisse/protocol"
)

// The steps of a round until everything is there to open.

// findStage finds the round that a document speaks of, in one of the stages in
// which it may.
func findStage(tx Tx, ref protocol.RoundRef, stages ...Stage) (Round, error) {
	r, err := FindRound(tx, ref.Round)
	if err != nil {
		return r, err
	}
	if r.Hash != ref.Manifest {
		return r, refuse("ce document répond à un autre manifeste que celui de cette ronde",
			"this document answers another manifest than this round's")
	}
	if !slices.Contains(stages, r.Stage) {
		return r, wrongStage(r)
	}
	return r, nil
}

func wrongStage(r Round) error {
	fr, en := r.Stage.words()
	return protocol.Refusal{Kind: ErrRefused, Text: protocol.Text{
		FR: "ce document vient trop tôt ou trop tard\u00a0: la ronde " + fr,
		EN: "this document comes too early or too late: the round " + en,
	}}
}

// findInTime is findStage before the round's deadline: nothing goes on after it.
func findInTime(tx Tx, ref protocol.RoundRef, at protocol.Millis, stages ...Stage) (Round, protocol.Manifest, error) {
	r, err := findStage(tx, ref, stages...)
	if err != nil {
		return r, protocol.Manifest{}, err
	}
	m := r.Content()
	if at > m.Deadline {
		return r, m, refuse("l'échéance de la ronde est passée; proposez-la de nouveau",
			"the round's deadline has passed; propose it again")
	}
	return r, m, nil
}

func notInRound(id protocol.MemberID) error {
	return refuse("le membre %s ne participe pas à cette ronde", "the member %s does not take part in this round", id)
}

func isParticipant(m protocol.Manifest, id protocol.MemberID) bool {
	return slices.Contains(m.Participants(), id)
}

func applyManifest(tx Tx, e protocol.Entry) error {
	m, by, hash, err := openNode[protocol.Manifest](tx, e)
	if err != nil {
		return err
	}
	if known, err := FindRound(tx, m.Round); err == nil {
		if known.Hash == hash {
			return ErrAlready
		}
		return refuse("une ronde porte déjà ce numéro; tirez-en un autre", "another round has this number; draw another")
	}
	floors, err := checkManifest(tx, m, by, e.At)
	if err != nil {
		return err
	}
	s, err := protocol.Decode[protocol.Signed[protocol.Manifest]](e.Doc)
	if err != nil {
		return err
	}
	cost, err := m.Cost()
	if err != nil {
		return err
	}
	return begin(tx, Round{
		ID: m.Round, Manifest: s, Hash: hash, Cost: cost, MinSize: floors.MinSize,
		At: e.At, Stage: Proposed, ManifestSeq: e.Seq,
	}, by)
}

// checkManifest holds a manifest against the charter. Policies are the
// participants' business.
func checkManifest(tx Tx, m protocol.Manifest, by protocol.MemberID, at protocol.Millis) (protocol.Floors, error) {
	view, err := View(tx)
	if err != nil {
		return protocol.Floors{}, err
	}
	floors := view.Charter.Floors
	if !isParticipant(m, by) {
		return floors, refuse("l'initiateur distribue la clé de ronde et doit participer",
			"the initiator deals the round key and must take part")
	}
	for _, id := range m.Participants() {
		if _, ok := view.Active(id); !ok {
			return floors, notActive(protocol.PartyID(id))
		}
	}
	if m.Policies != view.Last {
		return floors, refuse("les membres ont pris une décision depuis la rédaction du manifeste; rédigez-le de nouveau",
			"the members have decided since the manifest was drawn up; draw it up again")
	}
	epoch, err := RoundEpoch(tx, m.Participants())
	if err != nil {
		return floors, err
	}
	if m.Epoch != epoch {
		return floors, refuse("la ronde serait sous l'époque de clé %d; c'est maintenant la %d que ses participants ont tous, rédigez-la de nouveau",
			"the round would be under key epoch %d; its participants now all have %d, draw it up again", m.Epoch, epoch)
	}
	if left := protocol.Span(m.Deadline - at); left <= 0 || left > protocol.MaxRound {
		return floors, refuse("l'échéance d'une ronde est à venir, dans %s au plus",
			"the deadline of a round is to come, within %s", protocol.MaxRound)
	}
	return floors, CheckFloors(floors, m)
}

// CheckFloors holds a manifest against the charter's floors.
func CheckFloors(floors protocol.Floors, m protocol.Manifest) error {
	cost, err := m.Cost()
	if err != nil {
		return err
	}
	switch {
	case m.Rule.MinMembers(m.Owner) < floors.MinMembers:
		return refuse("la règle peut retenir une personne que moins de %d membres connaissent; demandez-en au moins %[1]d",
			"the rule can hold for a person whom fewer than %d members know; ask for at least %[1]d", floors.MinMembers)
	case len(m.Participants()) < floors.MinParticipants:
		return refuse("une ronde a au moins %d participants; invitez-en d'autres",
			"a round has at least %d participants; invite others", floors.MinParticipants)
	case m.Noise.Total < floors.MinVariance || m.Noise.Sources < floors.MinVariance:
		return refuse("la variance du bruit est d'au moins %d", "the variance of the noise is at least %d", floors.MinVariance)
	case cost > floors.MaxRoundCost:
		return refuse("une ronde coûte au plus %d nano-rho, celle-ci %d; demandez moins de précision",
			"a round costs at most %d nano-rho, this one %d; ask for less precision", floors.MaxRoundCost, cost)
	}
	return nil
}

func applyAck(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.Ack](tx, e)
	if err != nil {
		return err
	}
	s, err := protocol.Decode[protocol.Signed[protocol.Ack]](e.Doc)
	if err != nil {
		return err
	}
	if said, ok := load[protocol.Signed[protocol.Ack]](tx, ackKey(doc.Round, by)); ok {
		return again(said.Body, s.Body)
	}
	r, m, err := findInTime(tx, doc.RoundRef, e.At, Proposed)
	if err != nil {
		return err
	}
	if !isParticipant(m, by) {
		return notInRound(by)
	}
	save(tx, ackKey(r.ID, by), s)
	r.Acks++
	switch {
	case doc.Refusal != nil:
		r.Stage, r.Reason, r.By = Refused, doc.Refusal, protocol.PartyID(by)
	case r.Acks == len(m.Participants()):
		r.Stage = Accepted
	}
	update(tx, r)
	return nil
}

func applyKeyConfirm(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.KeyConfirm](tx, e)
	if err != nil {
		return err
	}
	if said, ok := load[protocol.Hash](tx, confirmKey(doc.Round, by)); ok {
		return again(said[:], doc.MAC[:])
	}
	r, m, err := findInTime(tx, doc.RoundRef, e.At, Reserved)
	if err != nil {
		return err
	}
	if !isParticipant(m, by) {
		return notInRound(by)
	}
	save(tx, confirmKey(r.ID, by), doc.MAC)
	r.Confirms++
	switch {
	case r.MAC != nil && *r.MAC != doc.MAC:
		// Which of the two has the wrong key, the log cannot tell.
		end(tx, &r, Aborted, "", protocol.Text{
			FR: "Deux participants n'ont pas reçu la même clé de ronde. Recommencez avec un nouveau manifeste.",
			EN: "Two participants did not receive the same round key. Start again with a new manifest.",
		})
	case r.Confirms == len(m.Participants()):
		r.Stage = Keyed
	}
	if r.MAC == nil {
		r.MAC = &doc.MAC
	}
	update(tx, r)
	return nil
}

func applyUpload(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.Upload](tx, e)
	if err != nil {
		return err
	}
	r, err := FindRound(tx, doc.Round)
	if err != nil {
		return err
	}
	if r.Content().Owner(doc.Source) != by {
		return refuse("le membre %s n'a pas de source de ce nom dans la ronde",
			"the member %s has no source of this name in the round", by)
	}
	if said, ok := UploadDigest(tx, doc.Round, doc.Source); ok {
		return again(said[:], doc.Digest[:])
	}
	if r, _, err = findInTime(tx, doc.RoundRef, e.At, Keyed); err != nil {
		return err
	}
	save(tx, uploadKey(r.ID, doc.Source), doc.Digest)
	r.Uploads++
	update(tx, r)
	return nil
}
