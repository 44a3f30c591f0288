package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/collect"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func collectCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "collect",
		Short: l.say("Ce qui est collecté sur vos propres sites", "What is collected on your own sites"),
		Long: l.say("Vos pages chargent la balise du nœud, et lui envoient ce que leurs visiteurs ont permis.\nLes événements restent dans l'entrepôt de votre organisation. Un nœud qui n'est pas encore inscrit collecte aussi.",
			"Your pages load the node's tag, and send it what their visitors have allowed.\nEvents stay in your organisation's warehouse. A node that has not enrolled yet collects too."),
	}
	cmd.AddCommand(collectInitCommand(l), collectCheckCommand(l), collectStatusCommand(l))
	return cmd
}

func collectInitCommand(l speech) *cobra.Command {
	var sites []string
	cmd := withFolder(l, &cobra.Command{
		Use:     "init --site HOST…",
		Short:   l.say("Écrire collect.yaml, avec ce que veut dire chaque ligne", "Write collect.yaml, with what each line is for"),
		Example: "  coulisse collect init --site www.theatre.example --site billets.theatre.example",
		Args:    command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(sites) == 0 {
				return command.Misused("Nommez au moins un site avec --site, comme www.theatre.example.", "Name at least one site with --site, such as www.theatre.example.")
			}
			text := collect.NewSettings(sites)
			s, err := collect.ParseSettings(text)
			if err != nil {
				return inWords(err)
			}
			path := filepath.Join(folderOf(cmd), node.FileCollect)
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return inWords(err)
			}
			_, err = file.Write(text)
			if err := errors.Join(err, file.Close()); err != nil {
				return inWords(err)
			}
			p := printing(cmd)
			p.line("Les réglages sont dans %s. Lisez-les, puis démarrez le nœud, ou redémarrez-le.", "The settings are in %s. Read them, then start the node, or start it again.", path)
			p.pasteTag(s)
			return p.err
		},
	})
	cmd.Flags().StringArrayVar(&sites, "site", nil, l.say("hôte dont les pages peuvent envoyer\u00a0; peut être répété", "host whose pages may send; may be repeated"))
	return cmd
}

func collectCheckCommand(l speech) *cobra.Command {
	return withFolder(l, &cobra.Command{
		Use:   "check",
		Short: l.say("Vérifier collect.yaml, et montrer la ligne à coller dans le site", "Check collect.yaml, and show the line to paste in the site"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, ok, err := (&node.Folder{Dir: folderOf(cmd)}).Collects()
			if err == nil && !ok {
				err = &os.PathError{Op: "open", Path: filepath.Join(folderOf(cmd), node.FileCollect), Err: os.ErrNotExist}
			}
			if err != nil {
				return inWords(err)
			}
			p := printing(cmd)
			p.line("Les réglages sont bons.", "The settings are good.")
			p.pasteTag(s)
			return p.err
		},
	})
}

// pasteTag is the line that makes a page send.
func (p *printer) pasteTag(s collect.Settings) {
	address := strings.TrimSuffix(s.Address, "/")
	if address == "" {
		address = "https://mesure." + strings.TrimPrefix(s.Sites[0], "www.")
	}
	option := ""
	if s.BeforeConsent == collect.BeforeConsentCounts {
		option = ` data-before-consent="counts"`
	}
	p.title("À coller dans chaque page, avant </head>\u00a0:", "To paste in every page, before </head>:")
	p.print(fmt.Sprintf("  <script async src=\"%s/c.js\"%s></script>\n", address, option))
	if s.Address == "" {
		p.line("Cette adresse est une proposition\u00a0: faites mener un sous-domaine de votre site au nœud, et écrivez-le dans collect.yaml sous address.",
			"This address is a proposal: have a subdomain of your site lead to the node, and write it in collect.yaml under address.")
	}
}

func collectStatusCommand(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "status",
		Short: l.say("Dire ce qui a été collecté et refusé depuis le démarrage", "Say what was collected and refused since the start"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			s, err := c.Collected(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, s, func(p *printer) { p.collected(s) })
		},
	}))
}

