package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"coulisse/crypto/durable"
	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/command"
	"coulisse/protocol/tiles"

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
	var out, tree string
	cmd := logOut(l, &cobra.Command{
		Use:   "export --out FILE | --tiles DIR",
		Short: l.say("Écrire une copie de tout le journal, qui se vérifie seule", "Write a copy of the whole log, which verifies by itself"),
		Long: l.say("Avec --out, un fichier\u00a0: un point de contrôle, puis une entrée par ligne.\nAvec --tiles, un dossier de ressources statiques (C2SP tlog-tiles) que n'importe quel serveur web peut publier\u00a0; la même commande le met à jour.\nLe journal nomme les membres et leurs votes\u00a0: la fédération décide si elle le publie.",
			"With --out, a file: a checkpoint, then one entry a line.\nWith --tiles, a folder of static resources (C2SP tlog-tiles) that any web server can publish; the same command brings it up to date.\nThe log names the members and their votes: whether to publish it is for the federation to decide."),
		Args: command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case tree != "" && out != "":
				return command.Misused("Donnez --out ou --tiles, pas les deux.", "Give --out or --tiles, not both.")
			case tree != "":
				return exportTiles(cmd, tree)
			case out == "":
				return errNoOut
			}
			return exportCopy(cmd, out)
		},
	}, &out)
	cmd.Flags().StringVar(&tree, "tiles", "", l.say("dossier à écrire, en ressources statiques", "folder to write, as static resources"))
	return cmd
}

// exportCopy writes the log as one file, there whole or not at all.
func exportCopy(cmd *cobra.Command, out string) error {
	c, err := client(cmd)
	if err != nil {
		return err
	}
	file, err := durable.Create(out)
	if err != nil {
		return inWords(err)
	}
	defer file.Discard()
	if err := errors.Join(c.CopyLog(cmd.Context(), file), file.Publish()); err != nil {
		return err
	}
	if err := file.Commit(); err != nil {
		return inWords(err)
	}
	p := printing(cmd)
	p.line("%s\u00a0: vérifiez-le où vous voulez avec «\u00a0coulisse log verify\u00a0».", "%s: verify it anywhere with “coulisse log verify”.", filepath.Base(out))
	return p.err
}

func logVerify(l speech) *cobra.Command {
	var hash string
	cmd := withFolder(l, &cobra.Command{
		Use:   "verify FILE|DIR",
		Short: l.say("Vérifier une copie du journal ou une preuve, sans réseau ni nœud", "Verify a copy of the log or a proof, without network or node"),
		Long: l.say("D'une copie, fichier ou dossier, rejoue chaque entrée depuis la fondation\u00a0: signatures, bulletins, budget\u00a0; puis compare au point de contrôle et, d'un dossier, à chaque empreinte.\nD'une preuve, vérifie que l'entrée est sous le point de contrôle.",
			"Of a copy, file or folder, replays every entry from the founding: signatures, ballots, budget; then compares with the checkpoint and, of a folder, with every hash.\nOf a proof, verifies that the entry is under the checkpoint."),
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

// verifyLog tells a folder of static resources, a proof by its first line, which
// is indented for people, and a copy.
func (p *printer) verifyLog(federationID protocol.Hash, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		s, err := tiles.Verify(os.DirFS(path), federationID)
		return p.replayed(s, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return inWords(err)
	}
	defer file.Close()
	first := make([]byte, 2)
	n, _ := file.ReadAt(first, 0)
	if !bytes.Equal(first[:n], []byte("{\n")) {
		s, err := archive.Verify(file, federationID)
		return p.replayed(s, err)
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

// replayed says what a copy proves, or what is wrong with it.
func (p *printer) replayed(s archive.Statement, err error) error {
	if err != nil {
		return unprovenLog(err)
	}
	p.line("Rejoué depuis la fondation %s\u00a0: %s entrées et %d décisions, chaque signature et chaque bulletin.",
		"Replayed from the founding %s: %s entries and %d decisions, every signature and every ballot.",
		s.Federation.Short(), p.number(s.Head.Size), s.View.Decisions)
	if later := s.Head.Size - s.Checkpoint.Head.Size; later > 0 {
		p.line("Les %s dernières sont venues après le point de contrôle\u00a0: aucune réplique n'en a encore signé l'ordre.",
			"The last %s came after the checkpoint: no replica has signed their order yet.", p.number(later))
	}
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
