package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"coulisse/node"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// shownRows is how many rows of a table a page shows; --json has all.
const shownRows = 20

// person writes everything that is held of somebody.
func (p *printer) person(page node.PersonPage) {
	p.line("Personne #%d", "Person #%d", page.Number)
	epochs := make([]string, len(page.Tokens))
	for i, epoch := range page.Tokens {
		epochs[i] = fmt.Sprint(epoch)
	}
	tokens := p.say("aucun", "none")
	if len(epochs) > 0 {
		tokens = p.say("époque ", "epoch ") + strings.Join(epochs, ", ")
	}
	files := make([]string, len(page.Imports))
	for i, from := range page.Imports {
		files[i] = fmt.Sprintf("%s (%s)", from.File, day(from.At))
	}
	p.fields(
		[2]string{p.say("Identifiants", "Identifiers"), reached(page.PersonLine)},
		[2]string{p.say("Code postal", "Postal code"), orDash(page.PostalCode)},
		[2]string{p.say("Jetons", "Tokens"), tokens},
		[2]string{"Segments", orDash(strings.Join(page.Segments, ", "))},
		[2]string{p.say("Fichiers", "Files"), orDash(strings.Join(files, ", "))},
	)
	if len(page.Audiences) > 0 {
		p.title("Audiences mutualisées dont l'étiquette la nomme", "Pooled audiences whose label names the person")
		for _, a := range page.Audiences {
			p.print(fmt.Sprintf("  %s  %s\n", string(a.Round)[:12], a.Title.In(p.lang)))
		}
	}
	for _, held := range page.Held {
		if held.Table != "people" && held.Table != "identities" && held.Table != "standing" && len(held.Rows) > 0 {
			p.held(held)
		}
	}
}

// held writes the rows of one table, under the names of the schema. Columns
// that say nothing in any row, and the person's own number, are left out.
func (p *printer) held(t warehouse.Held) {
	rows := make([]map[string]any, 0, shownRows)
	for _, raw := range t.Rows[:min(len(t.Rows), shownRows)] {
		row := map[string]any{}
		if json.Unmarshal(raw, &row) == nil {
			rows = append(rows, row)
		}
	}
	columns := slices.DeleteFunc(slices.Clone(t.Columns), func(column string) bool {
		return column == "person" || !slices.ContainsFunc(rows, func(row map[string]any) bool { return cell(row[column]) != "" })
	})
	p.title(fmt.Sprintf("%s\u00a0: %s", t.Table, p.number(int64(len(t.Rows)))), fmt.Sprintf("%s: %s", t.Table, p.number(int64(len(t.Rows)))))
	heads, cells := make([]protocol.Text, len(columns)), make([][]string, len(rows))
	for i, column := range columns {
		heads[i] = text(column, column)
		for j, row := range rows {
			cells[j] = append(cells[j], cell(row[column]))
		}
	}
	p.table(heads, cells)
	if len(t.Rows) > shownRows {
		p.line("  … les autres avec --json", "  … the others with --json")
	}
}

// cell is a value as people read it.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return fmt.Sprintf("%.0f", v) // the schema has whole numbers only
	}
	return fmt.Sprint(v)
}

func personReceipts(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "receipts [ERASURE]",
		Short: l.say("Montrer les effacements et leurs reçus signés", "Show the erasures and their signed receipts"),
		Long: l.say("Un reçu dit ce qui a été effacé et quand, sans dire de qui. --json le donne avec sa signature.",
			"A receipt says what was erased and when, without saying whose. --json gives it with its signature."),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return command.Arguments("[ERASURE]")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			list, err := c.Erasures(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listing(cmd, list, func(p *printer) { p.erasures(list) })
			}
			list = slices.DeleteFunc(list, func(e node.Erasure) bool { return e.ID != args[0] })
			if len(list) == 0 {
				return command.Misused("Aucun effacement ne porte ce nom.", "No erasure has that name.")
			}
			return listing(cmd, list[0], func(p *printer) { p.receipt(list[0]) })
		},
	}))
}

var erasureStages = map[node.ErasureStage]protocol.Text{
	node.ErasureBegun: text("en cours", "under way"),
	node.ErasureWaits: text("attend la fin de rondes", "waits for rounds to end"),
	node.ErasureDone:  text("terminé", "done"),
}

func (p *printer) erasures(list []node.Erasure) {
	rows := make([][]string, len(list))
	for i, e := range list {
		rows[i] = []string{e.ID, p.instant(e.At), erasureStages[e.Stage].In(p.lang)}
	}
	p.table([]protocol.Text{text("Effacement", "Erasure"), text("Demandé", "Asked"), text("État", "State")}, rows)
}

func (p *printer) receipt(e node.Erasure) {
	if e.Receipt == nil {
		p.erasures([]node.Erasure{e})
		return
	}
	receipt, err := protocol.Peek(*e.Receipt)
	if err != nil {
		p.err = err
		return
	}
	p.line("Effacement %s, signé par %s", "Erasure %s, signed by %s", receipt.Erasure, e.Receipt.By)
	removed := make([]string, len(receipt.Removed))
	for i, r := range receipt.Removed {
		removed[i] = fmt.Sprintf("%s %s", r.Place, p.number(r.Count))
	}
	p.fields(
		[2]string{p.say("Demandé", "Asked"), p.instant(receipt.Asked)},
		[2]string{p.say("Terminé", "Done"), p.instant(receipt.Done)},
		[2]string{p.say("Effacé", "Erased"), strings.Join(removed, ", ")},
	)
	if len(receipt.Audiences) > 0 {
		p.title("À rafraîchir pour que la personne n'y soit plus", "To be refreshed, for the person not to be in them")
	}
	for _, a := range receipt.Audiences {
		to := names(a.Recipients)
		p.line("  %s  étiquettes chez %s", "  %s  labels at %s", string(a.Round)[:12], orDash(to))
	}
}
