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
		Use:   "import FILE|FOLDER",
		Short: l.say("Prendre un fichier ou un dossier de ventes ou de personnes", "Take in a file or a folder of sales or of people"),
		Long: l.say("Prend tout le fichier, ou rien\u00a0: un classeur Excel (.xlsx), du CSV, du JSON ou du Parquet, reconnu à son contenu.\nL'encodage, les colonnes et les dates sont reconnus\u00a0; --map corrige une colonne, --default en remplace une qui manque,\net --mapping corrige le tout\u00a0: une correspondance fournie (coulisse import mappings), ou un fichier YAML\u00a0:\ncolumns: {email: Acheteur}, defaults: {venue: Grande salle}, date_order: dmy, decimal: comma, cancelled: {column: Type, values: [Annulation]}.\nD'un dossier, prend les fichiers qui n'ont pas encore été pris\u00a0: une tâche planifiée peut le faire chaque nuit.\nUn tiret lit l'entrée standard.",
			"Takes the whole file, or nothing: an Excel workbook (.xlsx), CSV, JSON or Parquet, recognised by what is in it.\nThe encoding, the columns and the dates are recognised; --map corrects a column, --default stands for one that is missing,\nand --mapping corrects all of it: a mapping that is shipped (coulisse import mappings), or a YAML file:\ncolumns: {email: Buyer}, defaults: {venue: Grande salle}, date_order: dmy, decimal: comma, cancelled: {column: Type, values: [Cancellation]}.\nOf a folder, takes the files that were not taken yet: a scheduled task may do so every night.\nA dash reads standard input."),
		Example: "  coulisse import ventes.xlsx --map email=Courriel\n  coulisse import ventes.csv --mapping eventbrite-participants --default event=\"Le Cid\" --default day=2026-11-23",
		Args:    command.Arguments("FILE|FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := importer.Options{Kind: importer.Kind(kind), Region: region, File: filepath.Base(args[0])}
			var err error
			if o.Mapping, err = asked.mapping(); err != nil {
				return err
			}
			if o.Mapping.Kind != "" && !cmd.Flags().Changed("kind") {
				o.Kind = o.Mapping.Kind
			}
			if o.Kind != importer.Tickets && o.Kind != importer.People {
				return command.Misused("--kind est tickets ou people.", "--kind is tickets or people.")
			}
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return importFolder(cmd, args[0], o)
			}
			return importFile(cmd, args[0], o)
		},
	}))
	cmd.Flags().StringVar(&kind, "kind", string(importer.Tickets), l.say("ce qu'est une ligne\u00a0: tickets ou people", "what a row is: tickets or people"))
	asked.define(l, cmd)
	cmd.AddCommand(mappingsCommand(l))
	cmd.Flags().StringVar(&region, "region", "CA", l.say("pays des téléphones sans indicatif", "country of telephones without a code"))
	return cmd
}

// mappingFlags correct what is recognised in a file: the file of a mapping
// first, then the flags over it.
type mappingFlags struct {
	file                         string
	sheet                        string
	columns, defaults            []string
	dateOrder, decimal, encoding string
}

func (f *mappingFlags) define(l speech, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.columns, "map", nil, l.say("colonne d'un champ, champ=En-tête\u00a0; «\u00a0-\u00a0» pour aucune", "the column of a field, field=Heading; “-” for none"))
	flags.StringArrayVar(&f.defaults, "default", nil, l.say("ce qui vaut pour toutes les lignes\u00a0: event, day, venue ou discipline=Valeur", "what holds for all rows: event, day, venue or discipline=Value"))
	flags.StringVar(&f.file, "mapping", "", l.say("NOM d'une correspondance fournie, ou FICHIER.yaml", "NAME of a mapping that is shipped, or FILE.yaml"))
	flags.StringVar(&f.sheet, "sheet", "", l.say("feuille à lire d'un classeur qui en a plusieurs", "the sheet to read of a workbook that has several"))
	flags.StringVar(&f.dateOrder, "date-order", "", l.say("dmy ou mdy\u00a0: le jour ou le mois d'abord", "dmy or mdy: day or month first"))
	flags.StringVar(&f.decimal, "decimal", "", l.say("comma ou point\u00a0: ce qui précède les cents", "comma or point: what comes before the cents"))
	flags.StringVar(&f.encoding, "encoding", "", l.say("encodage, comme windows-1252", "encoding, such as windows-1252"))
}

