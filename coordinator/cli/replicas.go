package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func replicaCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replica",
		Short: command.Say(lang, "Ajouter, remplacer ou retirer une réplique, en marche", "Add, replace or remove a replica, while running"),
	}
	cmd.AddCommand(prepareCommand(lang), admitCommand(lang), removeCommand(lang))
	return cmd
}

func prepareCommand(lang string) *cobra.Command {
	var id, address, from string
	cmd := &cobra.Command{
		Use: "prepare NEWDIR",
		Short: command.Say(lang, "Faire le dossier d'une nouvelle réplique, sur la machine d'une réplique en place",
			"Make the folder of a new replica, on the machine of one that is there"),
		Example: "  coulisse coordinator replica prepare r4 --id r4 --address four.example.org:7000 --from /var/lib/coulisse/r1",
		Args:    command.Arguments("NEWDIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if protocol.ReplicaID(id).Check() != nil {
				return misnamed(id)
			}
			peer := consensus.Peer{ID: protocol.ReplicaID(id), Address: consensus.Address(address)}
			if _, err := coordinator.PrepareReplica(cmd.Context(), args[0], from, peer, time.Now()); err != nil {
				return err
			}
			say(cmd, "%s\tà porter sur la machine qui répond à %s; puis `coulisse coordinator serve`", "%s\tto be moved to the machine that answers at %s; then `coulisse coordinator serve`", args[0], address)
			say(cmd, "%s\tpour le bureau\u00a0: `coulisse coordinator replica admit`", "%s\tfor the office: `coulisse coordinator replica admit`", filepath.Join(args[0], coordinator.FileReplica))
			return nil
		},
	}
	cmd.Flags().StringVar(&id, "id", "", command.Say(lang, "nom de la réplique, jamais porté par une autre", "the replica's name, never borne by another"))
	cmd.Flags().StringVar(&address, "address", "", command.Say(lang, "son adresse, hôte:port", "its address, host:port"))
	cmd.Flags().StringVar(&from, "from", "", command.Say(lang, "dossier d'une réplique en place", "folder of a replica that is there"))
	return cmd
}

func admitCommand(lang string) *cobra.Command {
	var replaces string
	var dir *string
	cmd := &cobra.Command{
		Use:     "admit CARD",
		Short:   command.Say(lang, "Mettre une réplique préparée sur la liste", "Put a prepared replica on the roll"),
		Example: "  coulisse coordinator replica admit r4/replica-card.json --replaces r2 --dir operator",
		Args:    command.Arguments("CARD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			card, err := readFile[protocol.Replica](args[0])
			if err != nil {
				return err
			}
			return changeRoll(cmd, *dir, func(ctx context.Context, o *coordinator.Office) (protocol.Roll, error) {
				return o.Admit(ctx, card, protocol.ReplicaID(replaces))
			})
		},
	}
	cmd.Flags().StringVar(&replaces, "replaces", "", command.Say(lang, "la réplique dont elle prend la place", "the replica whose place it takes"))
	dir = officeFlag(cmd, lang)
	return cmd
}

func removeCommand(lang string) *cobra.Command {
	var dir *string
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: command.Say(lang, "Retirer une réplique de la liste", "Take a replica off the roll"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeRoll(cmd, *dir, func(ctx context.Context, o *coordinator.Office) (protocol.Roll, error) {
				return o.Remove(ctx, protocol.ReplicaID(args[0]))
			})
		},
	}
	dir = officeFlag(cmd, lang)
	return cmd
}

func upgradeRulesCommand(lang string) *cobra.Command {
	var dir *string
	cmd := &cobra.Command{
		Use:   "upgrade-rules",
		Short: command.Say(lang, "Mettre en vigueur les règles du journal que toutes les répliques connaissent", "Put the rules of the log in force that every replica knows"),
		Long: command.Say(lang, "Après la mise à jour de toutes les répliques et des nœuds des membres. Une réplique ou un nœud plus ancien s'arrête là et demande sa mise à jour\u00a0; rien n'est perdu.",
			"After every replica and the members' nodes were upgraded. An older replica or node stops there and asks to be upgraded; nothing is lost."),
		Args: command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return changeRoll(cmd, *dir, func(ctx context.Context, o *coordinator.Office) (protocol.Roll, error) { return o.RaiseRules(ctx) })
		},
	}
	dir = officeFlag(cmd, lang)
	return cmd
}

// rollChange is what an office does to the roll; it returns the next one.
type rollChange func(context.Context, *coordinator.Office) (protocol.Roll, error)

func atOffice(cmd *cobra.Command, dir string, change rollChange) (protocol.Roll, error) {
	office, err := coordinator.OpenOffice(dir)
	if err != nil {
		return protocol.Roll{}, err
	}
	return change(cmd.Context(), office)
}

func changeRoll(cmd *cobra.Command, dir string, change rollChange) error {
	roll, err := atOffice(cmd, dir, change)
	if err != nil {
		return err
	}
	say(cmd, "La liste %d du coordonnateur est au journal (règles %d)\u00a0:", "Roll %d of the coordinator is in the log (rules %d):", roll.Number, roll.Rules)
	for _, r := range roll.Replicas {
		fmt.Fprintf(cmd.OutOrStdout(), "  %-16s %s\n", r.ID, r.Address)
	}
	say(cmd, "Le consensus s'y conforme\u00a0; `coulisse coordinator status` dit où il en est.", "Consensus follows it; `coulisse coordinator status` says how far it is.")
	if len(roll.Replicas)%2 == 0 {
		say(cmd, "Un nombre pair de répliques ne survit pas à plus de pertes que le nombre impair en dessous.", "An even number of replicas survives no more losses than the odd number below it.")
	}
	return nil
}
