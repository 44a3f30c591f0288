package cli

import (
	"context"
	"slices"
	"strings"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/protocol"
	"coulisse/protocol/command"
	"coulisse/protocol/federation"

	"github.com/spf13/cobra"
)

func proposalVote(l speech) *cobra.Command {
	var voice string
	cmd := withFolder(l, &cobra.Command{
		Use:   "vote ID for|against|abstain [ID for|against|abstain]…",
		Short: l.say("Donner la voix de votre organisation\u00a0; elle est publique et définitive", "Cast your organisation's vote; it is public and final"),
		Long: l.say("Un ordre du jour se vote en une fois\u00a0: nommez chaque proposition, puis votre voix. C'est un seul bulletin, sous une\nseule signature, et il est compté en entier ou pas du tout.",
			"An agenda is voted on at once: name each proposal, then your vote. It is one ballot under one signature, and it is\ncounted whole or not at all."),
		Example: "  coulisse proposal vote dfb462535ed8 for\n  coulisse proposal vote dfb462535ed8 for 148de9c5a7a4 against",
		Args:    inPairs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ballot, err := ballotOf(args, protocol.MemberID(voice))
			if err != nil {
				return err
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			return castBallot(cmd, c, ballot)
		},
	})
	cmd.Flags().StringVar(&voice, "for", "", l.say("le membre qui vous a donné procuration (votre organisation par défaut)", "the member whose proxy you are (your own organisation by default)"))
	return cmd
}

// inPairs demands a choice after each proposal.
func inPairs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && len(args)%2 == 0 {
		return nil
	}
	return command.Arguments("ID", "for|against|abstain", "[ID for|against|abstain]…")(cmd, nil)
}

func ballotOf(args []string, voice protocol.MemberID) (api.Ballot, error) {
	ballot := api.Ballot{For: voice}
	for i := 0; i < len(args); i += 2 {
		choice := protocol.Choice(args[i+1])
		if choices[choice] == (protocol.Text{}) {
			return ballot, command.Misused("On vote for, against ou abstain.", "One votes for, against or abstain.")
		}
		ballot.Votes = append(ballot.Votes, node.Vote{Choice: choice, Proposal: args[i]})
	}
	return ballot, nil
}

// castBallot shows what an agenda's ballot says before it is signed, and what came
// of it.
func castBallot(cmd *cobra.Command, c *api.Client, ballot api.Ballot) error {
	p := printing(cmd)
	agenda := len(ballot.Votes) > 1
	if agenda {
		lines, err := nameWhole(cmd.Context(), c, ballot)
		if err != nil {
			return err
		}
		if ballot.For != "" {
			p.line("Le bulletin à signer pour %s\u00a0:", "The ballot to be signed for %s:", ballot.For)
		} else {
			p.line("Le bulletin à signer\u00a0:", "The ballot to be signed:")
		}
		// The title is its author's; the effect is what will be done.
		p.votes(ballot, lines, func(line node.ProposalLine) string {
			return line.Title.In(p.lang) + " · " + line.Effect.In(p.lang)
		})
	}
	if err := patiently(cmd, func() error { return c.Vote(cmd.Context(), ballot) }); err != nil {
		return err
	}
	if agenda {
		return p.cast(cmd.Context(), c, ballot)
	}
	page, err := c.Proposal(cmd.Context(), ballot.Votes[0].Proposal)
	if err != nil {
		return err
	}
	said, tally := choices[ballot.Votes[0].Choice].In(p.lang), p.tally(page.Tally)
	if ballot.For != "" {
		p.line("La voix de %s est au journal\u00a0: %s. %s", "The vote of %s is in the log: %s. %s", ballot.For, said, tally)
		return p.err
	}
	p.line("Votre voix est au journal\u00a0: %s. %s", "Your vote is in the log: %s. %s", said, tally)
	return p.err
}

// nameWhole reads the proposals of a ballot and names each by its whole identity: so
// what is signed is what was shown.
func nameWhole(ctx context.Context, c *api.Client, ballot api.Ballot) ([]node.ProposalLine, error) {
	lines := make([]node.ProposalLine, len(ballot.Votes))
	for i, v := range ballot.Votes {
		page, err := c.Proposal(ctx, v.Proposal)
		if err != nil {
			return nil, err
		}
		lines[i], ballot.Votes[i].Proposal = page.ProposalLine, page.ID.String()
	}
	return lines, nil
}

// cast says how an agenda stands. It takes the list, whatever is closed by now: a
// page of each would be a recount of the whole chain of each.
func (p *printer) cast(ctx context.Context, c *api.Client, ballot api.Ballot) error {
	all, err := c.Proposals(ctx)
	if err != nil {
		return err
	}
	lines := make([]node.ProposalLine, len(ballot.Votes))
	for i, v := range ballot.Votes {
		at := slices.IndexFunc(all, func(line node.ProposalLine) bool { return line.ID.String() == v.Proposal })
		if at < 0 {
			return federation.ErrNotFound
		}
		lines[i] = all[at]
	}
	if ballot.For != "" {
		p.line("Le bulletin de %s est au journal.", "The ballot of %s is in the log.", ballot.For)
	} else {
		p.line("Votre bulletin est au journal.", "Your ballot is in the log.")
	}
	p.votes(ballot, lines, func(line node.ProposalLine) string { return p.tally(line.Tally) })
	return p.err
}

// votes lists a ballot, with something to say of each proposal, on one line: a title
// is its author's, and must not pass for another vote.
func (p *printer) votes(ballot api.Ballot, lines []node.ProposalLine, say func(node.ProposalLine) string) {
	for i, v := range ballot.Votes {
		said := strings.ReplaceAll(say(lines[i]), "\n", " ")
		p.line("  %s  %-12s %s", "  %s  %-12s %s", lines[i].ID.Short(), choices[v.Choice].In(p.lang), said)
	}
}
