// Package cli is the member's command line: each command asks the running node
// of a folder through package api, prints what it answers in French or in
// English, and ends. Founding, enrolling and serving are the exceptions, which
// work on the folder itself, as is verifying, which needs no node.
package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/spf13/cobra"
)

// Commands are the member's subcommands, in the language of the arguments or
// the environment.
func Commands(version string) []*cobra.Command {
	l := speech(command.Language(os.Args[1:], os.Getenv))
	return []*cobra.Command{
		nodeCommand(l, version), importCommand(l), segmentCommand(l), personCommand(l), dataCommand(l), policyCommand(l), proposalCommand(l), audienceCommand(l), logCommand(l), withdrawCommand(l), collectCommand(l),
	}
}

// speech is the language of help.
type speech string

func (l speech) say(fr, en string) string { return command.Say(string(l), fr, en) }

const defaultFolder = "coulisse-node"

// withFolder gives a command the flag that names the node's folder.
func withFolder(l speech, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("dir", cmp.Or(os.Getenv("COULISSE_DIR"), defaultFolder), l.say("dossier du nœud", "the node's folder"))
	return cmd
}

// withJSON gives a listing its other form.
func withJSON(l speech, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, l.say("écrire en JSON", "write JSON"))
	return cmd
}

func folderOf(cmd *cobra.Command) string {
	dir, _ := cmd.Flags().GetString("dir")
	return dir
}

// client asks the node of the command's folder.
func client(cmd *cobra.Command) (*api.Client, error) {
	folder, err := filepath.Abs(folderOf(cmd))
	if err != nil {
		return nil, err
	}
	return api.NewClient((&node.Folder{Dir: folder}).Socket()), nil
}

// said gives an error of this process the words that people read.
type said struct {
	error
	words protocol.Text
}

func (s said) Unwrap() error        { return s.error }
func (s said) Words() protocol.Text { return s.words }

// inWords words an error of the node's packages.
func inWords(err error) error {
	if err == nil {
		return nil
	}
	if path := new(os.PathError); errors.As(err, &path) {
		return said{err, fileWords(path)}
	}
	return said{err, node.Words(err)}
}

// fileWords say what is the matter with a file that the command was given.
func fileWords(err *os.PathError) protocol.Text {
	why := protocol.Text{FR: err.Err.Error(), EN: err.Err.Error()}
	switch {
	case errors.Is(err, os.ErrNotExist):
		why = protocol.Text{FR: "il n'existe pas", EN: "it does not exist"}
	case errors.Is(err, os.ErrPermission):
		why = protocol.Text{FR: "vous n'y avez pas accès", EN: "you have no access to it"}
	case errors.Is(err, os.ErrExist):
		why = protocol.Text{FR: "il existe déjà", EN: "it exists already"}
	}
	return protocol.Text{
		FR: fmt.Sprintf("Le fichier %s ne peut pas servir\u00a0: %s.", err.Path, why.FR),
		EN: fmt.Sprintf("The file %s cannot be used: %s.", err.Path, why.EN),
	}
}

// readFile reads a bounded file that the command was given.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, inWords(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, inWords(err)
	}
	if int64(len(text)) > limit {
		return nil, command.Misused("Le fichier %s est trop long.", "The file %s is too long.", path)
	}
	return text, nil
}

// printer writes a command's answer.
type printer struct {
	out  io.Writer
	lang string
	err  error
}

func printing(cmd *cobra.Command) *printer {
	return &printer{out: cmd.OutOrStdout(), lang: command.Lang(cmd)}
}

// line writes a sentence with its values; nothing after a failure.
func (p *printer) line(fr, en string, values ...any) {
	p.print(fmt.Sprintf(command.Say(p.lang, fr, en), values...) + "\n")
}

func (p *printer) print(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.out, command.Printable(text))
	}
}

// blank leaves a line free, and title begins a part of a page.
func (p *printer) blank() { p.print("\n") }

func (p *printer) title(fr, en string) {
	p.blank()
	p.line(fr, en)
}

func (p *printer) table(titles []protocol.Text, rows [][]string) {
	if p.err != nil {
		return
	}
	heads := make([]string, len(titles))
	for i, t := range titles {
		heads[i] = t.In(p.lang)
	}
	p.err = command.Table(p.out, heads, rows)
}

// fields writes names and values in two columns.
func (p *printer) fields(rows ...[2]string) {
	width := 0
	for _, row := range rows {
		width = max(width, len([]rune(row[0])))
	}
	for _, row := range rows {
		if row[1] != "" {
			value := wrapped(row[1], strings.Repeat(" ", width+4))
			p.print(fmt.Sprintf("  %-*s  %s", width, row[0], strings.TrimLeft(value, " ")))
		}
	}
}

func (p *printer) say(fr, en string) string { return command.Say(p.lang, fr, en) }

// listing writes a list as JSON if that was asked for, else in words.
func listing(cmd *cobra.Command, v any, inWords func(*printer)) error {
	p := printing(cmd)
	if asked, _ := cmd.Flags().GetBool("json"); asked {
		p.err = json.MarshalWrite(p.out, v, jsonv1.FormatDurationAsNano(true), jsontext.WithIndent("  "))
		p.blank()
		return p.err
	}
	inWords(p)
	return p.err
}
