// Package command is what the subcommands of the program share: the language
// that they speak, how they end, and how they lay out tables. It knows neither
// nodes nor coordinators.
//
// A subcommand ends with 0, with 1 when what was asked was refused or failed,
// and with 2 when it was asked wrongly.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"coulisse/protocol"
	"coulisse/protocol/refusal"

	"github.com/spf13/cobra"
)

// The languages.
const (
	French  = "fr"
	English = "en"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Language is the one to speak before flags are parsed: --lang among the
// arguments, else the environment's, else English. Help needs it that early.
func Language(args []string, getenv func(string) string) string {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		value, ok := strings.CutPrefix(arg, "--lang=")
		if arg == "--lang" && i+1 < len(args) {
			value, ok = args[i+1], true
		}
		if ok && (value == French || value == English) {
			return value
		}
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := getenv(name); value != "" {
			if strings.HasPrefix(strings.ToLower(value), French) {
				return French
			}
			return English
		}
	}
	return English
}

// Lang is the language that a running command speaks.
func Lang(cmd *cobra.Command) string {
	if lang, err := cmd.Flags().GetString("lang"); err == nil && lang == French {
		return French
	}
	return English
}

// Usage says that a command was asked wrongly.
type Usage struct{ Text protocol.Text }

// Error implements error.
func (u Usage) Error() string { return u.Text.EN }

// Words are the sentences for people.
func (u Usage) Words() protocol.Text { return u.Text }

// Misused makes a [Usage]. Both sentences take the same values.
func Misused(fr, en string, values ...any) error {
	return Usage{protocol.Text{FR: fmt.Sprintf(fr, values...), EN: fmt.Sprintf(en, values...)}}
}

// Arguments demands one argument for each name.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		if len(names) == 0 {
			return Misused("La commande «\u00a0%s\u00a0» ne prend pas d'argument.", "The command “%s” takes no argument.", cmd.CommandPath())
		}
		return Misused("La commande «\u00a0%s\u00a0» attend\u00a0: %s.", "The command “%s” expects: %s.",
			cmd.CommandPath(), strings.Join(names, " "))
	}
}

// Root is the program's command, under which the others are.
func Root(lang, version string, subcommands ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:           "coulisse",
		Version:       version,
		Short:         Say(lang, "Des audiences culturelles mutualisées, sans montrer son public", "Pooled cultural audiences, without showing one's public"),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().String("lang", lang, Say(lang, "langue\u00a0: fr ou en", "language: fr or en"))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if said, _ := cmd.Flags().GetString("lang"); said != French && said != English {
			return Misused("La langue est fr ou en.", "The language is fr or en.")
		}
		return nil
	}
	root.AddCommand(subcommands...)
	if lang == French {
		root.SetUsageTemplate(frenchUsage)
	}
	return root
}

// Say picks a sentence.
func Say(lang, fr, en string) string { return protocol.Text{FR: fr, EN: en}.In(lang) }

// failure marks an error of a command's own work: whatever else cobra returns
// is about how the command was asked.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// Execute runs the command that args name and returns its exit status. Errors
// go to the root's standard error, in the chosen language.
func Execute(ctx context.Context, root *cobra.Command, lang string) int {
	prepare(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(root.ErrOrStderr(), "coulisse: "+Printable(words(err).In(lang)))
	return status(err)
}

// status is how a command ends with an error. One that says so itself is
// believed.
func status(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case errors.As(err, new(Usage)), !errors.As(err, new(failure)):
		return exitUsage
	case errors.As(err, &coded):
		return coded.ExitCode()
	}
	return exitFailed
}

// prepare marks failures, and makes groups refuse what they do not know.
func prepare(cmd *cobra.Command) {
	if cmd.HasSubCommands() && !cmd.Runnable() {
		cmd.Args = cobra.NoArgs
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	} else if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return failure{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		prepare(sub)
	}
}

// words is an error for people. One that has no words in two languages says
// what it says in English.
func words(err error) protocol.Text {
	nobody := refusal.Words(errors.New(""))
	if said := refusal.Words(err); said != nobody {
		return said
	}
	if !errors.As(err, new(failure)) {
		return protocol.Text{
			FR: "Commande mal formée (" + err.Error() + "). Voyez --help.",
			EN: "The command is not well formed (" + err.Error() + "). See --help.",
		}
	}
	return protocol.Text{FR: err.Error(), EN: err.Error()}
}

// Printable is a text without what a terminal would obey rather than show:
// titles, reasons and refusals are other members' words.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, text)
}

// Table lines up rows under titles, two spaces apart, without rules.
func Table(w io.Writer, titles []string, rows [][]string) error {
	widths := make([]int, len(titles))
	shown := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{titles}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = strings.ReplaceAll(Printable(cell), "\n", " ")
		}
		shown = append(shown, cells)
	}
	for _, row := range shown {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, row := range shown {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// frenchUsage is cobra's template in French.
const frenchUsage = `Usage{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [commande]{{end}}{{if gt (len .Aliases) 0}}

Autres noms
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Exemples
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commandes{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Options
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Options communes
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

«{{.CommandPath}} [commande] --help» en dit plus sur une commande.{{end}}
`
