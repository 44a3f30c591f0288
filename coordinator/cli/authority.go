package cli

import (
	"context"
	"strings"

	"coulisse/coordinator"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func authorityCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "authority",
		Short: command.Say(lang, "Changer les autorités de certification, en marche",
			"Change the certificate authorities, while running"),
	}
	cmd.AddCommand(rotateCommand(lang), retireCommand(lang))
	return cmd
}

func rotateCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate",
		Short: command.Say(lang, "Faire faire une nouvelle autorité à chaque réplique, à côté de la sienne",
			"Have each replica make a new authority, beside its own"),
		Long: command.Say(lang, "Chaque réplique fait sa clé, qui ne quitte pas sa machine. Les nouveaux certificats en viennent aussitôt; les nœuds renouvellent les leurs. Les anciennes autorités comptent jusqu'à `authority retire`.",
			"Each replica makes its own key, which does not leave its machine. New certificates come from it at once; nodes renew theirs. The former authorities count until `authority retire`."),
		Args: command.Arguments(),
	}
	dir := officeFlag(cmd, lang)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return changeAuthorities(cmd, *dir, func(ctx context.Context, o *coordinator.Office) (protocol.Roll, error) {
			roll, away, err := o.Rotate(ctx)
			if err == nil && len(away) > 0 {
				var names []string
				for _, id := range away {
					names = append(names, string(id))
				}
				help(cmd, "Sans réponse, et donc inchangées\u00a0: %s. Recommencez quand elles tournent, après `authority retire`.",
					"Without an answer, and so not changed: %s. Do it again when they run, after `authority retire`.", strings.Join(names, ", "))
			}
			return roll, err
		})
	}
	return cmd
}

func retireCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "retire",
		Short: command.Say(lang, "Retirer les anciennes autorités\u00a0: leurs certificats sont refusés",
			"Retire the former authorities: their certificates are refused"),
		Long: command.Say(lang, "Avant\u00a0: `coulisse coordinator renew-operator`, sur la machine d'une réplique, pour que le certificat du bureau vienne d'une nouvelle autorité; et sauvegardez chaque réplique, car une sauvegarde plus ancienne n'a plus de quoi certifier.\nUn nœud dont le certificat vient d'une autorité retirée le fait renouveler et continue, tant qu'il est dans sa journée; sinon il s'inscrit de nouveau, avec un jeton.",
			"Before: `coulisse coordinator renew-operator`, on a replica's machine, so that the office's certificate is by a new authority; and back each replica up, since an older backup has nothing to certify with any more.\nA node whose certificate is by a retired authority has it renewed and goes on, while it is within its day; otherwise it enrols again, with a token."),
		Args: command.Arguments(),
	}
	dir := officeFlag(cmd, lang)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return changeAuthorities(cmd, *dir, func(ctx context.Context, o *coordinator.Office) (protocol.Roll, error) { return o.Retire(ctx) })
	}
	return cmd
}

func changeAuthorities(cmd *cobra.Command, dir string, change rollChange) error {
	roll, err := atOffice(cmd, dir, change)
	if err != nil {
		return err
	}
	say(cmd, "La liste %d du coordonnateur est au journal. Ses autorités\u00a0:", "Roll %d of the coordinator is in the log. Its authorities:", roll.Number)
	former := false
	for _, r := range roll.Replicas {
		if r.Former.IsZero() {
			say(cmd, "  %-16s %s", "  %-16s %s", r.ID, r.Authority.Short())
			continue
		}
		former = true
		say(cmd, "  %-16s %s, à côté de %s", "  %-16s %s, beside %s", r.ID, r.Authority.Short(), r.Former.Short())
	}
	if former {
		say(cmd, "Sauvegardez chaque réplique, puis retirez les anciennes\u00a0: `coulisse coordinator authority retire`.",
			"Back each replica up, then retire the former ones: `coulisse coordinator authority retire`.")
	}
	return nil
}
