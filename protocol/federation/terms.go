package federation

import (
	"coulisse/crypto/oprf"
	"coulisse/protocol"
)

// Terms are the ceremony's terms in the words of package oprf. They enter
// every proof of possession, so stewards take them from here too.
func (c Ceremony) Terms(namespace protocol.Namespace) (oprf.Ceremony, error) {
	terms := oprf.Ceremony{
		Namespace: string(namespace),
		Epoch:     uint32(c.Attempt.Epoch),
		// Number is below 256, so no two attempts of an epoch share this.
		Attempt:   uint32(c.Attempt.Roll)<<8 | uint32(c.Attempt.Number),
		Threshold: c.Threshold,
		Dealers:   indexes(c.Dealers),
		Receivers: indexes(c.Receivers),
	}
	if c.Old != nil {
		old, err := oprf.ParsePublicKey(c.Old.PublicKey)
		if err != nil {
			return terms, err
		}
		terms.Previous = old
	}
	return terms, terms.Check()
}

func indexes(holders []Holder) oprf.Set {
	set := make(oprf.Set, len(holders))
	for i, h := range holders {
		set[i] = oprf.Index(h.Index)
	}
	return set
}

// Dealings are what all dealers of the attempt posted, in their order.
func (c Ceremony) Dealings(tx Tx) ([]*oprf.Dealing, error) {
	dealings := make([]*oprf.Dealing, 0, len(c.Dealers))
	for _, dealer := range c.Dealers {
		deal, ok := FindDeal(tx, c.Attempt, dealer.Member)
		if !ok {
			return nil, refuse("le membre %s n'a pas encore distribué ses parts", "the member %s has not dealt yet", dealer.Member)
		}
		dealing, err := oprf.ParseDealing(deal.Dealing)
		if err != nil {
			return nil, err
		}
		dealings = append(dealings, dealing)
	}
	return dealings, nil
}

// checkDeal verifies what anybody can: the proof of possession, and in a
// handing-on that the dealer deals its own share. It also wants one sealed
// share a receiver.
func (c Ceremony) checkDeal(tx Tx, dealer Holder, doc protocol.Deal) error {
	view, err := View(tx)
	if err != nil {
		return err
	}
	terms, err := c.Terms(view.Charter.Namespace)
	if err != nil {
		return err
	}
	dealing, err := oprf.ParseDealing(doc.Dealing)
	if err != nil {
		return refuse("la distribution de parts est illisible", "the dealing does not decode")
	}
	if dealing.Dealer() != oprf.Index(dealer.Index) {
		return refuse("cette distribution de parts est celle d'un autre gardien", "the dealing is another steward's")
	}
	if err := terms.VerifyDealing(dealing); err != nil {
		return refuse("la preuve de la distribution de parts est fausse", "the dealing does not verify")
	}
	if len(doc.Shares) != len(c.Receivers) {
		return refuse("une distribution a une part scellée par destinataire", "a deal has one sealed share a receiver")
	}
	for _, s := range doc.Shares {
		if _, ok := findHolder(c.Receivers, s.To); !ok {
			return noReceiver(s.To)
		}
	}
	return nil
}

// publicKey is the key that follows from all dealings.
func (c Ceremony) publicKey(tx Tx) ([]byte, error) {
	view, err := View(tx)
	if err != nil {
		return nil, err
	}
	terms, err := c.Terms(view.Charter.Namespace)
	if err != nil {
		return nil, err
	}
	dealings, err := c.Dealings(tx)
	if err != nil {
		return nil, err
	}
	key, err := terms.PublicKey(dealings)
	if err != nil {
		return nil, err
	}
	return key.MarshalBinary()
}
