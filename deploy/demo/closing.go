package demo

import (
	"context"

	"coulisse/protocol"
)

var (
	endTitle  = text("Ce que la fédération a trouvé, et ce qui est vrai", "What the federation found, and what is true")
	endTale   = text("On ne connaît la vérité que parce que ces gens sont inventés\u00a0: un petit programme les a comptés tous ensemble, ce qu’une vraie fédération ne peut jamais faire.", "The truth is known only because these people are invented: a small program has counted them all in one place, which a real federation can never do.")
	endNote   = text("95\u00a0%\u00a0: un intervalle sur vingt manque le vrai nombre, et on ne peut pas savoir lequel.", "95%: one interval in twenty misses the truth, and nobody can tell which.")
	workTitle = text("Ce que cela a demandé", "What it took")
	workNote  = text(
		"Octets\u00a0: tout ce que cette machine s’est envoyé à elle-même pendant l’acte, soit les messages des nœuds et la réplication entre les trois répliques, avec TLS et TCP, et d’autres programmes s’il y en a.",
		"Bytes: everything that this machine sent to itself during the act: what nodes send and replication among the three replicas, with TLS and TCP, and other programs if there are any.")
	memoryTitle = text("Mémoire la plus grande de chaque processus", "Peak memory of each process")
)

// conclude compares with the truth, and says what everything took.
func (s *story) conclude(ctx context.Context) error {
	s.outcome.Truth = s.truth.AtLeast(atLeast)
	s.outcome.TrueLabels = s.truth.Labelled(newspaper, atLeast)
	s.screen.title(s.screen.say(endTitle))
	s.screen.paragraph(s.screen.say(endTale))
	s.screen.table(s.findings())
	s.screen.blank()
	s.screen.paragraph(s.screen.say(endNote))
	s.screen.title(s.screen.say(workTitle))
	s.screen.table(s.work())
	s.screen.blank()
	if t := s.memory(); t != nil {
		s.screen.title(s.screen.say(memoryTitle))
		s.screen.table(t)
		s.screen.blank()
	}
	if s.measured() {
		s.screen.paragraph(s.screen.say(workNote))
	}
	return ctx.Err()
}

// findings are the published figures beside the truth.
func (s *story) findings() *table {
	say := func(fr, en string) string { return s.screen.say(text(fr, en)) }
	t := &table{columns: []column{
		left(""), right(say("Trouvé", "Found")), right(say("Intervalle à 95\u00a0%", "95% interval")),
		right(say("Vrai", "True")), left(say("Tient", "Holds")),
	}}
	lang := s.screen.lang
	figure := func(name string, f protocol.Figure, truth int) {
		if f.Suppressed != "" {
			t.add(name, "–", "–", number(int64(truth), lang), say("retenu", "withheld"))
			return
		}
		held := say("non", "no")
		if f.Low <= int64(truth) && int64(truth) <= f.High {
			held = say("oui", "yes")
		}
		t.add(name, number(f.Value, lang), number(f.Low, lang)+"–"+number(f.High, lang), number(int64(truth), lang), held)
	}
	exact := func(name string, found, truth int) {
		held := say("non", "no")
		if found == truth {
			held = say("oui", "yes")
		}
		t.add(name, number(int64(found), lang), say("exact", "exact"), number(int64(truth), lang), held)
	}
	o := s.outcome
	figure(say("Gens dans l’audience", "People in the audience"), o.Result.Size, o.Truth)
	for _, source := range o.Result.Sources {
		if source.Source == protocol.SourceName(newspaper) {
			figure(say("  dont lecteurs du journal", "  readers of the newspaper"), source.Figure, o.TrueLabels.Pooled)
		}
	}
	exact(say("Lecteurs étiquetés, au journal", "Readers labelled, at the newspaper"), o.Labels.Pooled, o.TrueLabels.Pooled)
	exact(say("  dont joignables par la campagne", "  who may see the campaign"), o.Labels.Addressed, o.TrueLabels.Addressed)
	return t
}

// measured reports whether this system counts bytes.
func (s *story) measured() bool { return loopbackBytes() > 0 }

func (s *story) work() *table {
	say := func(fr, en string) string { return s.screen.say(text(fr, en)) }
	lang := s.screen.lang
	t := &table{totals: true, columns: []column{
		left(say("Acte", "Act")), right(say("Combien", "How many")), right(say("Temps", "Time")), right(say("Octets", "Bytes")),
	}}
	var total deed
	for _, d := range s.deeds {
		t.add(d.title.In(lang), d.count, seconds(d.took, lang), s.bytes(d.bytes))
		total.took, total.bytes = total.took+d.took, total.bytes+d.bytes
	}
	t.add(say("En tout", "In all"), "", seconds(total.took, lang), s.bytes(total.bytes))
	return t
}

func (s *story) bytes(n int64) string {
	if !s.measured() {
		return "–"
	}
	return size(n, s.screen.lang)
}

// memory is a table of two processes a line; nil where it is not known.
func (s *story) memory() *table {
	heading := left(s.screen.say(text("Processus", "Process")))
	peak := right(s.screen.say(text("Mémoire", "Memory")))
	t := &table{columns: []column{heading, peak, heading, peak}}
	var cells []string
	for _, p := range append(s.f.Replicas[:len(s.f.Replicas):len(s.f.Replicas)], s.f.Nodes...) {
		most := p.Peak()
		if most == 0 {
			return nil
		}
		cells = append(cells, p.Name, size(most, s.screen.lang))
		if len(cells) == len(t.columns) {
			t.add(cells...)
			cells = nil
		}
	}
	if len(cells) > 0 {
		t.add(append(cells, make([]string, len(t.columns)-len(cells))...)...)
	}
	return t
}

var keepTale = text(
	"La fédération tourne jusqu’à Ctrl-C. Tout est dans %s\u00a0: un dossier par membre, coordinator/ pour les répliques et le bureau, logs/ pour les journaux de chaque processus, et dans commands.txt chaque commande qui a été lancée. À essayer dans un autre terminal\u00a0:",
	"The federation runs until Ctrl-C. Everything is in %s: a folder for each member, coordinator/ for the replicas and the office, logs/ with what each process says, and in commands.txt every command that was run. To try in another terminal:")

var leftTale = text("Tout est arrêté. Le dossier reste\u00a0: %s", "Everything has stopped. The folder stays: %s")

// leave says where everything is and what to try.
func (s *story) leave() {
	s.screen.paragraph(s.screen.say(keepTale, s.f.Dir))
	s.screen.command("cd " + quoted(s.f.Dir))
	for _, args := range [][]string{
		{"node", "status", "--dir", string(initiator)},
		{"coordinator", "status", "--dir", dirOffice},
		{"proposal", "list", "--dir", string(newspaper)},
		{"audience", "show", string(s.outcome.Round), "--dir", string(initiator)},
		{"audience", "propose", fileOneHouse, "--dir", string(initiator)},
		{"audience", "people", string(s.outcome.Round), "--dir", string(newspaper)},
	} {
		s.screen.command(s.f.shell.line(args))
	}
	s.screen.blank()
}
