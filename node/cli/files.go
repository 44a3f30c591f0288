package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"coulisse/crypto/dp"
	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/command"
	"coulisse/protocol/record"
	"coulisse/protocol/refusal"

	"github.com/spf13/cobra"
)

func audienceExport(l speech) *cobra.Command {
	var out string
	cmd := withFolder(l, &cobra.Command{
		Use:   "export ID --out DIR",
		Short: l.say("Écrire les chiffres en CSV et en JSON, avec leur preuve", "Write the figures as CSV and JSON, with their proof"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return command.Misused("Nommez un dossier avec --out.", "Name a folder with --out.")
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			files, err := c.Files(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return inWords(err)
			}
			p := printing(cmd)
			for _, f := range []record.File{files.CSV, files.JSON, files.Proof} {
				path := filepath.Join(out, filepath.Base(f.Name))
				if err := writeFile(path, f.Content); err != nil {
					return err
				}
				p.print(path + "\n")
			}
			return p.err
		},
	})
	cmd.Flags().StringVar(&out, "out", "", l.say("dossier où écrire", "folder to write to"))
	return cmd
}

func audienceVerify(l speech) *cobra.Command {
	var hash string
	cmd := withFolder(l, &cobra.Command{
		Use:   "verify FILE",
		Short: l.say("Vérifier les fichiers d'une audience, sans réseau ni nœud", "Verify an audience's files, without network or node"),
		Long: l.say("Vérifie la preuve et les fichiers qui sont à côté, depuis l'acte de fondation\u00a0: chaque bulletin, chaque accord, le budget, le résultat.\nFILE est l'un des trois fichiers.",
			"Verifies the proof and the files beside it, from the genesis up: every ballot, every agreement, the budget, the result.\nFILE is any of the three files."),
		Args: command.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			federationID, err := trusted(cmd, hash)
			if err != nil {
				return err
			}
			s, found, err := verifyFiles(federationID, args[0])
			if err != nil {
				return err
			}
			p := printing(cmd)
			p.verified(s, found)
			return p.err
		},
	})
	cmd.Flags().StringVar(&hash, "federation", "", l.say("empreinte de la fédération, au lieu de celle du dossier", "the federation's hash, instead of the folder's"))
	return cmd
}

// maxProof bounds the file of a proof: it holds the chain of decisions.
const maxProof = 64 << 20

// verifyFiles checks the files beside the one that is named. At least the
// proof must be there.
func verifyFiles(federationID protocol.Hash, path string) (record.Statement, []string, error) {
	base := path
	for _, suffix := range []string{record.SuffixProof, ".json", ".csv"} {
		if rest, ok := strings.CutSuffix(path, suffix); ok {
			base = rest
			break
		}
	}
	proof, err := readFile(base+record.SuffixProof, maxProof)
	if err != nil {
		return record.Statement{}, nil, err
	}
	var companions []record.File
	found := []string{filepath.Base(base + record.SuffixProof)}
	for _, name := range record.Companions(protocol.RoundID(filepath.Base(base))) {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(base), name))
		if errors.Is(err, os.ErrNotExist) && filepath.Base(path) != name {
			continue
		}
		if err != nil {
			return record.Statement{}, nil, inWords(err)
		}
		companions, found = append(companions, record.File{Name: name, Content: content}), append(found, name)
	}
	s, err := record.Verify(federationID, proof, companions...)
	if err != nil {
		return s, nil, unproven(err)
	}
	return s, found, nil
}

// unproven says what is wrong with a file that does not prove what it states:
// in the words of what it fails, where that has any.
func unproven(err error) error {
	words := node.Words(err)
	if words == refusal.Words(record.ErrRecord) {
		words.EN += " (" + err.Error() + ")" // which has no French
	}
	return said{err, words}
}

func (p *printer) verified(s record.Statement, found []string) {
	m := s.Manifest
	p.line("Vérifié\u00a0: %s", "Verified: %s", strings.Join(found, ", "))
	p.line("Fédération %s, tête du journal %s à %d entrées.", "Federation %s, log head %s at %d entries.", s.Federation.Short(), s.Head.Root.Short(), s.Head.Size)
	p.blank()
	p.line("%s", "%s", m.Title.In(p.lang))
	floor := s.View.Charter.Floors.MinSize
	p.fields(
		[2]string{p.say("Taille", "Size"), p.figure(&s.Result.Size, floor)},
		[2]string{p.say("Demandée par", "Asked for by"), string(s.Initiator)},
		[2]string{p.say("Acceptée par", "Accepted by"), members(s.Accepted)},
		[2]string{p.say("Politiques", "Policies"), p.under(s.View.Decisions)},
		[2]string{p.say("Coût", "Cost"), rho(s.Reserve.Cost) + p.say(", reste ", ", left ") + rho(s.Reserve.Left)},
		[2]string{p.say("Publiée le", "Published"), p.instant(s.PublishedAt)},
	)
	p.verifiedParts(s, floor)
}

func (p *printer) verifiedParts(s record.Statement, floor dp.Floor) {
	rows := make([][2]string, len(s.Result.Sources))
	for i, part := range s.Result.Sources {
		rows[i] = [2]string{string(part.Source), p.figure(&part.Figure, floor)}
	}
	p.title("Part de chaque source", "Part of each source")
	p.fields(rows...)
}
