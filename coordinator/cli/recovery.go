package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/backup"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func backupCommand(lang, version string) *cobra.Command {
	var to, file string
	var recipients []string
	cmd := &cobra.Command{
		Use: "backup REPLICA_DIR --to FILE.age --recipient age1pq1…",
		Short: command.Say(lang, "Sauvegarder une réplique qui tourne\u00a0: son journal, ses clés et ses réglages, scellés",
			"Back up a running replica: its log, its keys and its settings, sealed"),
		Long: command.Say(lang, "Demande le journal à la réplique, le vérifie depuis la fondation, et le scelle avec le dossier dans un seul fichier.\nSauvegardez chaque réplique\u00a0: leurs clés diffèrent. Gardez l'identité qui ouvre les sauvegardes ailleurs qu'elles.",
			"Asks the replica for its log, verifies it from the founding on, and seals it with the folder into one file.\nBack up each replica: their keys differ. Keep the identity that opens the backups apart from them."),
		Example: "  coulisse coordinator backup key office.agekey > office.pub\n" +
			"  coulisse coordinator backup coordinator/r1 --to r1-2026-11-24.age --recipient-file office.pub\n" +
			"  coulisse coordinator backup verify r1-2026-11-24.age --identity office.agekey",
		Args: command.Arguments("REPLICA_DIR"),
	}
	flags := cmd.Flags()
	flags.StringVar(&to, "to", "", command.Say(lang, "fichier à écrire, qui n'existe pas encore", "file to write, which is not there yet"))
	flags.StringArrayVar(&recipients, "recipient", nil, command.Say(lang, "pour qui sceller, age1pq1…\u00a0; à répéter", "whom to seal for, age1pq1…; repeat it"))
	flags.StringVar(&file, "recipient-file", "", command.Say(lang, "fichier de destinataires, un par ligne", "file of recipients, one a line"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if to == "" {
			return command.Misused("Nommez le fichier à écrire avec --to.", "Name the file to write with --to.")
		}
		list, err := recipientsOf(recipients, file)
		if err != nil {
			return err
		}
		m, err := coordinator.Backup(cmd.Context(), coordinator.Backing{
			Dir: args[0], To: to, Recipients: list, Version: version, Now: time.Now(),
		})
		if err != nil {
			return err
		}
		say(cmd, "%s\u00a0: la réplique %s de la fédération %s, %d entrées, tête %s. Essayez-la\u00a0: «\u00a0coulisse coordinator backup verify\u00a0».",
			"%s: replica %s of the federation %s, %d entries, head %s. Try it: “coulisse coordinator backup verify”.",
			to, m.Replica, m.Federation.Short(), m.Head.Size, m.Head.Root.Short())
		return nil
	}
	cmd.AddCommand(backupKeyCommand(lang), backupVerifyCommand(lang, version))
	return cmd
}

func recipientsOf(given []string, path string) (list []seal.Recipient, err error) {
	if path != "" {
		text, err := readText(path)
		if err != nil {
			return nil, err
		}
		for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
			if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
				given = append(given, line)
			}
		}
	}
	for _, text := range given {
		if seal.Recipient(text).Check() != nil {
			return nil, command.Misused("Un destinataire commence par age1pq1\u00a0; «\u00a0coulisse coordinator backup key FICHIER\u00a0» en fait un.",
				"A recipient begins with age1pq1; “coulisse coordinator backup key FILE” makes one.")
		}
		list = append(list, seal.Recipient(text))
	}
	if len(list) == 0 {
		return nil, command.Misused("Dites pour qui sceller, avec --recipient ou --recipient-file.", "Say whom to seal for, with --recipient or --recipient-file.")
	}
	return list, nil
}

func backupKeyCommand(lang string) *cobra.Command {
	return &cobra.Command{
		Use: "key FILE",
		Short: command.Say(lang, "Faire l'identité qui ouvre les sauvegardes, et écrire pour qui les sceller",
			"Make the identity that opens backups, and print whom to seal them for"),
		Args: command.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return protocol.Refuse(coordinator.ErrBackup,
					"le fichier %s existe déjà; une identité n'est jamais remplacée", "the file %s is there already; an identity is never replaced", args[0])
			}
			identity, err := seal.LoadOrCreateIdentity(args[0])
			if err != nil {
				return err
			}
			help(cmd, "Gardez %s hors des machines des répliques, en deux endroits\u00a0: sans elle, aucune sauvegarde ne s'ouvre.",
				"Keep %s off the replicas' machines, in two places: without it no backup opens.", args[0])
			fmt.Fprintln(cmd.OutOrStdout(), identity.Recipient())
			return nil
		},
	}
}

// identityFlag adds the flag that names what opens backups.
func identityFlag(cmd *cobra.Command, lang string) *[]string {
	return cmd.Flags().StringArray("identity", nil, command.Say(lang,
		"fichier d'identité qui ouvre les sauvegardes; à répéter", "identity file that opens the backups; repeat it"))
}

func backupVerifyCommand(lang, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify FILE.age --identity FILE",
		Short: command.Say(lang, "Vérifier une sauvegarde sans réseau\u00a0: l'ouvrir, rejouer son journal, dire ce qu'elle tient",
			"Verify a backup without a network: open it, replay its log, say what it holds"),
		Args: command.Arguments("FILE.age"),
	}
	identities := identityFlag(cmd, lang)
	asJSON := cmd.Flags().Bool("json", false, command.Say(lang, "en JSON", "as JSON"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		b, err := coordinator.VerifyBackup(args[0], *identities, version)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), b.Manifest)
		}
		printBackup(cmd, args[0], b)
		return nil
	}
	return cmd
}

func printBackup(cmd *cobra.Command, path string, b backup.Backup) {
	say(cmd, "%s\u00a0: sauvegarde de la réplique %s de la fédération %s, faite le %s par la version %s.",
		"%s: backup of replica %s of the federation %s, made on %s by version %s.",
		filepath.Base(path), b.Replica, b.Federation.Short(), instant(b.At), b.Version)
	say(cmd, "Journal\u00a0: %d entrées et %d décisions rejouées depuis la fondation, la dernière du %s.",
		"Log: %d entries and %d decisions replayed from the founding, the last of %s.",
		b.Head.Size, b.Statement.View.Decisions, instant(b.Statement.At))
	say(cmd, "Tête %s", "Head %s", b.Head.Root)
	if b.Compared {
		say(cmd, "État  %s, le même que lors de la sauvegarde", "State %s, the same as when it was made", b.State)
	} else {
		say(cmd, "État\u00a0: non comparé, la sauvegarde est d'une autre version.", "State: not compared, the backup is of another version.")
	}
	say(cmd, "Dossier\u00a0: %d fichiers\u00a0; la clé de la réplique s'ouvre.", "Folder: %d files; the replica's key opens.", len(b.Files))
}

func instant(at protocol.Millis) string { return at.Time().Format("2006-01-02 15:04 MST") }

func restoreCommand(lang, version string) *cobra.Command {
	r := coordinator.Restoring{Version: version}
	var federation string
	cmd := &cobra.Command{
		Use: "restore NEW_DIR --backup FILE.age… --identity FILE [--log COPY…]",
		Short: command.Say(lang, "Refaire un coordonnateur à partir de sauvegardes et des copies du journal que tiennent les membres",
			"Make a coordinator again out of backups and of the copies of the log that members hold"),
		Long: command.Say(lang, "Vérifie tout ce qu'on lui donne, prend le plus long des journaux, et fait un dossier par réplique et un pour le bureau.\nToutes les répliques se restaurent d'une seule commande, pour commencer par la même entrée.\nAvant\u00a0: que chaque membre donne sa copie, «\u00a0coulisse log export\u00a0». Ce qu'elle a de plus est ce que les sauvegardes n'ont pas.",
			"Verifies all that it is given, takes the longest of the logs, and makes a folder for each replica and one for the office.\nAll replicas are restored by one command, so that they begin from the same entry.\nBefore: have members hand over their copy, “coulisse log export”. What it has beyond the backups is what those lack."),
		Example: "  coulisse coordinator restore coordinator-2 --identity office.agekey \\\n" +
			"    --backup r1.age --backup r2.age --backup r3.age --log agora.jsonl --log phare.jsonl\n" +
			"  coulisse coordinator restore coordinator-2 --survivor coordinator/r1 --alone --log agora.jsonl",
		Args: command.Arguments("NEW_DIR"),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&r.Backups, "backup", nil, command.Say(lang, "sauvegarde d'une réplique; à répéter", "backup of a replica; repeat it"))
	flags.StringArrayVar(&r.Logs, "log", nil, command.Say(lang, "copie du journal d'un membre; à répéter", "a member's copy of the log; repeat it"))
	flags.StringVar(&r.Survivor, "survivor", "", command.Say(lang,
		"dossier d'une réplique arrêtée, si la majorité est perdue pour de bon", "folder of a stopped replica, if the majority is lost for good"))
	flags.BoolVar(&r.Alone, "alone", false, command.Say(lang,
		"faire un coordonnateur d'une seule réplique", "make a coordinator of a single replica"))
	flags.StringVar(&federation, "federation", "", command.Say(lang,
		"empreinte de la fédération, pour n'en admettre aucune autre", "the federation's hash, to admit no other one"))
	identities := identityFlag(cmd, lang)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if federation != "" {
			if err := r.Federation.UnmarshalText([]byte(federation)); err != nil {
				return command.Misused("--federation attend l'empreinte entière de l'acte de fondation.", "--federation expects the whole hash of the founding.")
			}
		}
		r.Dir, r.Identities, r.Now = args[0], *identities, time.Now()
		done, err := coordinator.Restore(r)
		if err != nil {
			return err
		}
		printRestored(cmd, r.Dir, done)
		return nil
	}
	return cmd
}

func printRestored(cmd *cobra.Command, dir string, done coordinator.Restored) {
	for _, p := range done.Replicas {
		say(cmd, "%s\tà porter sur la machine qui répond à %s", "%s\tto be moved to the machine that answers at %s", filepath.Join(dir, string(p.ID)), p.Address)
	}
	say(cmd, "%s\tpour le bureau", "%s\tfor the office", filepath.Join(dir, coordinator.DirOperator))
	say(cmd, "\nFédération %s. Journal de %s\u00a0: %d entrées, la dernière du %s.", "\nFederation %s. Log from %s: %d entries, the last of %s.",
		done.Federation, done.From, done.Head.Size, instant(done.At))
	say(cmd, "Tête %s, à comparer avec «\u00a0coulisse log head\u00a0» chez un membre.", "Head %s, to be compared with “coulisse log head” at a member's.", done.Head.Root)
	for _, left := range done.LeftOut {
		say(cmd, "Les %d dernières entrées de %s ne sont pas reprises\u00a0: aucune réplique ne les avait signées, et un autre journal en a d'autres qui le sont.",
			"The last %d entries of %s are not taken: no replica had signed them, and another log has others that are signed.", left.Entries, left.File)
	}
	printMissing(cmd, done)
	say(cmd, "Un certificat de nœud vaut un jour\u00a0: un nœud resté plus longtemps sans coordonnateur s'inscrit de nouveau, avec un jeton.",
		"A node's certificate is good for a day: a node that was longer without a coordinator enrols again, with a token.")
	say(cmd, "Ne redémarrez jamais les anciens dossiers. Les jetons d'inscription non utilisés sont perdus\u00a0: refaites-les. Un membre dont le nœud a plus d'entrées le dira\u00a0: recommencez alors avec sa copie.",
		"Never start the old folders again. Enrolment tokens that were not used are lost: make them again. A member whose node holds more entries will say so: then begin again with its copy.")
}

func printMissing(cmd *cobra.Command, done coordinator.Restored) {
	var names []string
	for _, id := range done.Missing {
		names = append(names, string(id))
	}
	switch list := strings.Join(names, ", "); {
	case list == "":
	case 2*len(done.Replicas) > len(done.Replicas)+len(done.Missing):
		say(cmd, "Sans sauvegarde, donc pas restaurées\u00a0: %s. Remplacez-les dès que les autres tournent.", "Without a backup, and so not restored: %s. Replace them as soon as the others run.", list)
	default:
		left := done.Replicas[0]
		say(cmd, "Les répliques %s ne sont pas restaurées, et une majorité de signatures manque pour changer la liste. Si leurs clés sont perdues pour de bon, les membres votent de s'en passer\u00a0: `coulisse proposal new --sole-replica %s=%s …`. Ensuite, `coulisse coordinator replica prepare` et `admit` en ajoutent.",
			"The replicas %s are not restored, and a majority of signatures is missing to change the roll. If their keys are lost for good, the members vote to do without: `coulisse proposal new --sole-replica %s=%s …`. Then `coulisse coordinator replica prepare` and `admit` add others.",
			list, left.ID, left.Address)
	}
}