func (f mappingFlags) mapping() (importer.Mapping, error) {
	m, err := f.base()
	if err != nil {
		return m, err
	}
	m.DateOrder = cmp.Or(importer.DateOrder(f.dateOrder), m.DateOrder)
	m.Decimal = cmp.Or(importer.Decimal(f.decimal), m.Decimal)
	m.Encoding = cmp.Or(importer.Encoding(f.encoding), m.Encoding)
	m.Sheet = cmp.Or(f.sheet, m.Sheet)
	if !set(&m.Columns, f.columns) {
		return m, command.Misused("--map s'écrit champ=En-tête.", "--map is written field=Heading.")
	}
	if !set(&m.Defaults, f.defaults) {
		return m, command.Misused("--default s'écrit champ=Valeur.", "--default is written field=Value.")
	}
	return m, inWords(m.Check())
}

// base is the mapping that the flags go over: a shipped one by its name, else
// that of a file.
func (f mappingFlags) base() (importer.Mapping, error) {
	if f.file == "" {
		return importer.Mapping{}, nil
	}
	if m, ok := importer.Shipped(f.file); ok {
		return m, nil
	}
	text, err := readFile(f.file, importer.MaxMapping)
	if err != nil {
		return importer.Mapping{}, err
	}
	m, err := importer.ParseMapping(text)
	return m, inWords(err)
}

// set takes pairs written field=value into a map.
func set(into *map[importer.Field]string, pairs []string) bool {
	for _, pair := range pairs {
		field, value, ok := strings.Cut(pair, "=")
		if !ok {
			return false
		}
		if *into == nil {
			*into = map[importer.Field]string{}
		}
		(*into)[importer.Field(field)] = value
	}
	return true
}

// shippedMapping is a mapping with its name, for a listing.
type shippedMapping struct {
	Name string `json:"name"`
	importer.Mapping
}

func mappingsCommand(l speech) *cobra.Command {
	return withJSON(l, &cobra.Command{
		Use:   "mappings",
		Short: l.say("Les correspondances fournies", "The mappings that are shipped"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list []shippedMapping
			for _, name := range importer.ShippedNames() {
				m, _ := importer.Shipped(name)
				list = append(list, shippedMapping{name, m})
			}
			return listing(cmd, list, func(p *printer) {
				for _, m := range list {
					p.print(m.Name + "\n    " + m.Title.In(p.lang) + "\n    " + m.Source + "\n")
				}
			})
		},
	})
}

// importFile takes one file in and shows its report.
func importFile(cmd *cobra.Command, path string, o importer.Options) error {
	report, err := takeFile(cmd, path, o)
	if report == nil {
		return err
	}
	if shown := listing(cmd, report, func(p *printer) { p.err = report.Render(p.out, p.lang) }); shown != nil {
		return shown
	}
	return err
}

// takeFile has the node take a file in. The report is nil if it came to none.
func takeFile(cmd *cobra.Command, path string, o importer.Options) (report *importer.Report, err error) {
	var file io.Reader = cmd.InOrStdin()
	if path != "-" {
		opened, err := os.Open(path)
		if err != nil {
			return nil, inWords(err)
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
		return nil, err
	}
	bar := newProgress(cmd)
	err = c.Import(cmd.Context(), file, o, func(e node.ImportEvent) error {
		if e.Report != nil {
			report = e.Report
			return nil
		}
		bar.show(bar.importing(e))
		return nil
	})
	bar.clear()
	return report, err
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
