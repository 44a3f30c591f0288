package cli

import (
	"fmt"
	"slices"
	"strings"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/command"
	"coulisse/protocol/federation"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
)

func audienceCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audience",
		Short: l.say("Les audiences mutualisées", "Pooled audiences"),
		Long: l.say("Une audience mutualisée compte les personnes que plusieurs membres connaissent, sans qu'aucun montre lesquelles.\nSon fichier s'écrit en YAML\u00a0:\n\n",
			"A pooled audience counts the people whom several members know, without any of them showing whom.\nIts file is written in YAML:\n\n") + exampleFile,
	}
	cmd.AddCommand(audiencePropose(l), audienceRun(l), audienceList(l), audienceShow(l), audiencePeople(l), audienceExport(l), audienceVerify(l))
	return cmd
}

const exampleFile = `  title: {fr: "Amateurs de danse", en: "Dance lovers"}
  definition: {disciplines: [dance.contemporary], from: 2025-09-01, min_visits: 2}
  houses: all                 # or a list of members
  rule: {at_least: 3}
  recipients: [le-phare]      # who learns it of their own people
  noise: {total: 400, sources: 1600}
  deadline: 1h`

func audiencePropose(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "propose FILE.yaml",
		Short: l.say("Rédiger une audience et la juger ici, sans rien envoyer", "Draw an audience up and judge it here, without sending anything"),
		Args:  command.Arguments("FILE.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := drawUp(cmd, args[0])
			if err != nil {
				return err
			}
			if err := listing(cmd, d, func(p *printer) { p.draft(d) }); err != nil {
				return err
			}
			return denialOf(d)
		},
	}))
}

func (p *printer) draft(d node.Draft) {
	m := d.Manifest
	p.line("%s", "%s", m.Title.In(p.lang))
	p.line("L'audience est faite des personnes connues %s.", "The audience is everybody known %s.", d.Rule.In(p.lang))
	p.blank()
	p.fields(
		[2]string{p.say("Participants", "Participants"), members(m.Participants())},
		[2]string{p.say("Destinataires", "Recipients"), orDash(sources(m.Recipients))},
		[2]string{p.say("Coût", "Cost"), fmt.Sprintf(p.say("%s, reste %s avant", "%s, %s left before"), rho(d.Cost), rho(d.Left))},
		[2]string{p.say("Échéance", "Deadline"), p.instant(m.Deadline)},
	)
	if len(d.Own) > 0 {
		p.title("De votre côté seulement, compte exact qui ne part pas", "On your own side only, an exact count that does not leave")
	}
	for _, own := range d.Own {
		p.print(fmt.Sprintf("  %s  %s\n", p.number(own.People), own.Words.In(p.lang)))
	}
	p.title("Ce que disent les politiques", "What the policies say")
	p.print(policies.Explain(d.Decision, p.lang) + "\n")
}

func members(list []protocol.MemberID) string {
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

func sources(list []protocol.SourceName) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func audienceRun(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "run FILE.yaml",
		Short: l.say("Lancer une audience, la suivre et attendre son résultat", "Run an audience, follow it and wait for its result"),
		Long: l.say("On peut interrompre la commande\u00a0: la ronde continue, et «\u00a0coulisse audience show\u00a0» la montre.",
			"The command may be interrupted: the round goes on, and “coulisse audience show” shows it."),
		Args: command.Arguments("FILE.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := drawUp(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			var round protocol.RoundID
			err = patiently(cmd, func() error { round, err = c.Run(cmd.Context(), d.Manifest); return err })
			if err != nil {
				return err
			}
			return followRound(cmd, c, string(round))
		},
	}))
}

