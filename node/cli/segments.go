package cli

import (
	"fmt"

	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func segmentCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "segment",
		Short: l.say("Les définitions de votre public", "Definitions of your public"),
		Long: l.say("Un segment est une définition enregistrée. Elle ne montre personne à qui que ce soit.",
			"A segment is a saved definition. It shows nobody to anybody."),
	}
	cmd.AddCommand(segmentSave(l), segmentList(l), segmentShow(l), segmentCount(l), segmentDelete(l))
	return cmd
}

// definitionFlags are a definition as flags.
type definitionFlags struct {
	d           protocol.Definition
	from, until string
	amount      float64
	file        string
	pooled      bool
}

func segmentSave(l speech) *cobra.Command {
	var f definitionFlags
	cmd := withFolder(l, &cobra.Command{
		Use:     "save NAME",
		Short:   l.say("Enregistrer une définition sous un nom", "Save a definition under a name"),
		Example: "  coulisse segment save dance-lovers --title-fr \"Danse\" --title-en \"Dance\" --discipline dance --min-visits 2 --pooled",
		Args:    command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := f.definition(args[0])
			if err != nil {
				return err
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			s, err := c.SaveSegment(cmd.Context(), d, f.pooled)
			if err != nil {
				return err
			}
			p := printing(cmd)
			p.segment(s)
			return p.err
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&f.d.Title.FR, "title-fr", "", l.say("titre en français", "title in French"))
	flags.StringVar(&f.d.Title.EN, "title-en", "", l.say("titre en anglais", "title in English"))
	flags.StringArrayVar(&f.d.Disciplines, "discipline", nil, l.say("code de la taxonomie, dance.contemporary", "code of the taxonomy, dance.contemporary"))
	flags.StringArrayVar(&f.d.Venues, "venue", nil, l.say("nom d'un lieu", "name of a venue"))
	flags.StringVar(&f.from, "from", "", l.say("premier jour, 2025-09-01", "first day, 2025-09-01"))
	flags.StringVar(&f.until, "until", "", l.say("dernier jour", "last day"))
	flags.IntVar(&f.d.MinVisits, "min-visits", 0, l.say("sorties, au moins", "visits, at least"))
	flags.IntVar(&f.d.MinTickets, "min-tickets", 0, l.say("billets, au moins", "tickets, at least"))
	flags.Float64Var(&f.amount, "min-amount", 0, l.say("dollars dépensés, au moins", "dollars spent, at least"))
	flags.StringArrayVar(&f.d.PostalPrefixes, "postal", nil, l.say("début d'un code postal, H2", "start of a postal code, H2"))
	flags.BoolVar(&f.pooled, "pooled", false, l.say("l'offrir aux audiences mutualisées", "offer it to pooled audiences"))
	flags.StringVar(&f.file, "file", "", l.say("lire la définition d'un fichier YAML", "read the definition from a YAML file"))
	return cmd
}

func (f definitionFlags) definition(name string) (protocol.Definition, error) {
	if f.file != "" {
		text, err := readFile(f.file, draft.MaxFile)
		if err != nil {
			return protocol.Definition{}, err
		}
		d, err := draft.Definition(text, name)
		d.Name = name
		return d, inWords(err)
	}
	d := f.d
	d.Name, d.From, d.Until = name, protocol.Date(f.from), protocol.Date(f.until)
	if f.amount < 0 || f.amount > protocol.MaxCents/100 {
		return d, command.Misused("--min-amount est hors de ses bornes.", "--min-amount is out of its bounds.")
	}
	d.MinCents = int64(f.amount*100 + 0.5)
	if d.Title == (protocol.Text{}) {
		d.Title = protocol.Text{FR: name, EN: name}
	}
	return d, inWords(d.Check())
}

func (p *printer) segment(s node.Segment) {
	d := s.Definition
	pooled := p.say("non", "no")
	if s.Pooled {
		pooled = p.say("oui", "yes")
	}
	p.line("%s", "%s", d.Title.In(p.lang))
	p.fields(
		[2]string{p.say("Nom", "Name"), d.Name},
		[2]string{p.say("Qui", "Who"), s.Words.In(p.lang)},
		[2]string{p.say("Offert aux audiences", "Offered to audiences"), pooled},
		[2]string{p.say("Version", "Version"), fmt.Sprintf("%d, %s", s.Version, day(s.Updated))},
	)
}

func segmentList(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "list",
		Short: l.say("Montrer les segments", "Show the segments"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			list, err := c.Segments(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, list, func(p *printer) {
				if len(list) == 0 {
					p.line("Aucun segment encore. «\u00a0coulisse segment save\u00a0» en fait un.", "No segment yet. “coulisse segment save” makes one.")
					return
				}
				var rows [][]string
				for _, s := range list {
					pooled := ""
					if s.Pooled {
						pooled = p.say("oui", "yes")
					}
					rows = append(rows, []string{s.Definition.Name, fmt.Sprint(s.Version), pooled, s.Words.In(p.lang)})
				}
				p.table([]protocol.Text{text("NOM", "NAME"), text("VERSION", "VERSION"), text("MUTUALISÉ", "POOLED"), text("QUI", "WHO")}, rows)
			})
		},
	}))
}

func segmentShow(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "show NAME",
		Short: l.say("Montrer un segment", "Show a segment"),
		Args:  command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			s, err := c.Segment(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return listing(cmd, s, func(p *printer) { p.segment(s) })
		},
	}))
}

func segmentCount(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "count NAME",
		Short: l.say("Compter vos propres personnes dans un segment", "Count your own people in a segment"),
		Args:  command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			count, err := c.CountSegment(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return listing(cmd, count, func(p *printer) {
				p.line("%s personnes, qui consentent à la mise en commun. Ce compte exact ne quitte pas votre organisation.",
					"%s people, who consent to pooling. This exact count does not leave your organisation.", p.number(count.People))
			})
		},
	}))
}

func segmentDelete(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "delete NAME",
		Short: l.say("Oublier un segment", "Forget a segment"),
		Args:  command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			if err := c.DeleteSegment(cmd.Context(), args[0]); err != nil {
				return err
			}
			p := printing(cmd)
			p.line("Le segment %s est oublié.", "The segment %s is forgotten.", args[0])
			return p.err
		},
	})
}
