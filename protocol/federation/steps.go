package federation

import (
	"coulisse/crypto/key"
	"coulisse/protocol"
)

// step is a document of a key ceremony.
type step interface {
	protocol.Document[key.Node]
	Of() protocol.Attempt
}

// openStep verifies a step and checks that it belongs to the attempt under way.
func openStep[T step](tx Tx, e protocol.Entry) (doc T, by protocol.MemberID, c Ceremony, err error) {
	if doc, by, _, err = openNode[T](tx, e); err != nil {
		return doc, by, c, err
	}
	c, ok := CurrentCeremony(tx)
	if !ok || c.Attempt != doc.Of() || c.Done || c.Failed {
		return doc, by, c, refuse("cette tentative de la cérémonie de clé n'est pas en cours",
			"this attempt of the key ceremony is not under way")
	}
	return doc, by, c, nil
}

func applyHello(tx Tx, e protocol.Entry) error {
	doc, by, c, err := openStep[protocol.Hello](tx, e)
	if err != nil {
		return err
	}
	if _, ok := findHolder(c.Receivers, by); !ok {
		return noReceiver(by)
	}
	if said, ok := FindHello(tx, doc.Attempt, by); ok {
		return again([]byte(said.Envelope), []byte(doc.Envelope))
	}
	save(tx, ceremonyKey("hello", doc.Attempt, by), doc)
	c.Hellos++
	c.Since = e.At
	save(tx, "ceremony", c)
	return nil
}

func applyDeal(tx Tx, e protocol.Entry) error {
	doc, by, c, err := openStep[protocol.Deal](tx, e)
	if err != nil {
		return err
	}
	dealer, ok := findHolder(c.Dealers, by)
	if !ok {
		return refuse("le membre %s ne distribue pas de parts dans cette cérémonie",
			"the member %s deals no shares in this ceremony", by)
	}
	if _, ok := FindDeal(tx, doc.Attempt, by); ok {
		return ErrAlready
	}
	if c.Hellos != len(c.Receivers) {
		return refuse("il manque la clé d'enveloppe d'un gardien; attendez-la",
			"a receiver's envelope key is missing; wait for it")
	}
	if err := c.checkDeal(tx, dealer, doc); err != nil {
		return err
	}
	save(tx, ceremonyKey("deal", doc.Attempt, by), doc)
	c.Deals++
	c.Since = e.At
	save(tx, "ceremony", c)
	return nil
}

func applyReady(tx Tx, e protocol.Entry) error {
	doc, by, c, err := openStep[protocol.Ready](tx, e)
	if err != nil {
		return err
	}
	if _, ok := findHolder(c.Receivers, by); !ok {
		return noReceiver(by)
	}
	if HasReady(tx, doc.Attempt, by) {
		return ErrAlready
	}
	if c.Deals != len(c.Dealers) {
		return refuse("il manque une distribution de parts; attendez-la",
			"a dealer has not dealt yet; wait for it")
	}
	if c.PublicKey == nil {
		if c.PublicKey, err = c.publicKey(tx); err != nil {
			return err
		}
	}
	if string(doc.PublicKey) != string(c.PublicKey) {
		return refuse("la clé publique annoncée ne découle pas des parts distribuées",
			"the stated public key does not follow from the deals")
	}
	save(tx, ceremonyKey("ready", doc.Attempt, by), true)
	c.Since = e.At
	if c.Readies++; c.Readies == len(c.Receivers) {
		c.Done = true
		keepKey(tx, Key{
			Epoch: c.Attempt.Epoch, Attempt: c.Attempt, PublicKey: c.PublicKey,
			Holders: c.Receivers, Threshold: c.Threshold, Made: e.At, Shared: e.At,
		})
	}
	return stand(tx, c, e.At)
}

func noReceiver(id protocol.MemberID) error {
	return refuse("le membre %s ne reçoit pas de part dans cette cérémonie",
		"the member %s receives no share in this ceremony", id)
}

// applyComplaint begins the next attempt without the accused. A steward that
// complains falsely only removes somebody for whom the members can vote again;
// a bad share believed would break the key.
func applyComplaint(tx Tx, e protocol.Entry) error {
	doc, by, c, err := openStep[protocol.Complaint](tx, e)
	if err != nil {
		return err
	}
	if _, ok := findHolder(c.Receivers, by); !ok {
		return noReceiver(by)
	}
	_, dealt := FindDeal(tx, doc.Attempt, doc.Against)
	accuser := by
	switch {
	case dealt && !HasReady(tx, doc.Attempt, by):
		err = c.checkBadDeal(tx, by, doc.Against)
	case c.Awaits(tx, doc.Against):
		accuser = "" // silence is there for all to see
		err = c.checkSilence(doc.Against, e.At)
	default:
		err = refuse("une plainte vise un membre qui a distribué une mauvaise part, avant qu'on ait soi-même déclaré que tout va bien, ou un membre que la cérémonie attend",
			"a complaint is against a dealer, before one's own statement that all is well, or against a member for whom the ceremony waits")
	}
	if err != nil {
		return err
	}
	return stand(tx, c.without(doc.Against, accuser, e.At), e.At)
}

// Patience is how long an attempt stands still before whoever holds it up may
// be left out: long enough for a house that is closed for a long weekend.
const Patience = protocol.Span(96 * 3600 * 1000)

// Awaits reports whether the attempt waits for this member.
func (c Ceremony) Awaits(tx Tx, id protocol.MemberID) bool {
	_, receives := findHolder(c.Receivers, id)
	_, deals := findHolder(c.Dealers, id)
	switch {
	case c.Hellos < len(c.Receivers):
		_, done := FindHello(tx, c.Attempt, id)
		return receives && !done
	case c.Deals < len(c.Dealers):
		_, done := FindDeal(tx, c.Attempt, id)
		return deals && !done
	}
	return receives && !HasReady(tx, c.Attempt, id)
}

func (c Ceremony) checkSilence(against protocol.MemberID, at protocol.Millis) error {
	if protocol.Span(at-c.Since) > Patience {
		return nil
	}
	return refuse("le membre %s a encore le temps de répondre; une plainte pour silence attend %s",
		"the member %s still has time to answer; a complaint of silence waits %s", against, Patience)
}

// checkBadDeal bounds how many a member may accuse in a roll by how many the
// roll can lose, or one false steward could accuse all others and end it.
func (c Ceremony) checkBadDeal(tx Tx, by, against protocol.MemberID) error {
	if _, ok := findHolder(c.Dealers, against); !ok {
		return refuse("une plainte vise un membre qui distribue des parts", "a complaint is against a dealer")
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	made := 0
	for _, accuser := range c.Accusers {
		if accuser == by {
			made++
		}
	}
	if most := max(1, len(view.Stewards.Members)-c.Threshold); made >= most {
		return refuse("le membre %s s'est déjà plaint %d fois, plus que ce collège ne peut perdre; élisez d'autres gardiens",
			"the member %s has complained %d times, more than this roll can lose; elect other stewards", by, made)
	}
	return nil
}
