package cli

import (
	"fmt"
	"strings"

	"coulisse/node"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func proposalCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proposal",
		Short: l.say("Proposer, appuyer, voter, recompter", "Propose, support, vote, recount"),
		Long: l.say("Une proposition s'ouvre quand une deuxième organisation l'appuie. Une organisation, une voix.\nLes bulletins sont publics et définitifs, et chaque nœud les recompte.",
			"A proposal opens when a second organisation supports it. One organisation, one vote.\nBallots are public and final, and every node counts them again."),
	}
	cmd.AddCommand(proposalNew(l), proposalList(l), proposalShow(l), proposalCosign(l), proposalVote(l), proposalExport(l), proposalVerify(l))
	return cmd
}

var states = map[node.State]protocol.Text{
	node.StateWaiting:  text("attend un appui", "waits for support"),
	node.StateLapsed:   text("caduque", "lapsed"),
	node.StateOpen:     text("vote ouvert", "vote open"),
	node.StateCarried:  text("adoptée", "carried"),
	node.StateRejected: text("rejetée", "rejected"),
}

func (p *printer) tally(t protocol.Tally) string {
	abstentions := "abstentions"
	if t.Abstain < 2 {
		abstentions = "abstention"
	}
	if p.lang == command.French {
		return fmt.Sprintf("%d pour, %d contre, %d %s, sur %d membres", t.For, t.Against, t.Abstain, abstentions, t.Members)
	}
	return fmt.Sprintf("%d for, %d against, %d abstaining, of %d members", t.For, t.Against, t.Abstain, t.Members)
}

func proposalList(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "list",
		Short: l.say("Montrer les propositions", "Show the proposals"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			list, err := c.Proposals(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, list, func(p *printer) {
				if len(list) == 0 {
					p.line("Aucune proposition encore.", "No proposal yet.")
					return
				}
				var rows [][]string
				for _, v := range list {
					rows = append(rows, []string{v.ID.Short(), states[v.State].In(p.lang), p.instant(v.Closes),
						choices[v.Voted].In(p.lang), v.Title.In(p.lang)})
				}
				p.table([]protocol.Text{text("NUMÉRO", "NUMBER"), text("ÉTAT", "STATE"), text("JUSQU'AU", "UNTIL"),
					text("VOTRE VOIX", "YOUR VOTE"), text("TITRE", "TITLE")}, rows)
			})
		},
	}))
}

func proposalShow(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "show ID",
		Short: l.say("Lire une proposition comme une page", "Read a proposal as a page"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			page, err := c.Proposal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return listing(cmd, page, func(p *printer) { p.proposal(page) })
		},
	}))
}

// proposal is the page that a board member reads before voting.
func (p *printer) proposal(page node.ProposalPage) {
	p.line("%s", "%s", page.Title.In(p.lang))
	p.line("%s, %s", "%s, %s", states[page.State].In(p.lang), page.ID.Short())
	p.blank()
	p.print(wrapped(page.Reason.In(p.lang), "  "))
	p.title("Ce qui change", "What changes")
	p.line("  %s.", "  %s.", page.Effect.In(p.lang))
	for _, change := range page.Changes {
		p.print(wrapped("– "+change.In(p.lang), "  "))
	}
	p.diff(page.Lines)
	p.title("Le vote", "The vote")
	kind := p.say("ordinaire", "ordinary")
	if page.Special {
		kind = p.say("spécial", "special")
	}
	p.fields(
		[2]string{p.say("Proposée par", "Proposed by"), string(page.By)},
		[2]string{p.say("Appuyée par", "Supported by"), orDash(string(page.CosignedBy))},
		[2]string{p.say("Règle", "Rule"), kind + p.say("\u00a0: ", ": ") + page.Rule.In(p.lang)},
		[2]string{p.say("Décompte", "Count"), p.tally(page.Tally)},
		[2]string{p.say("Quorum", "Quorum"), p.quorum(page)},
		[2]string{p.say("Ouverte le", "Opened"), p.instant(page.OpenedAt)},
		[2]string{p.say("Jusqu'au", "Until"), p.instant(page.Closes)},
	)
	p.voices(page)
	p.outcome(page)
}

