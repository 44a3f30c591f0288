package cli

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"coulisse/crypto/seal"
	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func dataCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: l.say("Les données de votre organisation", "Your organisation's data"),
	}
	cmd.AddCommand(dataExport(l))
	return cmd
}

func dataExport(l speech) *cobra.Command {
	var out, to string
	cmd := withJSON(l, withFolder(l, &cobra.Command{
		Use:   "export --out FOLDER",
		Short: l.say("Remettre tout ce que votre organisation possède, en formats ouverts", "Hand over everything that your organisation owns, in open formats"),
		Long: l.say("Écrit chaque table en CSV et en Parquet, sous le sceau d'age\u00a0: pour la clé de votre nœud, ou pour un destinataire (age1pq1…).\nLe dossier dit comment l'ouvrir sans Coulisse.",
			"Writes each table as CSV and as Parquet, under the seal of age: for your node's own key, or for a recipient (age1pq1…).\nThe folder says how to open it without Coulisse."),
		Example: "  coulisse data export --out sauvegarde",
		Args:    command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return command.Misused("Nommez le dossier à écrire avec --out.", "Name the folder to write with --out.")
			}
			if err := os.Mkdir(out, 0o700); err != nil { // never into what is there
				return inWords(err)
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.Data(cmd.Context(), seal.Recipient(to))
			if err != nil {
				return err
			}
			defer answer.Close()
			contents, err := unpack(answer, out)
			if err != nil {
				return err
			}
			return listing(cmd, contents, func(p *printer) {
				p.line("%s fichiers sont dans %s, sous le sceau d'age. README.md dit comment les ouvrir.",
					"%s files are in %s, under the seal of age. README.md says how to open them.", p.number(int64(len(contents.Files))), out)
			})
		},
	}))
	cmd.Flags().StringVar(&out, "out", "", l.say("dossier à écrire, qui n'existe pas encore", "folder to write, which is not there yet"))
	cmd.Flags().StringVar(&to, "to", "", l.say("destinataire age (la clé de votre nœud par défaut)", "age recipient (your node's own key by default)"))
	return cmd
}

var errNotWhole = errors.New("the export is not whole")

// unpack writes the files of an export and holds them against its list.
func unpack(export io.Reader, out string) (node.ExportContents, error) {
	digests := map[string]string{}
	var contents node.ExportContents
	cut := protocol.Refuse(errNotWhole, "l'exportation s'est interrompue\u00a0; recommencez dans un autre dossier", "the export was cut off; start again in another folder")
	for files := tar.NewReader(export); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || !filepath.IsLocal(header.Name) || header.Typeflag != tar.TypeReg {
			return contents, cut
		}
		var list bytes.Buffer
		digest := sha256.New()
		into := []io.Writer{digest}
		if header.Name == node.DataContents {
			into = append(into, &list)
		}
		if err := writeNew(filepath.Join(out, filepath.FromSlash(header.Name)), io.TeeReader(files, io.MultiWriter(into...))); err != nil {
			if path := new(os.PathError); errors.As(err, &path) {
				return contents, inWords(err)
			}
			return contents, cut
		}
		digests[header.Name] = hex.EncodeToString(digest.Sum(nil))
		if header.Name == node.DataContents {
			if err := json.Unmarshal(list.Bytes(), &contents); err != nil {
				return contents, cut
			}
		}
	}
	for _, f := range contents.Files {
		if digests[f.Name] != f.SHA256 {
			return contents, cut
		}
	}
	if contents.Format != node.DataFormat {
		return contents, cut
	}
	return contents, nil
}

// writeNew writes a file that is not there yet, for its owner only.
func writeNew(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

func personExport(l speech) *cobra.Command {
	var out string
	cmd := naming(l, &cobra.Command{
		Use:   "export NAME --out FILE.zip",
		Short: l.say("Remettre à une personne tout ce qui est gardé d'elle", "Hand a person everything that is held of them"),
		Long: l.say("Écrit un zip\u00a0: person.json avec son schéma, et les mêmes lignes en CSV. Vérifiez l'identité de qui le demande.",
			"Writes a zip: person.json with its schema, and the same rows as CSV. Make sure of who is asking."),
		Example: "  coulisse person export claire@example.org --out claire.zip",
		Args:    command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return command.Misused("Nommez le fichier à écrire avec --out.", "Name the file to write with --out.")
			}
			c, person, err := one(cmd, args[0])
			if err != nil {
				return err
			}
			copied, err := c.CopyPerson(cmd.Context(), person.Number)
			if err != nil {
				return err
			}
			if err := writeNew(out, bytes.NewReader(copied)); err != nil {
				return inWords(err)
			}
			return listing(cmd, struct {
				File  string `json:"file"`
				Bytes int    `json:"bytes"`
			}{out, len(copied)}, func(p *printer) {
				p.line("%s est écrit\u00a0: %s octets.", "%s is written: %s bytes.", out, p.number(int64(len(copied))))
			})
		},
	})
	cmd.Flags().StringVar(&out, "out", "", l.say("fichier à écrire, qui n'existe pas encore", "file to write, which is not there yet"))
	return cmd
}