// followRound shows a round's progress, then its page.
func followRound(cmd *cobra.Command, c *api.Client, id string) error {
	bar := newProgress(cmd)
	bar.show(id)
	if bar.terminal {
		bar.print("\n")
	}
	var last node.RoundProgress
	err := followPatiently(cmd.Context(), bar, c, id, func(r node.RoundProgress) error {
		last = r
		bar.show(bar.progressOf(r))
		return nil
	})
	bar.clear()
	if err != nil {
		return err
	}
	page, err := c.Audience(cmd.Context(), id)
	if err != nil {
		return err
	}
	if err := listing(cmd, page, func(p *printer) { p.round(page) }); err != nil {
		return err
	}
	if last.Stage == federation.Refused || last.Stage == federation.Aborted {
		return &api.Fault{Reason: api.ReasonRefused, Text: text("La ronde s'est terminée sans résultat.", "The round ended without a result.")}
	}
	return nil
}

func (p *progress) progressOf(r node.RoundProgress) string {
	done, of := 0, 0
	switch r.Stage {
	case federation.Proposed:
		done, of = r.Accepted, r.Participants
	case federation.Reserved:
		done, of = r.Confirmed, r.Participants
	case federation.Keyed:
		done, of = r.Uploaded, r.Sources
	case federation.Published:
		done, of = r.Collected, r.Recipients
	}
	if of == 0 {
		return p.stage(r.Stage)
	}
	return fmt.Sprintf("%s, %d/%d", p.stage(r.Stage), done, of)
}

func audienceList(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "list",
		Short: l.say("Montrer les audiences de la fédération", "Show the federation's audiences"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			list, err := c.Audiences(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, list, func(p *printer) {
				if len(list) == 0 {
					p.line("Aucune audience encore. «\u00a0coulisse audience propose\u00a0» en rédige une.", "No audience yet. “coulisse audience propose” draws one up.")
					return
				}
				var rows [][]string
				for _, r := range list {
					size := "–"
					if r.Size != nil && r.Size.Suppressed == "" {
						size = p.number(r.Size.Value)
					}
					rows = append(rows, []string{string(r.Round)[:12], p.instant(r.ProposedAt), p.stage(r.Stage), size, string(r.Initiator), r.Title.In(p.lang)})
				}
				p.table([]protocol.Text{text("NUMÉRO", "NUMBER"), text("PROPOSÉE", "PROPOSED"), text("ÉTAT", "STATE"), text("TAILLE", "SIZE"),
					text("PAR", "BY"), text("TITRE", "TITLE")}, rows)
			})
		},
	}))
}

func audienceShow(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "show ID",
		Short: l.say("Lire une audience comme une page", "Read an audience as a page"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			page, err := c.Audience(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return listing(cmd, page, func(p *printer) { p.round(page) })
		},
	}))
}

func (p *printer) round(page node.RoundPage) {
	p.line("%s", "%s", page.Title.In(p.lang))
	p.line("%s, %s", "%s, %s", p.stage(page.Stage), page.Round)
	if page.Reason != (protocol.Text{}) {
		p.blank()
		if page.By != "" {
			p.line("  %s\u00a0:", "  %s:", page.By)
		}
		p.print("  " + strings.ReplaceAll(page.Reason.In(p.lang), "\n", "\n  ") + "\n")
	}
	p.title("La taille", "The size")
	p.print("  " + p.figure(page.Size, page.MinSize) + "\n")
	if page.Size != nil {
		p.line("  Intervalle de confiance à 95\u00a0%%, sur le bruit. Une personne est un identifiant, tous membres confondus.",
			"  95 %% confidence interval, over the noise. A person is one identifier, over all members.")
	}
	if page.People != nil {
		p.ownPeople(page)
	}
	p.parts(page)
	p.title("Comment", "How")
	p.fields(
		[2]string{p.say("Règle", "Rule"), p.say("connue ", "known ") + page.Rule.In(p.lang)},
		[2]string{p.say("Demandée par", "Asked for by"), string(page.Initiator)},
		[2]string{p.say("Politiques", "Policies"), p.under(page.Decision)},
		[2]string{p.say("Coût", "Cost"), p.cost(page)},
		[2]string{p.say("Budget", "Budget"), p.budget(page.Budget)},
		[2]string{p.say("Échéance", "Deadline"), p.instant(page.Deadline)},
	)
	p.title("Le fil", "The timeline")
	for _, s := range page.Timeline {
		p.print(fmt.Sprintf("  %s  %-26s  %s\n", clock(s.At), steps[s.Label].In(p.lang), s.By))
	}
}

