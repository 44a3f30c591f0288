package cli

import (
	"fmt"
	"strconv"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// How figures, instants and stages are written for people.

func text(fr, en string) protocol.Text { return protocol.Text{FR: fr, EN: en} }

// number groups digits by three.
func (p *printer) number(n int64) string {
	digits, sign := strconv.FormatInt(n, 10), ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + p.say("\u00a0", ",") + digits[i:]
	}
	return sign + digits
}

// instant is local time with its zone, to the minute.
func (p *printer) instant(m protocol.Millis) string {
	if m == 0 {
		return "–"
	}
	return day(m.Time())
}

// clock is local time, to the second, for a timeline.
func clock(m protocol.Millis) string { return m.Time().Local().Format("2006-01-02 15:04:05") }

// figure is a published figure with its interval, or that there is none.
func (p *printer) figure(f *protocol.Figure, floor dp.Floor) string {
	switch {
	case f == nil:
		return "–"
	case f.Suppressed != "":
		return fmt.Sprintf(p.say("non publié, trop près du plancher de %d", "not published, too near the floor of %d"), floor)
	}
	return fmt.Sprintf(p.say("%s  (%s à %s)", "%s  (%s to %s)"), p.number(f.Value), p.number(f.Low), p.number(f.High))
}

// rho is privacy loss, as a decimal number.
func rho(r dp.NanoRho) string {
	s := r.String()
	for len(s) > 1 && s[len(s)-1] == '0' && s[len(s)-2] != '.' {
		s = s[:len(s)-1]
	}
	return "rho " + s
}

var stages = map[federation.Stage]protocol.Text{
	federation.Proposed:  text("attend les réponses", "waits for answers"),
	federation.Accepted:  text("acceptée, attend le budget", "accepted, waits for the budget"),
	federation.Reserved:  text("budget réservé, clé en route", "budget reserved, key on its way"),
	federation.Keyed:     text("attend les téléversements", "waits for uploads"),
	federation.Opened:    text("calcul en cours", "being computed"),
	federation.Published: text("publiée", "published"),
	federation.Closed:    text("terminée", "closed"),
	federation.Refused:   text("refusée", "refused"),
	federation.Aborted:   text("interrompue", "aborted"),
}

func (p *printer) stage(s federation.Stage) string { return stages[s].In(p.lang) }

var steps = map[protocol.Label]protocol.Text{
	protocol.LabelManifest:   text("proposée", "proposed"),
	protocol.LabelAck:        text("réponse", "answer"),
	protocol.LabelReserve:    text("budget réservé", "budget reserved"),
	protocol.LabelKeyConfirm: text("clé confirmée", "key confirmed"),
	protocol.LabelUpload:     text("téléversement annoncé", "upload announced"),
	protocol.LabelOpening:    text("ouverte, le coût est dépensé", "opened, the cost is spent"),
	protocol.LabelResult:     text("résultat publié", "result published"),
	protocol.LabelCollected:  text("étiquettes reçues", "labels received"),
	protocol.LabelAbort:      text("interrompue", "aborted"),
	protocol.LabelLapse:      text("échue", "lapsed"),
}

var choices = map[protocol.Choice]protocol.Text{
	protocol.For:     text("pour", "for"),
	protocol.Against: text("contre", "against"),
	protocol.Abstain: text("abstention", "abstains"),
}

func day(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }
