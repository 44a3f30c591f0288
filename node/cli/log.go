package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func logCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: l.say("Le journal de la fédération\u00a0: où il en est, le prouver, le copier", "The federation's log: where it is, prove it, copy it"),
		Long: l.say("Tout ce qui engage la fédération est dans un journal que chaque nœud tient et vérifie.\nUn point de contrôle dit, sous la signature d'une réplique et de membres, ce qu'il est à un moment donné.",
			"Whatever binds the federation is in a log that every node keeps and verifies.\nA checkpoint says, signed by a replica and by members, what it is at a moment."),
	}
	cmd.AddCommand(logHead(l), logProve(l), logExport(l), logVerify(l))
	return cmd
}

func logHead(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "head",
		Short: l.say("Dire où en est le journal, et qui en répond", "Say where the log is, and who vouches for it"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			h, err := c.LogHead(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, h, func(p *printer) { p.logHead(h) })
		},
	}))
}

func (p *printer) logHead(h node.LogHead) {
	p.fields(
		[2]string{p.say("Entrées", "Entries"), p.number(h.Size)},
		[2]string{p.say("Racine", "Root"), h.Root.String()},
		[2]string{p.say("Dernière entrée", "Last entry"), p.instant(h.At)},
	)
	p.title("Point de contrôle", "Checkpoint")
	if h.Checkpoint.Head.Size == 0 {
		p.line("  Aucun encore. Le nœud en prend un dès que le coordonnateur répond.", "  None yet. The node takes one as soon as the coordinator answers.")
	} else {
		p.checkpoint(h.Checkpoint.Head, h.Checkpoint.Replicas, h.Checkpoint.Cosigned, h.Checkpoint.Members)
	}
	p.title("Clés des répliques, pour tout outil C2SP", "Keys of the replicas, for any C2SP tool")
	for _, k := range h.Keys {
		p.print(fmt.Sprintf("  %s  %s\n", k.Party, k.VKey))
	}
}

// checkpoint says who vouches for which head.
func (p *printer) checkpoint(head protocol.Head, replicas []protocol.ReplicaID, cosigned []checkpoint.Cosignature, members int) {
	var signers, names []string
	for _, id := range replicas {
		signers = append(signers, string(id))
	}
	for _, s := range cosigned {
		names = append(names, string(s.Member)+" "+p.instant(s.At))
	}
	p.fields(
		[2]string{p.say("Entrées", "Entries"), p.number(head.Size)},
		[2]string{p.say("Racine", "Root"), head.Root.String()},
		[2]string{p.say("Signé par", "Signed by"), strings.Join(signers, ", ")},
		[2]string{p.say("Cosigné par", "Cosigned by"), fmt.Sprintf(p.say("%d membres sur %d", "%d of %d members"), len(cosigned), members)},
	)
	for _, name := range names {
		p.print("    " + name + "\n")
	}
}

// logOut gives a command the flag that names the file to write.
func logOut(l speech, cmd *cobra.Command, out *string) *cobra.Command {
	cmd.Flags().StringVar(out, "out", "", l.say("fichier à écrire", "file to write"))
	return withFolder(l, cmd)
}

var errNoOut = command.Misused("Nommez le fichier à écrire avec --out.", "Name the file to write with --out.")

func logProve(l speech) *cobra.Command {
	var out string
	return logOut(l, &cobra.Command{
		Use:   "prove SEQ --out FILE",
		Short: l.say("Écrire la preuve qu'une entrée est au journal", "Write the proof that an entry is in the log"),
		Args:  command.Arguments("SEQ"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseInt(args[0], 10, 64)
			switch {
			case err != nil || seq < 0:
				return command.Misused("Une entrée se nomme par son numéro, à partir de 0.", "An entry is named by its number, from 0.")
			case out == "":
				return errNoOut
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			proof, err := c.ProveEntry(cmd.Context(), seq)
			if err != nil {
				return err
			}
			text, err := protocol.Indented(proof)
			if err != nil {
				return err
			}
			if err := writeFile(out, text); err != nil {
				return err
			}
			p := printing(cmd)
			p.line("%s\u00a0: l'entrée %d, %s.", "%s: entry %d, %s.", filepath.Base(out), seq, proof.Entry.Entry.Label)
			return p.err
		},
	}, &out)
}

func logExport(l speech) *cobra.Command {
	var out string
	return logOut(l, &cobra.Command{
		Use:   "export --out FILE",
		Short: l.say("Écrire une copie de tout le journal, qui se vérifie seule", "Write a copy of the whole log, which verifies by itself"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return errNoOut
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			file, err := os.CreateTemp(filepath.Dir(out), "."+filepath.Base(out)+".*")
			if err != nil {
				return inWords(err)
			}
			defer os.Remove(file.Name()) // gone already once it was renamed
			err = c.CopyLog(cmd.Context(), file)
			if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
				return err
			}
			if err := os.Rename(file.Name(), out); err != nil {
				return inWords(err)
			}
			p := printing(cmd)
			p.line("%s\u00a0: vérifiez-le où vous voulez avec «\u00a0coulisse log verify\u00a0».", "%s: verify it anywhere with “coulisse log verify”.", filepath.Base(out))
			return p.err
		},
	}, &out)
}

func logVerify(l speech) *cobra.Command {
	var hash string
	cmd := withFolder(l, &cobra.Command{
		Use:   "verify FILE",
		Short: l.say("Vérifier une copie du journal ou une preuve, sans réseau ni nœud", "Verify a copy of the log or a proof, without network or node"),
		Long: l.say("D'une copie, rejoue chaque entrée depuis la fondation\u00a0: signatures, bulletins, budget\u00a0; puis compare au point de contrôle.\nD'une preuve, vérifie que l'entrée est sous le point de contrôle.",
			"Of a copy, replays every entry from the founding: signatures, ballots, budget; then compares with the checkpoint.\nOf a proof, verifies that the entry is under the checkpoint."),
		Args: command.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			federationID, err := trusted(cmd, hash)
			if err != nil {
				return err
			}
			p := printing(cmd)
			if err := p.verifyLog(federationID, args[0]); err != nil {
				return err
			}
			return p.err
		},
	})
	cmd.Flags().StringVar(&hash, "federation", "", l.say("empreinte de la fédération, au lieu de celle du dossier", "the federation's hash, instead of the folder's"))
	return cmd
}

// verifyLog tells a proof by its first line: it is indented for people.
func (p *printer) verifyLog(federationID protocol.Hash, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return inWords(err)
	}
	defer file.Close()
	first := make([]byte, 2)
	n, _ := file.ReadAt(first, 0)
	if !bytes.Equal(first[:n], []byte("{\n")) {
		s, err := archive.Verify(file, federationID)
		if err != nil {
			return unprovenLog(err)
		}
		p.line("Rejoué depuis la fondation %s\u00a0: %s entrées et %d décisions, chaque signature et chaque bulletin.",
			"Replayed from the founding %s: %s entries and %d decisions, every signature and every ballot.",
			federationID.Short(), p.number(s.Checkpoint.Head.Size), s.View.Decisions)
		p.vouched(s)
		return nil
	}
	raw, err := readFile(path, maxProof)
	if err != nil {
		return err
	}
	proof, err := protocol.DecodeFile[archive.Proof](raw)
	if err != nil {
		return inWords(err)
	}
	s, err := proof.Verify(federationID)
	if err != nil {
		return unprovenLog(err)
	}
	p.line("Prouvé\u00a0: l'entrée %d de la fédération %s, %s, du %s, est au journal.", "Proven: entry %d of the federation %s, %s, of %s, is in the log.",
		proof.Entry.Entry.Seq, federationID.Short(), proof.Entry.Entry.Label, p.instant(s.At))
	p.vouched(s)
	return nil
}

// unprovenLog says what is wrong with a copy or a proof, and where.
func unprovenLog(err error) error {
	detail, ok := strings.CutPrefix(err.Error(), archive.ErrArchive.Error()+": ")
	if !ok {
		return inWords(err)
	}
	return said{err, protocol.Text{
		FR: "Ce fichier ne prouve pas ce qu'il affirme du journal. Demandez sa copie à un autre membre, et gardez celle-ci. Détail\u00a0: " + detail + ".",
		EN: "This file does not prove what it states about the log. Ask another member for its copy, and keep this one. Detail: " + detail + ".",
	}}
}

func (p *printer) vouched(s archive.Statement) {
	p.blank()
	p.checkpoint(s.Checkpoint.Head, s.Checkpoint.Replicas, s.Checkpoint.Cosigned, len(s.View.Roster()))
}
