package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// options are what the command was given.
type options struct {
	shape   Shape
	atLeast int
	out     string
	tickets bool
}

// FileAnswer is the name of the answer among the files.
const FileAnswer = "answer.json"

// Command is `coulisse load`.
func Command(lang string) *cobra.Command {
	say := func(fr, en string) string { return command.Say(lang, fr, en) }
	o := options{}
	cmd := &cobra.Command{
		Use:     "load",
		Short:   say("Inventer le public d'un pays, à la taille voulue, et la réponse exacte", "Invent the public of a country, of any size, and the exact answer"),
		Example: "  coulisse load --rows 31000000 --members 150\n  coulisse load --rows 100000 --members 12 --out public",
		Args:    command.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.Int64Var(&o.shape.Rows, "rows", 31_000, say("couples (membre, personne) à attendre", "(member, person) rows to expect"))
	flags.IntVar(&o.shape.Members, "members", 150, say("nombre de membres", "number of members"))
	flags.Uint64Var(&o.shape.Seed, "seed", 1, say("ce dont tout est tiré\u00a0; une autre graine est un autre public", "what everything is drawn from; another seed is another public"))
	flags.IntVar(&o.atLeast, "at-least", 2, say("compter les gens connus d'au moins tant de membres", "count the people known to that many members"))
	flags.StringVar(&o.out, "out", "", say("dossier où écrire un fichier à importer par membre, et la réponse", "folder to write a file to import for each member, and the answer, into"))
	flags.BoolVar(&o.tickets, "tickets", false, say("des ventes de billets au lieu de personnes", "ticket sales instead of people"))
	return cmd
}

func (o options) run(ctx context.Context, w io.Writer) error {
	p, err := New(o.shape)
	if err != nil {
		return command.Misused("Une population a de %d à %d couples et de 2 à %d membres.", "A population has %d to %d rows and 2 to %d members.", MinRows, MaxRows, MaxMembers)
	}
	answer, err := p.Count(ctx, o.atLeast)
	if errors.Is(err, ErrShape) {
		return command.Misused("--at-least va de 1 au nombre de membres.", "--at-least goes from 1 to the number of members.")
	}
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := p.WriteFiles(ctx, o.out, o.tickets); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(o.out, FileAnswer), func(w io.Writer) error { return encode(w, answer) }); err != nil {
			return err
		}
	}
	return encode(w, answer)
}

func encode(w io.Writer, a Answer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(a)
}

// WriteFiles writes a file to import for each member: member-001.csv and so on,
// the largest first.
func (p *Population) WriteFiles(ctx context.Context, folder string, tickets bool) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write invented files: %w", err)
	}
	for number := range p.members {
		err := writeFile(filepath.Join(folder, Name(number)+".csv"), func(w io.Writer) error {
			people := whileWanted(ctx, p.At(number))
			if tickets {
				return p.WriteTickets(w, number, people)
			}
			return WritePeople(w, p.shape.Seed, people)
		})
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// Name is a member's, which fits a member, a source and a file.
func Name(number int) string { return fmt.Sprintf("member-%03d", number+1) }

// whileWanted ends a stream of people with the context.
func whileWanted(ctx context.Context, people iter.Seq[Person]) iter.Seq[Person] {
	return func(yield func(Person) bool) {
		for id := range people {
			if id%4096 == 0 && ctx.Err() != nil || !yield(id) {
				return
			}
		}
	}
}

func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write invented files: %w", err)
	}
	return errors.Join(write(file), file.Close())
}
