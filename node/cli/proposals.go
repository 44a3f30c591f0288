package cli

import (
	"fmt"
	"strings"

	"coulisse/node"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/command"
	"coulisse/protocol/federation"

	"github.com/spf13/cobra"
)

func proposalCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "proposal",
		Short: l.say("Proposer, appuyer, voter, recompter", "Propose, support, vote, recount"),
		Long: l.say("Une proposition s'ouvre quand une deuxième organisation l'appuie. Une organisation, une voix.\nLes bulletins sont publics et définitifs, et chaque nœud les recompte.",
			"A proposal opens when a second organisation supports it. One organisation, one vote.\nBallots are public and final, and every node counts them again."),
	}
	cmd.AddCommand(proposalNew(l), proposalList(l), proposalShow(l), proposalCosign(l), proposalVote(l), proposalWithdraw(l),
		proposalDelegate(l), proposalRevoke(l), proposalExport(l), proposalVerify(l))
	return cmd
}

var states = map[federation.ProposalState]protocol.Text{
	federation.ProposalWaiting:   text("attend un appui", "waits for support"),
	federation.ProposalScheduled: text("à venir", "to come"),
	federation.ProposalOpen:      text("vote ouvert", "vote open"),
	federation.ProposalCarried:   text("adoptée", "carried"),
	federation.ProposalRejected:  text("rejetée", "rejected"),
	federation.ProposalLapsed:    text("caduque", "lapsed"),
	federation.ProposalWithdrawn: text("retirée", "withdrawn"),
	federation.ProposalReplaced:  text("remplacée", "replaced"),
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
	if page.Simulation != nil {
		p.title("Ce que cela aurait changé aux rondes des 90 derniers jours", "What it would have changed for the rounds of the last 90 days")
		p.simulation(*page.Simulation)
	}
	p.title("Le vote", "The vote")
	kind := p.say("ordinaire", "ordinary")
	if page.Special {
		kind = p.say("spécial", "special")
	}
	p.fields(
		[2]string{p.say("Proposée par", "Proposed by"), string(page.By)},
		[2]string{p.say("Appuyée par", "Supported by"), p.support(page)},
		[2]string{p.say("Règle", "Rule"), kind + p.say("\u00a0: ", ": ") + page.Rule.In(p.lang)},
		[2]string{p.say("Décompte", "Count"), p.tally(page.Tally)},
		[2]string{p.say("Quorum", "Quorum"), p.quorum(page)},
		[2]string{p.say("Ouverte le", "Opened"), p.instant(page.OpenedAt)},
		[2]string{p.say("Jusqu'au", "Until"), p.instant(page.Closes)},
	)
	p.versions(page)
	p.voices(page)
	p.outcome(page)
}

// support names who supports a proposal and, while it waits, how many must.
func (p *printer) support(page node.ProposalPage) string {
	said := orDash(names(page.Cosigners))
	if page.State == federation.ProposalWaiting && page.CosignersNeeded > 1 {
		said += fmt.Sprintf(p.say(" (il en faut %d)", " (%d needed)"), page.CosignersNeeded)
	}
	return said
}

// versions says which version a proposal took the place of, and which took its.
func (p *printer) versions(page node.ProposalPage) {
	if !page.Amends.IsZero() {
		p.line("  Remplace la version %s.", "  Takes the place of version %s.", page.Amends.Short())
		for _, change := range page.VersionChanges {
			p.print(wrapped("– "+change.In(p.lang), "    "))
		}
	}
	if !page.Replaced.IsZero() {
		p.line("  Remplacée par la version %s\u00a0: coulisse proposal show %[1]s", "  Replaced by version %s: coulisse proposal show %[1]s", page.Replaced.Short())
	}
}

func names(members []protocol.MemberID) string {
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = string(m)
	}
	return strings.Join(all, ", ")
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
	if len(page.Colleges) > 0 {
		p.title("Par collège", "By college")
		var rows [][]string
		for _, c := range page.Colleges {
			rows = append(rows, []string{"  " + c.Name.In(p.lang), p.number(int64(c.For)), p.number(int64(c.Against)), p.number(int64(c.Abstain))})
		}
		p.table([]protocol.Text{text("  COLLÈGE", "  COLLEGE"), text("POUR", "FOR"), text("CONTRE", "AGAINST"), text("ABSTENTIONS", "ABSTAINING")}, rows)
	}
	p.title("Qui a voté", "Who has voted")
	for _, b := range page.Ballots {
		said := choices[b.Choice].In(p.lang)
		if b.Proxy != "" {
			said += fmt.Sprintf(p.say(" (par %s, sous procuration)", " (by %s, its proxy)"), b.Proxy)
		}
		p.print(fmt.Sprintf("  %-24s  %s\n", b.Member, said))
	}
	if len(page.Missing) > 0 {
		p.print(wrapped(p.say("Pas encore\u00a0: ", "Not yet: ")+names(page.Missing), "  "))
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
		p.print(wrapped(fmt.Sprintf(p.say("Décision %d, %s le %s, %s.", "Decision %d, %s on %s, %s."), o.Number, verdict, p.instant(o.ClosedAt), recount), "  "))
	case page.State == federation.ProposalOpen && page.Voted == "" && page.CanVote:
		p.blank()
		p.line("Votez\u00a0: coulisse proposal vote %s for|against|abstain", "Vote: coulisse proposal vote %s for|against|abstain", page.ID.Short())
	case len(page.Carries) > 0 && page.State == federation.ProposalOpen:
		p.blank()
		p.print(wrapped(fmt.Sprintf(p.say("Vous portez la voix de %s\u00a0:", "You carry the voice of %s:"), names(page.Carries)), ""))
		p.line("  coulisse proposal vote %s for|against|abstain --for MEMBRE", "  coulisse proposal vote %s for|against|abstain --for MEMBER", page.ID.Short())
	case page.State == federation.ProposalScheduled:
		p.blank()
		p.line("Le vote s'ouvre le %s.", "The vote opens on %s.", p.instant(page.OpenedAt))
	case page.State == federation.ProposalWaiting:
		p.blank()
		p.line("Une autre organisation l'appuie avec\u00a0: coulisse proposal cosign %s", "Another organisation supports it with: coulisse proposal cosign %s", page.ID.Short())
	}
}

// screen is how many columns a page has.
const screen = 80

// wrapped breaks a text into lines that fit the screen.
func wrapped(s, indent string) string {
	width := screen - len([]rune(indent))
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
