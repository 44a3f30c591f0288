package cli

import (
	"errors"
	"fmt"
	"time"

	"coulisse/coordinator"
	"coulisse/protocol"
	"coulisse/protocol/charterfile"
	"coulisse/protocol/command"
	"coulisse/protocol/governance"

	"github.com/spf13/cobra"
)

func charterCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "charter",
		Short: command.Say(lang, "Rédiger, relire et fonder une fédération", "Draw up, read and found a federation"),
	}
	cmd.AddCommand(templateCommand(lang), draftCommand(lang), foundCommand(lang), showCommand(lang))
	return cmd
}

func templateCommand(lang string) *cobra.Command {
	return &cobra.Command{
		Use:   "template",
		Short: command.Say(lang, "Imprimer la charte proposée, à modifier", "Print the suggested charter, to be edited"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(charterfile.Shipped)
			return err
		},
	}
}

func draftCommand(lang string) *cobra.Command {
	var card, charter, out string
	cmd := &cobra.Command{
		Use: "draft CARD…",
		Short: command.Say(lang, "Rédiger la genèse à partir des fiches des fondateurs",
			"Draw up the genesis from the founders' cards"),
		Example: "  coulisse charter draft --coordinator coordinator/coordinator.json --charter charter.yaml cards/*.json",
		Args:    cobra.ArbitraryArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return draft(cmd, card, charter, out, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&card, "coordinator", coordinator.FileCard, command.Say(lang,
		"fiche du coordonnateur, faite par coordinator init", "the coordinator's card, made by coordinator init"))
	flags.StringVar(&charter, "charter", "", command.Say(lang,
		"charte (celle de charter template si absente)", "the charter (that of charter template if absent)"))
	flags.StringVar(&out, "out", "genesis.json", command.Say(lang, "où l'écrire", "where to write it"))
	return cmd
}

func draft(cmd *cobra.Command, cardFile, charterFile, out string, founders []string) error {
	card, err := readFile[coordinator.Card](cardFile)
	if err != nil {
		return err
	}
	text := charterfile.Shipped
	if charterFile != "" {
		if text, err = readText(charterFile); err != nil {
			return err
		}
	}
	charter, err := charterfile.Parse(text, card.Namespace)
	if err != nil {
		return err
	}
	g := protocol.Genesis{Charter: charter, Replicas: card.Replicas, At: protocol.At(time.Now())}
	for _, path := range founders {
		signed, err := readFile[protocol.Signed[protocol.Card]](path)
		if err != nil {
			return err
		}
		if _, err := protocol.OpenCard(signed); err != nil {
			return protocol.Refuse(protocol.ErrSignature,
				"la fiche %s n'est pas signée comme il faut (%v)", "the card %s is not signed as it should be (%v)", path, err)
		}
		g.Founders = append(g.Founders, signed)
	}
	if err := g.Check(); err != nil {
		if _, worded := errors.AsType[protocol.Refusal](err); worded {
			return err
		}
		return command.Misused("La genèse ne convient pas\u00a0: %v.", "The genesis will not do: %v.", err)
	}
	if err := writeNew(out, g); err != nil {
		return err
	}
	if err := showGenesis(cmd, g); err != nil {
		return err
	}
	say(cmd, "\nÉcrite dans %s. Chaque fondateur la relit, compare l'empreinte de vive voix, et signe\u00a0: `coulisse node assent %[1]s`.",
		"\nWritten to %s. Each founder reads it, compares the fingerprint by voice, and signs: `coulisse node assent %[1]s`.", out)
	return nil
}

func foundCommand(lang string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "found GENESIS ASSENT…",
		Short: command.Say(lang, "Réunir les signatures des fondateurs", "Bring the founders' signatures together"),
		Args:  cobra.MinimumNArgs(2),
		RunE:  func(cmd *cobra.Command, args []string) error { return bring(cmd, args[0], args[1:], out) },
	}
	cmd.Flags().StringVar(&out, "out", "founding.json", command.Say(lang, "où l'écrire", "where to write it"))
	return cmd
}

func bring(cmd *cobra.Command, genesis string, assents []string, out string) error {
	g, err := readFile[protocol.Genesis](genesis)
	if err != nil {
		return err
	}
	founding := protocol.Founding{Genesis: g}
	for _, path := range assents {
		signed, err := readFile[protocol.Signed[protocol.Assent]](path)
		if err != nil {
			return err
		}
		founding.Assents = append(founding.Assents, signed)
	}
	view, err := governance.Begin(founding)
	if err != nil {
		return err
	}
	if err := writeNew(out, founding); err != nil {
		return err
	}
	say(cmd, "Les %d fondateurs ont signé. Fédération\u00a0:", "All %d founders have signed. Federation:", len(founding.Assents))
	printFingerprint(cmd.OutOrStdout(), view.Federation)
	say(cmd, "Écrit dans %s. Démarrez chaque réplique\u00a0: `coulisse coordinator serve DOSSIER --founding %[1]s`.",
		"Written to %s. Start each replica: `coulisse coordinator serve DIR --founding %[1]s`.", out)
	return nil
}

func showCommand(lang string) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE",
		Short: command.Say(lang, "Lire en clair une genèse ou un acte de fondation, avec l'empreinte à comparer",
			"Read a genesis or a founding in plain words, with the fingerprint to compare"),
		Args: command.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return show(cmd, args[0]) },
	}
}

func show(cmd *cobra.Command, path string) error {
	if founding, err := readFile[protocol.Founding](path); err == nil {
		if _, err := governance.Begin(founding); err != nil {
			return err
		}
		if err := showGenesis(cmd, founding.Genesis); err != nil {
			return err
		}
		say(cmd, "\nTous les fondateurs l'ont signée.", "\nEvery founder has signed it.")
		return nil
	}
	genesis, err := readFile[protocol.Genesis](path)
	if err != nil {
		return err
	}
	for _, signed := range genesis.Founders {
		if _, err := protocol.OpenCard(signed); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := showGenesis(cmd, genesis); err != nil {
		return err
	}
	say(cmd, "\nElle n'est pas encore signée ici. Pour signer\u00a0: `coulisse node assent %s`.",
		"\nIt is not signed here yet. To sign: `coulisse node assent %s`.", path)
	return nil
}
