package federation

import (
	"slices"

	"coulisse/crypto/dp"
	"coulisse/protocol"
)

// applyOpening spends the reservation, before the matcher sees anything.
func applyOpening(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Opening](tx, e)
	if err != nil {
		return err
	}
	if r, err := FindRound(tx, doc.Round); err == nil && r.Hash == doc.Manifest && r.Stage.opened() {
		return ErrAlready
	}
	r, m, err := findInTime(tx, doc.RoundRef, e.At, Keyed)
	if err != nil {
		return err
	}
	if r.Uploads != len(m.Sources) {
		return refuse("seulement %d sources sur %d ont annoncé leur téléversement; on n'en ouvre jamais une partie",
			"only %d of %d sources have announced their upload; a part of them is never opened", r.Uploads, len(m.Sources))
	}
	ledger := loadOr(tx, ledgerKey, Ledger{})
	ledger.Reserved -= r.Cost
	ledger.Spent += r.Cost
	save(tx, ledgerKey, ledger)
	r.Stage = Opened
	update(tx, r)
	return nil
}

// opened reports whether the cost of a round that has not been stopped is
// spent.
func (s Stage) opened() bool { return s == Opened || s == Published || s == Closed }

func applyResult(tx Tx, e protocol.Entry) error {
	doc, err := openReplica[protocol.Result](tx, e)
	if err != nil {
		return err
	}
	if r, err := FindRound(tx, doc.Round); err == nil && r.Result != nil {
		return ErrAlready
	}
	r, err := findStage(tx, doc.RoundRef, Opened)
	if err != nil {
		return err
	}
	m := r.Content()
	floor, err := MinSize(tx, r)
	if err != nil {
		return err
	}
	if err := CheckResult(floor, m, doc); err != nil {
		return err
	}
	r.Result, r.ResultSeq = &doc, e.Seq
	r.Stage = Published
	if len(m.Recipients) == 0 {
		r.Stage = Closed
	}
	update(tx, r)
	return nil
}

// MinSize is the floor that a round's figures clear: the one under which the
// participants agreed, or the present one if it was raised since.
func MinSize(tx Tx, r Round) (dp.Floor, error) {
	view, err := View(tx)
	return max(r.MinSize, view.Charter.Floors.MinSize), err
}

// CheckResult holds figures against the manifest: the right sources, the
// agreed noise, nothing under the floor, and the interval that the noise
// gives. The numbers themselves are the matcher's word.
func CheckResult(floor dp.Floor, m protocol.Manifest, result protocol.Result) error {
	if len(result.Sources) != len(m.Sources) {
		return misfit()
	}
	parts := make([]protocol.Figure, len(m.Sources))
	for i, figure := range result.Sources {
		if figure.Source != m.Sources[i].Name {
			return misfit()
		}
		parts[i] = figure.Figure
	}
	if err := checkFigures(floor, m.Noise.Total, result.Size); err != nil {
		return err
	}
	return checkFigures(floor, m.Noise.Sources, parts...)
}

func misfit() error {
	return refuse("le résultat ne convient pas à son manifeste", "the result does not fit its manifest")
}

// confidence of the published intervals, in percent.
const confidence = 95

func checkFigures(floor dp.Floor, noise dp.Variance, figures ...protocol.Figure) error {
	width := int64(-1) // not computed yet: it takes a while
	for _, f := range figures {
		if f.Variance != noise {
			return misfit()
		}
		if f.Suppressed != "" {
			continue
		}
		if !dp.Publishable(f.Value, floor, noise) {
			return refuse("un chiffre est publié sous le seuil de la charte", "a figure is published under the charter's floor")
		}
		if width < 0 {
			var err error
			if width, err = dp.HalfWidth(noise, confidence); err != nil {
				return err
			}
		}
		if f.Low != max(0, f.Value-width) || f.High != f.Value+width {
			return refuse("l'intervalle d'un chiffre n'est pas celui de son bruit", "the interval of a figure is not that of its noise")
		}
	}
	return nil
}

func applyCollected(tx Tx, e protocol.Entry) error {
	doc, by, _, err := openNode[protocol.Collected](tx, e)
	if err != nil {
		return err
	}
	if HasCollected(tx, doc.Round, doc.Source) {
		return ErrAlready
	}
	r, err := findStage(tx, doc.RoundRef, Published)
	if err != nil {
		return err
	}
	m := r.Content()
	if !slices.Contains(m.Recipients, doc.Source) || m.Owner(doc.Source) != by {
		return refuse("le membre %s n'est pas le destinataire de cette source",
			"the member %s is not the recipient behind this source", by)
	}
	save(tx, collectedKey(r.ID, doc.Source), true)
	if r.Collected++; r.Collected == len(m.Recipients) {
		r.Stage = Closed
	}
	update(tx, r)
	return nil
}