// events are the intake's figures on one line, empty without an intake.
func (p *printer) events(c *node.Collected) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf(p.say("%s gardés depuis le démarrage, %s octets en attente", "%s kept since the start, %s bytes waiting"), p.number(c.Accepted), p.number(c.Waiting))
}

func (p *printer) collected(s node.Collected) {
	p.line("La balise est servie à %s.", "The tag is served at %s.", s.Address)
	p.blank()
	stored := p.say("rien encore", "nothing yet")
	if !s.LastStored.IsZero() {
		stored = s.LastStored.Local().Format(time.DateTime)
	}
	p.fields(
		[2]string{p.say("Acceptés", "Accepted"), p.number(s.Accepted)},
		[2]string{p.say("Nouveaux dans l'entrepôt", "New in the warehouse"), p.number(s.Stored)},
		[2]string{p.say("Dernier rangement", "Last stored"), stored},
		[2]string{p.say("En attente, octets", "Waiting, bytes"), p.number(s.Waiting)},
	)
	var refused [][2]string
	for _, line := range refusals {
		if n := line.of(s.Refused); n > 0 {
			refused = append(refused, [2]string{line.words.In(p.lang), p.number(n)})
		}
	}
	if len(refused) > 0 {
		p.title("Non gardés", "Not kept")
		p.fields(refused...)
	}
	if s.Trouble != "" {
		p.title("Ce qui ne va pas", "What is wrong")
		p.print(wrapped(fmt.Sprintf(p.say("L'entrepôt ne prend pas les événements, qui attendent sur le disque (%s).", "The warehouse does not take events, which wait on disk (%s)."), s.Trouble), "  "))
	}
}

// refusals are the reasons for which something was not kept.
var refusals = []struct {
	words protocol.Text
	of    func(collect.Refused) int64
}{
	{text("sans consentement à la mesure", "without consent to be measured"), func(r collect.Refused) int64 { return r.Consent }},
	{text("moins de 14 ans", "under 14"), func(r collect.Refused) int64 { return r.Minor }},
	{text("robots", "robots"), func(r collect.Refused) int64 { return r.Bot }},
	{text("vieux de plus de sept jours", "more than seven days old"), func(r collect.Refused) int64 { return r.Late }},
	{text("envois d'un autre site", "from another site"), func(r collect.Refused) int64 { return r.Site }},
	{text("envois mal formés", "malformed"), func(r collect.Refused) int64 { return r.Form }},
	{text("trop d'envois d'un même réseau", "too many from one network"), func(r collect.Refused) int64 { return r.Rate }},
	{text("le disque ne suivait pas", "the disk did not keep up"), func(r collect.Refused) int64 { return r.Busy }},
	{text("plus de place, ou disque en panne", "no room, or the disk failed"), func(r collect.Refused) int64 { return r.Disk }},
}

// alone reports whether a folder's node collects and belongs to no federation
// yet.
func alone(f *node.Folder) bool {
	_, err := f.Membership()
	_, collects, failed := f.Collects()
	return errors.Is(err, node.ErrNotEnrolled) && (collects || failed != nil)
}

// serveHouse runs what a house has before it enrols, until ctx ends or it does.
func serveHouse(ctx context.Context, cfg node.Config) error {
	if err := api.Running(cfg.Folder.Socket()); err != nil {
		return err
	}
	h, err := node.OpenHouse(ctx, cfg)
	if err != nil {
		return err
	}
	listener, err := api.Listen(cfg.Folder.Socket())
	if err != nil {
		return errors.Join(err, h.Close())
	}
	cfg.Logger.WarnContext(ctx, "this node has not enrolled: it collects its member's own data, and takes part in nothing")
	running, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	var ended error
	parts.Go(func() {
		ended = h.Run(running)
		stop()
	})
	err = api.ServeHouse(running, listener, h, cfg.Logger)
	stop()
	parts.Wait()
	return errors.Join(err, ended, h.Close())
}
