package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coulisse/node"
	"coulisse/node/importer"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func importCommand(l speech) *cobra.Command {
	var kind, region string
	var asked mappingFlags
	cmd := withJSON(l, withFolder(l, &cobra.Command{
		Use:   "import FILE",
		Short: l.say("Prendre un fichier de ventes ou de personnes", "Take in a file of sales or of people"),
		Long: l.say("Prend tout le fichier, ou rien. L'encodage, les colonnes et les dates sont reconnus\u00a0; --map corrige une colonne,\net --mapping donne un fichier YAML qui corrige le tout\u00a0: columns: {email: Acheteur}, date_order: dmy, decimal: comma, encoding: windows-1252.\nUn tiret lit l'entrée standard.",
			"Takes the whole file, or nothing. The encoding, the columns and the dates are recognised; --map corrects a column,\nand --mapping gives a YAML file that corrects all of it: columns: {email: Buyer}, date_order: dmy, decimal: comma, encoding: windows-1252.\nA dash reads standard input."),
		Example: "  coulisse import ventes.csv --map email=Courriel",
		Args:    command.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := importer.Options{Kind: importer.Kind(kind), Region: region, File: filepath.Base(args[0])}
			var err error
			if o.Mapping, err = asked.mapping(); err != nil {
				return err
			}
			if o.Kind != importer.Tickets && o.Kind != importer.People {
				return command.Misused("--kind est tickets ou people.", "--kind is tickets or people.")
			}
			return importFile(cmd, args[0], o)
		},
	}))
	cmd.Flags().StringVar(&kind, "kind", string(importer.Tickets), l.say("ce qu'est une ligne\u00a0: tickets ou people", "what a row is: tickets or people"))
	asked.define(l, cmd)
	cmd.Flags().StringVar(&region, "region", "CA", l.say("pays des téléphones sans indicatif", "country of telephones without a code"))
	return cmd
}

// mappingFlags correct what is recognised in a file: the file of a mapping
// first, then the flags over it.
type mappingFlags struct {
	file                         string
	columns                      []string
	dateOrder, decimal, encoding string
}

func (f *mappingFlags) define(l speech, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.columns, "map", nil, l.say("colonne d'un champ, champ=En-tête\u00a0; «\u00a0-\u00a0» pour aucune", "the column of a field, field=Heading; “-” for none"))
	flags.StringVar(&f.file, "mapping", "", l.say("FICHIER.yaml de corrections", "FILE.yaml of corrections"))
	flags.StringVar(&f.dateOrder, "date-order", "", l.say("dmy ou mdy\u00a0: le jour ou le mois d'abord", "dmy or mdy: day or month first"))
	flags.StringVar(&f.decimal, "decimal", "", l.say("comma ou point\u00a0: ce qui précède les cents", "comma or point: what comes before the cents"))
	flags.StringVar(&f.encoding, "encoding", "", l.say("encodage, comme windows-1252", "encoding, such as windows-1252"))
}

func (f mappingFlags) mapping() (importer.Mapping, error) {
	var m importer.Mapping
	if f.file != "" {
		text, err := readFile(f.file, importer.MaxMapping)
		if err != nil {
			return m, err
		}
		if m, err = importer.ParseMapping(text); err != nil {
			return m, inWords(err)
		}
	}
	m.DateOrder = cmp.Or(importer.DateOrder(f.dateOrder), m.DateOrder)
	m.Decimal = cmp.Or(importer.Decimal(f.decimal), m.Decimal)
	m.Encoding = cmp.Or(importer.Encoding(f.encoding), m.Encoding)
	for _, pair := range f.columns {
		field, heading, ok := strings.Cut(pair, "=")
		if !ok {
			return m, command.Misused("--map s'écrit champ=En-tête.", "--map is written field=Heading.")
		}
		if m.Columns == nil {
			m.Columns = map[importer.Field]string{}
		}
		m.Columns[importer.Field(field)] = heading
	}
	return m, inWords(m.Check())
}

func importFile(cmd *cobra.Command, path string, o importer.Options) error {
	var file io.Reader = cmd.InOrStdin()
	if path != "-" {
		opened, err := os.Open(path)
		if err != nil {
			return inWords(err)
		}
		defer opened.Close()
		file = opened
		// Consents without a date are as old as the file, so that an old export
		// does not undo a later withdrawal.
		if info, err := opened.Stat(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(time.Now()) {
			o.AsOf = info.ModTime()
		}
	}
	c, err := client(cmd)
	if err != nil {
		return err
	}
	bar := newProgress(cmd)
	var report *importer.Report
	err = c.Import(cmd.Context(), file, o, func(e node.ImportEvent) error {
		if e.Report != nil {
			report = e.Report
			return nil
		}
		bar.show(bar.importing(e))
		return nil
	})
	bar.clear()
	if report == nil {
		return err
	}
	if shown := listing(cmd, report, func(p *printer) { p.err = report.Render(p.out, p.lang) }); shown != nil {
		return shown
	}
	return err
}

// progress writes over one line of a terminal, and is silent elsewhere but for
// what changes seldom.
type progress struct {
	*printer
	terminal bool
	width    int
	last     string
}

func newProgress(cmd *cobra.Command) *progress {
	p := &progress{printer: &printer{out: cmd.ErrOrStderr(), lang: command.Lang(cmd)}}
	if file, ok := p.out.(*os.File); ok {
		p.terminal = term.IsTerminal(int(file.Fd()))
	}
	return p
}

var importStages = map[importer.Stage][2]string{
	importer.StageReading:   {"lecture", "reading"},
	importer.StageChecking:  {"vérification", "checking"},
	importer.StageImporting: {"import", "importing"},
}

func (p *progress) importing(e node.ImportEvent) string {
	words := importStages[e.Stage]
	stage := p.say(words[0], words[1])
	if !p.terminal {
		return stage // the figures would be a line each
	}
	if e.Total == 0 {
		return stage
	}
	return fmt.Sprintf(p.say("%s, %d\u00a0%%, %s lignes", "%s, %d %%, %s rows"), stage, 100*e.Bytes/max(e.Total, 1), p.number(e.Rows))
}

// show puts a sentence in the place of the one before.
func (p *progress) show(sentence string) {
	if sentence == p.last {
		return
	}
	p.last = sentence
	if !p.terminal {
		p.print(sentence + "\n")
		return
	}
	length := len([]rune(sentence))
	p.over(sentence + strings.Repeat(" ", max(0, p.width-length)))
	p.width = length
}

// over goes back to the line's beginning, which [printer.print] would not.
func (p *progress) over(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.out, "\r"+command.Printable(text))
	}
}

func (p *progress) clear() {
	if p.terminal && p.width > 0 {
		p.over(strings.Repeat(" ", p.width))
		p.over("")
		p.width = 0
	}
}
