package cli

import (
	"context"
	"time"

	"coulisse/node/api"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func proposalCosign(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "cosign ID",
		Short: l.say("Appuyer une proposition, pour que le vote s'ouvre", "Support a proposal, so that the vote opens"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			if err := patiently(cmd, func() error { return c.Cosign(cmd.Context(), args[0]) }); err != nil {
				return err
			}
			page, err := c.Proposal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := printing(cmd)
			if page.OpenedAt == 0 {
				p.line("Votre appui est au journal. Il en faut %d, et il y en a %d.", "Your support is in the log. It takes %d, and there are %d.",
					page.CosignersNeeded, len(page.Cosigners))
				return p.err
			}
			p.line("Le vote est ouvert à partir du %s. Appuyer n'est pas voter\u00a0: votez à votre tour.",
				"The vote is open from %s on. To support is not to vote: vote in your turn.", p.instant(page.OpenedAt))
			return p.err
		},
	})
}

func proposalWithdraw(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "withdraw ID",
		Short: l.say("Retirer votre proposition, tant que personne d'autre n'a voté", "Take your proposal back, while nobody else has voted"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return submit(cmd, func(ctx context.Context, c *api.Client) error { return c.Withdraw(ctx, args[0]) },
				text("La proposition est retirée.", "The proposal is withdrawn."))
		},
	})
}

// submit does one thing at the running node and says so.
func submit(cmd *cobra.Command, do func(context.Context, *api.Client) error, done protocol.Text) error {
	return submitted(cmd, do, func(p *printer) { p.line("%s", "%s", done.In(p.lang)) })
}

func proposalDelegate(l speech) *cobra.Command {
	var from, until string
	cmd := withFolder(l, &cobra.Command{
		Use:   "delegate MEMBER",
		Short: l.say("Donner procuration à un membre, pour une assemblée", "Make a member your proxy, for one assembly"),
		Long: l.say("La procuration vaut pour les propositions qui se ferment entre les deux dates, 31 jours au plus.\nSi vous votez vous-même avant la fin, c'est votre bulletin qui compte.",
			"The delegation is for the proposals that close between the two dates, 31 days at most.\nIf you vote yourself before the end, your ballot is the one that counts."),
		Example: "  coulisse proposal delegate le-phare --until 2026-12-18",
		Args:    command.Arguments("MEMBER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := api.Delegate{To: protocol.MemberID(args[0]), From: protocol.At(time.Now())}
			if begins, err := instantOf("--from", from, 0); err != nil {
				return err
			} else if begins != 0 {
				d.From = begins
			}
			var err error
			if d.Until, err = instantOf("--until", until, wholeDay); err != nil || d.Until == 0 {
				return command.Misused("Jusqu'à quand\u00a0? --until s'écrit 7d ou 2026-12-18.", "Until when? --until is written 7d or 2026-12-18.")
			}
			var id protocol.Hash
			return submitted(cmd, func(ctx context.Context, c *api.Client) (err error) { id, err = c.Delegate(ctx, d); return err }, func(p *printer) {
				p.line("%s", "%s", id)
				p.line("%s porte votre voix dans les votes qui se ferment du %s au %s. Pour l'annuler\u00a0: coulisse proposal revoke %s",
					"%s carries your voice in the votes that close from %s to %s. To end it: coulisse proposal revoke %s",
					d.To, p.instant(d.From), p.instant(d.Until), id.Short())
			})
		},
	})
	cmd.Flags().StringVar(&from, "from", "", l.say("à partir de quand (maintenant par défaut)", "from when on (now by default)"))
	cmd.Flags().StringVar(&until, "until", "", l.say("jusqu'à quand\u00a0: 7d, 2026-12-18", "until when: 7d, 2026-12-18"))
	return cmd
}

// submitted is submit with more to say.
func submitted(cmd *cobra.Command, do func(context.Context, *api.Client) error, say func(*printer)) error {
	c, err := client(cmd)
	if err != nil {
		return err
	}
	if err := patiently(cmd, func() error { return do(cmd.Context(), c) }); err != nil {
		return err
	}
	p := printing(cmd)
	say(p)
	return p.err
}

func proposalRevoke(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "revoke DELEGATION",
		Short: l.say("Révoquer une procuration", "Revoke a delegation"),
		Args:  command.Arguments("DELEGATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return submit(cmd, func(ctx context.Context, c *api.Client) error { return c.Revoke(ctx, args[0]) },
				text("La procuration est révoquée. Les bulletins déjà donnés sous elle restent, sauf si vous votez vous-même.",
					"The delegation is revoked. Ballots already cast under it stand, unless you vote yourself."))
		},
	})
}
