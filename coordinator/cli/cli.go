// Package cli is the command line of the co-operative's office: it makes a
// coordinator, runs its replicas, says how they are, issues enrolment tokens,
// and draws up the charter that founders sign.
//
// It only reads flags and files and prints; package coordinator does the work.
// Whoever signs does so with a member's node, never here.
package cli

import (
	"fmt"
	"io"
	"os"

	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// Commands are the subcommands of the program that this package provides. The
// language is that of their help; what they print follows --lang.
func Commands(lang, version string) []*cobra.Command {
	return []*cobra.Command{coordinatorCommand(lang, version), charterCommand(lang)}
}

const maxFile = 64 << 20

// readFile reads a document that people may have indented.
func readFile[T any](path string) (T, error) {
	var doc T
	text, err := readText(path)
	if err != nil {
		return doc, err
	}
	if doc, err = protocol.DecodeFile[T](text); err != nil {
		return doc, protocol.Refuse(protocol.ErrMalformed,
			"le fichier %s n'est pas du genre attendu (%v)", "the file %s is not of the expected kind (%v)", path, err)
	}
	return doc, nil
}

func readText(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, protocol.Refuse(protocol.ErrMalformed,
			"le fichier %s ne s'ouvre pas (%v)", "the file %s does not open (%v)", path, err)
	}
	defer file.Close() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil || len(text) > maxFile {
		return nil, protocol.Refuse(protocol.ErrMalformed,
			"le fichier %s ne se lit pas, ou est trop grand", "the file %s does not read, or is too large", path)
	}
	return text, nil
}

// writeNew writes a document to a file that is not there yet.
func writeNew(path string, doc any) error {
	text, err := protocol.Indented(doc)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return protocol.Refuse(protocol.ErrMalformed,
			"le fichier %s ne peut pas être créé (%v)", "the file %s cannot be created (%v)", path, err)
	}
	if _, err := file.Write(text); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// printJSON is what --json prints.
func printJSON(w io.Writer, v any) error {
	text, err := json.Marshal(v, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// say prints a sentence in the command's language.
func say(cmd *cobra.Command, fr, en string, values ...any) {
	fmt.Fprintf(cmd.OutOrStdout(), command.Say(command.Lang(cmd), fr, en)+"\n", values...)
}

// help prints what goes with a result that others may read from the output.
func help(cmd *cobra.Command, fr, en string, values ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), command.Say(command.Lang(cmd), fr, en)+"\n", values...)
}
