package cli

import (
	"fmt"
	"time"

	"coulisse/coordinator"
	"coulisse/protocol/checkup"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func doctorCommand(lang, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor REPLICA_DIR",
		Short: command.Say(lang, "Examiner une réplique et sa machine, dire ce qui ne va pas et quoi faire",
			"Examine a replica and its machine, say what is wrong and what to do"),
		Long: command.Say(lang, "Regarde le dossier et ses droits, les clés, les certificats, la dernière sauvegarde, le disque, les limites, les horloges et les autres répliques.\nD'une réplique arrêtée, vérifie aussi tout le journal. Ne change rien. Se termine par 1 s'il y a quelque chose à régler.",
			"Looks at the folder and its modes, the keys, the certificates, the last backup, the disk, the limits, the clocks and the other replicas.\nOf a stopped replica it verifies the whole log too. It changes nothing. It ends with 1 if there is something to put right."),
		Args: command.Arguments("REPLICA_DIR"),
	}
	asJSON := cmd.Flags().Bool("json", false, command.Say(lang, "en JSON", "as JSON"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		found := coordinator.Doctor(cmd.Context(), args[0], version, time.Now())
		if *asJSON {
			err := printJSON(cmd.OutOrStdout(), struct {
				Findings checkup.Report `json:"findings"`
			}{found})
			if err != nil {
				return err
			}
		} else {
			printFindings(cmd, found)
		}
		if len(found) > 0 {
			return problemsRemain(len(found))
		}
		return nil
	}
	return cmd
}

func printFindings(cmd *cobra.Command, found checkup.Report) {
	if len(found) == 0 {
		say(cmd, "Rien à redire\u00a0: dossier, clés, certificats, sauvegarde, disque, limites, horloges et réseau.",
			"Nothing to report: folder, keys, certificates, backup, disk, limits, clocks and network.")
	}
	lang := command.Lang(cmd)
	for _, f := range found {
		fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n    %s\n", command.Printable(f.Gravity.Words().In(lang)), command.Printable(f.What.In(lang)), command.Printable(f.Do.In(lang)))
	}
}
