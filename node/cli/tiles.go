package cli

import (
	"io"
	"path/filepath"

	"coulisse/protocol/archive"
	"coulisse/protocol/federation"
	"coulisse/protocol/tiles"

	"github.com/spf13/cobra"
)

// exportTiles writes the log as static resources. The copy that the node hands
// out is verified on the way: what is published has been replayed.
func exportTiles(cmd *cobra.Command, dir string) error {
	id, err := trusted(cmd, "")
	if err != nil {
		return err
	}
	c, err := client(cmd)
	if err != nil {
		return err
	}
	from, to := io.Pipe()
	go func() { to.CloseWithError(c.CopyLog(cmd.Context(), to)) }()
	s, log, err := archive.Read(from, id)
	from.Close() // ends the copy, if it was not read to its end
	if err != nil {
		return inWords(err)
	}
	err = tiles.Write(dir, s.Checkpoint, func(fn func(federation.Tx) error) error { return fn(log) })
	if err != nil {
		return inWords(err)
	}
	p := printing(cmd)
	p.line("%s\u00a0: %s entrées. Tout serveur web peut publier ce dossier\u00a0; vérifiez-le où vous voulez avec «\u00a0coulisse log verify\u00a0».",
		"%s: %s entries. Any web server can publish this folder; verify it anywhere with “coulisse log verify”.",
		filepath.Base(dir), p.number(s.Checkpoint.Head.Size))
	return p.err
}