// diff shows the lines of a policy that come and go, each with its two
// neighbours.
func (p *printer) diff(lines []policies.Line) {
	const around = 2
	near := func(i int) bool {
		for j := max(0, i-around); j <= min(len(lines)-1, i+around); j++ {
			if lines[j].Mark != policies.Kept {
				return true
			}
		}
		return false
	}
	if len(lines) > 0 {
		p.title("Le texte", "The text")
	}
	skipped := false
	for i, line := range lines {
		if !near(i) {
			skipped = true
			continue
		}
		if skipped {
			p.print("    …\n")
			skipped = false
		}
		p.print("  " + string(line.Mark) + " " + line.Text + "\n")
	}
}

func (p *printer) quorum(page node.ProposalPage) string {
	cast := page.Tally.For + page.Tally.Against + page.Tally.Abstain
	if cast >= page.Needed {
		return fmt.Sprintf(p.say("atteint (%d bulletins, il en faut %d)", "reached (%d ballots, %d needed)"), cast, page.Needed)
	}
	return fmt.Sprintf(p.say("pas atteint (%d bulletins, il en faut %d)", "not reached (%d ballots, %d needed)"), cast, page.Needed)
}

func (p *printer) voices(page node.ProposalPage) {
	p.title("Qui a voté", "Who has voted")
	for _, b := range page.Ballots {
		p.print(fmt.Sprintf("  %-40s  %s\n", b.Member, choices[b.Choice].In(p.lang)))
	}
	if len(page.Missing) > 0 {
		names := make([]string, len(page.Missing))
		for i, m := range page.Missing {
			names[i] = string(m)
		}
		p.print(wrapped(p.say("Pas encore\u00a0: ", "Not yet: ")+strings.Join(names, ", "), "  "))
	}
}

func (p *printer) outcome(page node.ProposalPage) {
	switch {
	case page.Outcome != nil:
		o := page.Outcome
		p.title("La décision", "The decision")
		verdict, recount := p.say("rejetée", "rejected"), p.say("le recompte de ce nœud ne donne pas le même résultat", "this node's recount does not give the same")
		if o.Carried {
			verdict = p.say("adoptée", "carried")
		}
		if o.Recounted {
			recount = p.say("recomptée par ce nœud depuis la fondation\u00a0: même résultat", "counted again by this node from the founding: the same")
		}
		p.line("  Décision %d, %s le %s, %s.", "  Decision %d, %s on %s, %s.", o.Number, verdict, p.instant(o.ClosedAt), recount)
	case page.State == node.StateOpen && page.Voted == "":
		p.blank()
		p.line("Votez\u00a0: coulisse proposal vote %s for|against|abstain", "Vote: coulisse proposal vote %s for|against|abstain", page.ID.Short())
	case page.State == node.StateWaiting:
		p.blank()
		p.line("Une autre organisation l'ouvre avec\u00a0: coulisse proposal cosign %s", "Another organisation opens it with: coulisse proposal cosign %s", page.ID.Short())
	}
}

// wrapped breaks a text into lines that are easy to read.
func wrapped(s, indent string) string {
	const width = 92
	var b strings.Builder
	line := ""
	breaks := func(r rune) bool { return r == ' ' || r == '\n' } // not where a space must not break
	for _, word := range strings.FieldsFunc(s, breaks) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			b.WriteString(indent + line + "\n")
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return b.String() + indent + line + "\n"
}

func proposalCosign(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "cosign ID",
		Short: l.say("Appuyer une proposition, ce qui ouvre le vote", "Support a proposal, which opens the vote"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			if err := patiently(cmd, func() error { return c.Cosign(cmd.Context(), args[0]) }); err != nil {
				return err
			}
			p := printing(cmd)
			p.line("Le vote est ouvert. Appuyer n'est pas voter\u00a0: votez à votre tour.", "The vote is open. To support is not to vote: vote in your turn.")
			return p.err
		},
	})
}

func proposalVote(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "vote ID for|against|abstain",
		Short: l.say("Donner la voix de votre organisation\u00a0; elle est publique et définitive", "Cast your organisation's vote; it is public and final"),
		Args:  command.Arguments("ID", "for|against|abstain"),
		RunE: func(cmd *cobra.Command, args []string) error {
			choice := protocol.Choice(args[1])
			if choices[choice] == (protocol.Text{}) {
				return command.Misused("On vote for, against ou abstain.", "One votes for, against or abstain.")
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			if err := patiently(cmd, func() error { return c.Vote(cmd.Context(), args[0], choice) }); err != nil {
				return err
			}
			page, err := c.Proposal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := printing(cmd)
			p.line("Votre voix est au journal\u00a0: %s. %s", "Your vote is in the log: %s. %s", choices[choice].In(p.lang), p.tally(page.Tally))
			return p.err
		},
	})
}
