package demo

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// Command is `coulisse demo`.
func Command(version string) *cobra.Command {
	lang := command.Language(os.Args[1:], os.Getenv) // of the help; the story follows --lang
	var o Options
	cmd := &cobra.Command{
		Use: "demo",
		Short: command.Say(lang, "Voir une fédération inventée mettre une audience en commun, sur cette machine",
			"See an invented federation pool an audience, on this machine"),
		Args: command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Ctrl-C, kill, and the terminal's closing: its processes end with it.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			o.Lang, o.Out, o.Version = command.Lang(cmd), cmd.OutOrStdout(), version
			_, err := Run(ctx, o)
			if err != nil && ctx.Err() != nil {
				return protocol.Refuse(errInterrupted, "la démonstration a été interrompue; aucun processus n'en reste", "the demonstration was interrupted; no process of it is left")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.Keep, "keep", false, command.Say(lang,
		"laisser tourner la fédération à la fin, et garder son dossier", "leave the federation running at the end, and keep its folder"))
	cmd.Flags().StringVar(&o.Dir, "dir", "", command.Say(lang,
		"dossier où travailler, nouveau ou vide (temporaire si absent)", "folder to work in, new or empty (a temporary one if absent)"))
	return cmd
}

var errInterrupted = errors.New("interrupted")

// Words say what fell, the last that it wrote, and what to do.
func (e *FallenError) Words() protocol.Text {
	last := "  " + strings.Join(e.Last, "\n  ")
	if len(e.Last) == 0 {
		last = "  –"
	}
	return protocol.Text{
		FR: fmt.Sprintf("Le processus %s s'est arrêté de lui-même (%v). Ses dernières lignes\u00a0:\n%s\n"+
			"Recommencez; si cela se répète, lancez la démonstration avec --keep et joignez le dossier logs/ à votre signalement.", e.Name, e.Err, last),
		EN: fmt.Sprintf("The process %s stopped by itself (%v). Its last lines:\n%s\n"+
			"Try again; if it happens again, run the demonstration with --keep and attach the folder logs/ to your report.", e.Name, e.Err, last),
	}
}

// Words say which command did not succeed, and what it said.
func (e *CommandError) Words() protocol.Text {
	said := strings.TrimSpace(e.Said)
	said = said[max(0, len(said)-lastBytes):]
	return protocol.Text{
		FR: fmt.Sprintf("Une commande de la démonstration n'a pas réussi\u00a0:\n  %s\n%s", e.Line, said),
		EN: fmt.Sprintf("A command of the demonstration did not succeed:\n  %s\n%s", e.Line, said),
	}
}
