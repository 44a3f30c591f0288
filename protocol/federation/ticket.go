package federation

import (
	"fmt"

	"coulisse/protocol"
)

// Tickets is what a member has had tokenised in an epoch.
type Tickets struct {
	Sequence int64 `json:"sequence"` // of the last ticket
	Total    int64 `json:"total"`    // elements of all tickets
}

// TicketsOf sums a member's tickets of an epoch.
func TicketsOf(tx Tx, id protocol.MemberID, epoch protocol.Epoch) Tickets {
	return loadOr(tx, ticketsKey(id, epoch), Tickets{})
}

// FindTicket finds a committed ticket of a member.
func FindTicket(tx Tx, id protocol.MemberID, epoch protocol.Epoch, sequence int64) (protocol.Ticket, bool) {
	return load[protocol.Ticket](tx, ticketKey(id, epoch, sequence))
}

func ticketsKey(id protocol.MemberID, epoch protocol.Epoch) string {
	return fmt.Sprintf("tickets/%s/%08d", id, epoch)
}

func ticketKey(id protocol.MemberID, epoch protocol.Epoch, sequence int64) string {
	return fmt.Sprintf("ticket/%s/%08d/%016x", id, epoch, sequence)
}

func applyTicket(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.Ticket](tx, e)
	if err != nil {
		return err
	}
	view, err := View(tx)
	if err != nil {
		return err
	}
	if key, ok := ActiveKey(tx); !ok || key.Epoch != doc.Epoch {
		return refuse("le billet nomme une autre époque de clé que la plus récente en usage",
			"the ticket names another key epoch than the newest in use")
	}
	sum := TicketsOf(tx, by, doc.Epoch)
	if said, ok := FindTicket(tx, by, doc.Epoch, doc.Sequence); ok && said == doc {
		return ErrAlready
	}
	if doc.Sequence != sum.Sequence+1 {
		return refuse("le prochain billet du membre %s porte le numéro %d",
			"the next ticket of the member %s has the number %d", by, sum.Sequence+1)
	}
	sum.Sequence, sum.Total = doc.Sequence, sum.Total+int64(doc.Count)
	if most := allowance(tx, by, doc.Epoch, view.Charter.Allowance); sum.Total > most {
		return refuse("le membre %s a épuisé son allocation de %d identifiants pour cette époque de clé; les membres peuvent en voter une plus grande",
			"the member %s has used its allowance of %d identifiers for this key epoch; the members can vote a larger one", by, most)
	}
	save(tx, ticketsKey(by, doc.Epoch), sum)
	save(tx, ticketKey(by, doc.Epoch, doc.Sequence), doc)
	return nil
}

// allowance is how many identifiers a member may have tokenised in an epoch:
// what the charter says, and never fewer than in the epoch before, whose people
// it may keep if the charter allows less by now. What is made again counts
// like anything else, so an epoch leaves as much for new people as the last.
func allowance(tx Tx, id protocol.MemberID, epoch protocol.Epoch, voted int64) int64 {
	return max(voted, TicketsOf(tx, id, epoch-1).Total)
}
