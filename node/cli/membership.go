package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func changeKeysCommand(l speech) *cobra.Command {
	var lost string
	cmd := withFolder(l, &cobra.Command{
		Use:   "change-keys",
		Short: l.say("Remplacer les clés de votre organisation", "Replace your organisation's keys"),
		Long: l.say("L'ancienne clé de vote signe le changement\u00a0; le nœud prend les nouvelles clés dès que le journal les nomme.\nUne clé perdue ou volée\u00a0: --lost CARTE.json écrit une nouvelle carte, qu'un autre membre propose par\n«\u00a0coulisse proposal new --replace-card CARTE.json\u00a0» (vote spécial)\u00a0; le nœud prend ses clés une fois le vote adopté.",
			"The old voting key signs the change; the node takes the new keys up as soon as the log names them.\nA key lost or stolen: --lost CARD.json writes a new card, which another member proposes with\n“coulisse proposal new --replace-card CARD.json” (special vote); the node takes its keys up once the vote has carried."),
		Args: command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lost != "" {
				return lostKeys(cmd, lost)
			}
			return submit(cmd, func(ctx context.Context, c *api.Client) error { return c.ChangeKeys(ctx) },
				text("Le journal nomme vos nouvelles clés. Gardez une copie de vote-key.age et de identity.agekey à deux endroits.",
					"The log names your new keys. Keep a copy of vote-key.age and identity.agekey in two places."))
		},
	})
	cmd.Flags().StringVar(&lost, "lost", "", l.say("écrire la carte de nouvelles clés, à faire voter", "write the card of new keys, to be voted on"))
	return cmd
}

func lostKeys(cmd *cobra.Command, file string) error {
	var card protocol.Signed[protocol.Card]
	err := submitted(cmd, func(ctx context.Context, c *api.Client) (err error) { card, err = c.NewCard(ctx); return err }, func(*printer) {})
	if err != nil {
		return err
	}
	content, err := protocol.Indented(card)
	if err != nil {
		return err
	}
	if err := writeFile(file, content); err != nil {
		return err
	}
	p := printing(cmd)
	p.line("%s est écrit. Envoyez-le à un autre membre, qui le propose\u00a0: coulisse proposal new --replace-card %[1]s …",
		"%s is written. Send it to another member, who proposes it: coulisse proposal new --replace-card %[1]s …", file)
	return p.err
}

func withdrawCommand(l speech) *cobra.Command {
	var member string
	cmd := withJSON(l, withFolder(l, &cobra.Command{
		Use:   "withdraw",
		Short: l.say("Quitter la mise en commun, maintenant", "Leave the pool, now"),
		Long: l.say("Personne ne peut vous retenir, et c'est immédiat\u00a0: plus de vote, plus de ronde, plus de jetons. Vos données restent chez vous\u00a0;\n«\u00a0coulisse data export\u00a0» les remet en formats ouverts. Les rondes non ouvertes dont vous faites partie se terminent.\nPour revenir il faut une nouvelle carte, sous un autre nom, et un vote.\nSi vous êtes gardien de clé, les autres gardiens devront se passer de votre part\u00a0: prévenez-les, pour qu'ils en élisent d'autres d'abord.",
			"Nobody can hold you back, and it is at once: no vote, no round, no tokens any more. Your data stays with you;\n“coulisse data export” hands it over in open formats. Rounds that you take part in and that are not open yet end.\nTo come back takes a new card, under another name, and a vote.\nIf you are a key steward, the others will have to do without your share: tell them, so that they elect others first."),
		Example: "  coulisse withdraw --confirm theatre-du-fleuve",
		Args:    command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := node.Open(folderOf(cmd))
			if err != nil {
				return inWords(err)
			}
			if protocol.MemberID(member) != f.Card.ID {
				p := printing(cmd)
				p.print(cmd.Long + "\n\n")
				return command.Misused("Rien n'est fait. Pour quitter la fédération, nommez votre organisation\u00a0: --confirm %s.", "Nothing was done. To leave the federation, name your organisation: --confirm %s.", f.Card.ID)
			}
			return withdraw(cmd, f.Card.ID)
		},
	}))
	cmd.Flags().StringVar(&member, "confirm", "", l.say("le nom de votre organisation, pour confirmer", "your organisation's name, to confirm"))
	return cmd
}

// withdrawn says what leaving came to.
type withdrawn struct {
	Member protocol.MemberID `json:"member"`
	At     protocol.Millis   `json:"at_ms"`
	// Rounds were under way when the member left: those that were open are
	// completed with what it had sent, the others end.
	Rounds []node.RoundProgress `json:"rounds"`
	// Steward says that the member held a share of the key.
	Steward bool `json:"steward"`
}

func withdraw(cmd *cobra.Command, self protocol.MemberID) error {
	c, err := client(cmd)
	if err != nil {
		return err
	}
	before, err := c.Status(cmd.Context())
	if err != nil {
		return err
	}
	if err := patiently(cmd, func() error { return c.Leave(cmd.Context()) }); err != nil {
		return err
	}
	w := withdrawn{Member: self, At: protocol.At(time.Now()), Rounds: before.Rounds, Steward: slices.Contains(before.Stewards.Members, self)}
	return listing(cmd, w, func(p *printer) {
		p.line("%s a quitté la fédération le %s. Vos données sont toujours dans le dossier du nœud.",
			"%s left the federation on %s. Your data is still in the node's folder.", self, p.instant(w.At))
		for _, r := range w.Rounds {
			p.print(fmt.Sprintf("  %s  %s  %s\n", string(r.Round)[:12], r.Title.In(p.lang), p.stage(r.Stage)))
		}
		if len(w.Rounds) > 0 {
			p.line("Ces rondes étaient en cours\u00a0: celles qui étaient ouvertes se terminent avec ce que vous aviez envoyé, les autres s'arrêtent.",
				"These rounds were under way: those that were open end with what you had sent, the others stop.")
		}
		if w.Steward {
			p.line("Vous étiez gardien de clé\u00a0: prévenez les autres.", "You were a key steward: tell the others.")
		}
	})
}