// ownPeople says how many of the member's people belong, and how many of them
// may be shown.
func (p *printer) ownPeople(page node.RoundPage) {
	belong := p.say("%s de vos propres personnes en font partie", "%s of your own people belong")
	if *page.People == 1 {
		belong = p.say("%s de vos propres personnes en fait partie", "%s of your own people belongs")
	}
	consent := p.say("%s d'entre elles consentent à l'activation", "%s of them consent to activation")
	if page.Activable < 2 {
		consent = p.say("%s d'entre elles consent à l'activation", consent)
	}
	if page.Activable == 1 && p.lang != command.French {
		consent = "%s of them consents to activation"
	}
	p.print(fmt.Sprintf("  "+belong+p.say("\u00a0; ", "; ")+consent+p.say(".  «\u00a0coulisse audience people %s\u00a0»", ". “coulisse audience people %s”")+"\n",
		p.number(*page.People), p.number(page.Activable), string(page.Round)[:12]))
}

// parts are the sources with their figures and answers.
func (p *printer) parts(page node.RoundPage) {
	p.title("Les participants", "The participants")
	var rows [][]string
	for _, part := range page.Parts {
		answer := "–"
		if i := slices.IndexFunc(page.Answers, func(a node.Answer) bool { return a.Member == part.Member }); i >= 0 {
			answer = p.say("accepte", "accepts")
			if page.Answers[i].Refusal != (protocol.Text{}) {
				answer = p.say("refuse", "refuses")
			}
		}
		labels := ""
		if part.Recipient {
			labels = p.say("oui", "yes")
		}
		rows = append(rows, []string{"  " + string(part.Source), answer, p.figure(part.Figure, page.MinSize), labels, part.Words.In(p.lang)})
	}
	p.table([]protocol.Text{text("  SOURCE", "  SOURCE"), text("RÉPONSE", "ANSWER"), text("PART DE L'AUDIENCE", "PART OF THE AUDIENCE"),
		text("ÉTIQUETTES", "LABELS"), text("QUI", "WHO")}, rows)
}

func (p *printer) under(decision int) string {
	if decision == 0 {
		return p.say("celles de la fondation", "those of the founding")
	}
	return fmt.Sprintf(p.say("celles de la décision %d", "those of decision %d"), decision)
}

func (p *printer) cost(page node.RoundPage) string {
	state := p.say("pas dépensé", "not spent")
	if page.Spent {
		state = p.say("dépensé", "spent")
	}
	return rho(page.Cost) + ", " + state
}

func audiencePeople(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "people ID",
		Short: l.say("Donner vos propres personnes de l'audience, qui consentent à l'activation", "Give your own people in the audience, who consent to activation"),
		Long: l.say("Écrit une personne par ligne, son genre puis son identifiant. Ce sont des données personnelles\u00a0: ne les gardez pas plus qu'il ne faut.",
			"Writes one person a line, the kind and then the identifier. These are personal data: do not keep them longer than needed."),
		Args: command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			asJSON, _ := cmd.Flags().GetBool("json")
			out := cmd.OutOrStdout()
			return c.People(cmd.Context(), args[0], func(person api.Person) error {
				if asJSON {
					if err := json.MarshalWrite(out, person); err != nil {
						return err
					}
					_, err := fmt.Fprintln(out)
					return err
				}
				_, err := fmt.Fprintf(out, "%s\t%s\n", person.Kind, person.Identifier)
				return err
			})
		},
	}))
}
