package policies

import (
	"coulisse/crypto/dp"
	"coulisse/protocol"
)

// Request is what a manifest asks, with what the reader of the log knows about
// it. [About] fills the part that the manifest says.
//
// A request that is incomplete is denied, so a forgotten field never permits.
type Request struct {
	Federation protocol.Namespace
	Operation  protocol.Operation
	// At is the instant that the coordinator stamped on the manifest, so that
	// everybody decides as of the same day.
	At protocol.Millis

	Initiator    Party
	Participants []Party // those with a source
	Recipients   []Party // those that learn the labels of their own people; may be empty
	// Definitions are those of the sources, one each.
	Definitions []protocol.Definition

	// MinMembers is how many different members must know a person before the
	// rule can hold.
	MinMembers int
	// Named are members that some label would name for certain: see [Named].
	Named []protocol.MemberID
	// Excluded are members whose people the rule leaves out: see [Excluded].
	Excluded []protocol.MemberID

	// Purposes are what the people counted have consented to.
	Purposes []protocol.Purpose

	Noise      protocol.Noise
	Cost       dp.NanoRho // of the whole round
	BudgetLeft dp.NanoRho // without this round's own reservation, with all others
	Floors     protocol.Floors

	// RecentLabels is how many rounds gave labels to one recipient in the
	// [HistoryDays] before At; for several, the largest of their counts. It must
	// be counted when there are recipients.
	RecentLabels Count
}

// HistoryDays is how far back [Request.RecentLabels] looks.
const HistoryDays = 30

// Party is a member as policies see it.
type Party struct {
	ID           protocol.MemberID
	Kind         protocol.MemberKind
	GoodStanding bool
}

// Count is a number that somebody counted. The zero Count says that nobody did,
// which is not the same as none.
type Count struct {
	n       int
	counted bool
}

// Counted is the result of counting.
func Counted(n int) Count { return Count{n, true} }

// powers lists what a request asks for.
func (r Request) powers() []power {
	if len(r.Recipients) == 0 {
		return []power{powerMatch}
	}
	return []power{powerMatch, powerActivate}
}

// fault is the first part of a request that is missing or malformed, in words;
// the zero Text if there is none.
func (r Request) fault() protocol.Text {
	for _, part := range []struct {
		ok     bool
		fr, en string
	}{
		{r.Operation == protocol.OperationMatch, "l'opération", "the operation"},
		{r.Federation.Check() == nil && r.At > 0, "la fédération ou l'instant", "the federation or the instant"},
		{distinct([]Party{r.Initiator}), "le demandeur", "the requester"},
		{len(r.Participants) > 0 && distinct(r.Participants), "les participants", "the participants"},
		{distinct(r.Recipients), "les destinataires", "the recipients"},
		{r.consistent(), "un même membre décrit de deux façons", "one member described in two ways"},
		{definitionsOK(r.Definitions), "les définitions", "the definitions"},
		{r.MinMembers >= 0 && r.MinMembers <= protocol.MaxMembers, "le seuil de membres", "the threshold of members"},
		{allOK(r.Named) && allOK(r.Excluded), "les membres de la règle", "the members of the rule"},
		{len(r.Purposes) > 0 && allOK(r.Purposes), "les consentements", "the consents"},
		{r.Noise.Total.Check() == nil && r.Noise.Sources.Check() == nil, "le brouillage", "the noise"},
		{r.Cost > 0 && r.BudgetLeft >= 0, "le coût ou le budget", "the cost or the budget"},
		{r.Floors.Check() == nil, "les planchers de la charte", "the charter's floors"},
		{r.RecentLabels.n >= 0 && (len(r.Recipients) == 0 || r.RecentLabels.counted),
			"le compte des étiquettes déjà remises", "the count of labels already given"},
	} {
		if !part.ok {
			return protocol.Text{FR: part.fr, EN: part.en}
		}
	}
	return protocol.Text{}
}

// distinct reports whether parties are well formed, and each there once.
func distinct(parties []Party) bool {
	seen := map[protocol.MemberID]bool{}
	for _, p := range parties {
		if p.ID.Check() != nil || p.Kind.Check() != nil || seen[p.ID] {
			return false
		}
		seen[p.ID] = true
	}
	return len(parties) <= protocol.MaxMembers
}

// consistent reports whether a member that appears in several roles is
// described alike in all.
func (r Request) consistent() bool {
	known := map[protocol.MemberID]Party{}
	for _, p := range r.everybody() {
		if first, ok := known[p.ID]; ok && first != p {
			return false
		}
		known[p.ID] = p
	}
	return true
}

func (r Request) everybody() []Party {
	all := append([]Party{r.Initiator}, r.Participants...)
	return append(all, r.Recipients...)
}

func definitionsOK(definitions []protocol.Definition) bool {
	return len(definitions) > 0 && len(definitions) <= protocol.MaxSources && allOK(definitions)
}

func allOK[T interface{ Check() error }](list []T) bool {
	for _, v := range list {
		if v.Check() != nil {
			return false
		}
	}
	return true
}
