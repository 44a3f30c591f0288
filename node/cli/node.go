package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/monitor"
	"coulisse/protocol"
	"coulisse/protocol/command"
	"coulisse/protocol/telemetry"

	"github.com/spf13/cobra"
)

func nodeCommand(l speech, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: l.say("Le nœud de votre organisation", "Your organisation's node"),
		Long: l.say("Un nœud garde les données et les clés de votre organisation, et prend part à la fédération pour elle.\nIl n'ouvre aucun port, sauf pour la balise de vos propres sites s'il y a un collect.yaml.",
			"A node keeps your organisation's data and keys, and takes part in the federation for it.\nIt opens no port, but for the tag of your own sites if there is a collect.yaml."),
	}
	cmd.AddCommand(initCommand(l), assentCommand(l), enrollCommand(l), serveCommand(l, version), statusCommand(l), doctorCommand(l),
		changeKeysCommand(l))
	return cmd
}

func initCommand(l speech) *cobra.Command {
	var id, fr, en, kind, group string
	cmd := withFolder(l, &cobra.Command{
		Use:   "init",
		Short: l.say("Créer le dossier du nœud, ses clés et sa carte", "Make the node's folder, its keys and its card"),
		Long: l.say("Crée les clés de l'organisation et sa carte, card.json, que la fédération lira.\nSauvegardez le dossier\u00a0: les clés sont la voix de l'organisation.",
			"Makes the organisation's keys and its card, card.json, for the federation to read.\nBack the folder up: the keys are the organisation's voice."),
		Args: command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" || fr == "" || en == "" || kind == "" {
				return command.Misused("Il faut --id, --name-fr, --name-en et --kind.", "It takes --id, --name-fr, --name-en and --kind.")
			}
			if group == "" {
				group = id
			}
			card := protocol.Card{ID: protocol.MemberID(id), Name: protocol.Text{FR: fr, EN: en}, Kind: protocol.MemberKind(kind), Group: group}
			if err := checkCard(card); err != nil {
				return err
			}
			f, err := node.Init(folderOf(cmd), card)
			if err != nil {
				return inWords(err)
			}
			p := printing(cmd)
			p.line("Le nœud de %s est prêt dans %s.", "The node of %s is ready in %s.", f.Card.Name.In(p.lang), f.Dir)
			p.line("Remettez card.json aux fondateurs, ou au bureau de la coopérative. Sauvegardez le dossier.",
				"Give card.json to the founders, or to the co-operative's office. Back the folder up.")
			return p.err
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&id, "id", "", l.say("nom court, pour toujours\u00a0: theatre-du-fleuve", "short name, for ever: theatre-du-fleuve"))
	flags.StringVar(&fr, "name-fr", "", l.say("nom en français", "name in French"))
	flags.StringVar(&en, "name-en", "", l.say("nom en anglais", "name in English"))
	flags.StringVar(&kind, "kind", "", "house, festival, museum, company, media")
	flags.StringVar(&group, "group", "", l.say("groupe propriétaire (celui de l'organisation par défaut)", "owning group (the organisation's own by default)"))
	return cmd
}

// checkCard refuses a bad card before anything is on disk.
func checkCard(card protocol.Card) error {
	checks := []struct {
		err    error
		fr, en string
	}{
		{card.ID.Check(), "--id\u00a0: de 2 à 40 lettres minuscules, chiffres et traits d'union", "--id: 2 to 40 lower-case letters, digits and hyphens"},
		{card.Kind.Check(), "--kind\u00a0: house, festival, museum, company ou media", "--kind: house, festival, museum, company or media"},
		{card.Name.Check(), "les noms ont de 1 à 2000 octets", "names have 1 to 2000 bytes"},
		{protocol.MemberID(card.Group).Check(), "--group\u00a0: de 2 à 40 lettres minuscules, chiffres et traits d'union", "--group: 2 to 40 lower-case letters, digits and hyphens"},
	}
	for _, c := range checks {
		if c.err != nil {
			return command.Misused("%[1]s.", "%[2]s.", c.fr, c.en)
		}
	}
	return nil
}

// maxGenesis bounds the file of a genesis, in bytes.
const maxGenesis = 8 << 20

func assentCommand(l speech) *cobra.Command {
	var out string
	cmd := withFolder(l, &cobra.Command{
		Use:   "assent GENESIS.json --out ASSENT.json",
		Short: l.say("Signer un acte de fondation, comme membre fondateur", "Sign a genesis, as a founder of it"),
		Args:  command.Arguments("GENESIS.json"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return command.Misused("Nommez le fichier à écrire avec --out.", "Name the file to write with --out.")
			}
			raw, err := readFile(args[0], maxGenesis)
			if err != nil {
				return err
			}
			genesis, err := protocol.DecodeFile[protocol.Genesis](raw)
			if err != nil {
				return inWords(err)
			}
			f, err := node.Open(folderOf(cmd))
			if err != nil {
				return inWords(err)
			}
			assent, err := f.Assent(genesis)
			if err != nil {
				return inWords(err)
			}
			signed, err := protocol.Indented(assent)
			if err != nil {
				return err
			}
			if err := writeFile(out, signed); err != nil {
				return err
			}
			id, err := genesis.ID()
			p := printing(cmd)
			p.line("%s signe l'acte de fondation %s. Comparez ces douze signes avec les autres fondateurs.",
				"%s signs the genesis %s. Compare these twelve characters with the other founders.", f.Card.ID, id.Short())
			return errors.Join(err, p.err)
		},
	})
	cmd.Flags().StringVar(&out, "out", "", l.say("fichier à écrire", "file to write"))
	return cmd
}

// writeFile writes a file for others to read, over an older one.
func writeFile(path string, content []byte) error { return inWords(os.WriteFile(path, content, 0o644)) }

func enrollCommand(l speech) *cobra.Command {
	var token, file string
	cmd := withFolder(l, &cobra.Command{
		Use:   "enroll --token TOKEN | --token-file FILE",
		Short: l.say("Inscrire le nœud, avec le jeton du bureau de la coopérative", "Enrol the node, with the token of the co-operative's office"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (token == "") == (file == "") {
				return command.Misused("Il faut --token ou --token-file, l'un des deux.", "It takes --token or --token-file, one of the two.")
			}
			if file != "" {
				raw, err := readFile(file, 16<<10)
				if err != nil {
					return err
				}
				token = string(raw)
			}
			parsed, err := protocol.ParseEnrolmentToken(strings.TrimSpace(token))
			if err != nil {
				return inWords(err)
			}
			f, err := node.Open(folderOf(cmd))
			if err != nil {
				return inWords(err)
			}
			if err := f.Enroll(cmd.Context(), parsed, logger(cmd)); err != nil {
				return inWords(err)
			}
			p := printing(cmd)
			p.line("%s est inscrit auprès de la fédération %s. Lancez-le avec «\u00a0coulisse node serve\u00a0».",
				"%s has enrolled with the federation %s. Start it with “coulisse node serve”.", f.Card.ID, parsed.Federation.Short())
			return p.err
		},
	})
	cmd.Flags().StringVar(&token, "token", "", l.say("le jeton", "the token"))
	cmd.Flags().StringVar(&file, "token-file", "", l.say("fichier qui tient le jeton", "file that holds the token"))
	return cmd
}

func logger(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

func serveCommand(l speech, version string) *cobra.Command {
	var memory int
	var health string
	cmd := withFolder(l, &cobra.Command{
		Use:   "serve",
		Short: l.say("Faire marcher le nœud, au premier plan", "Run the node, in the foreground"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := logger(cmd)
			endTraces, err := telemetry.Start(cmd.Context(), "coulisse-node", version)
			if err != nil {
				return inWords(err)
			}
			defer endTraces()
			for {
				f, err := node.Open(folderOf(cmd))
				if err != nil {
					return inWords(err)
				}
				log.InfoContext(cmd.Context(), "the node starts", "member", string(f.Card.ID), "version", version)
				cfg := node.Config{Folder: f, Logger: log, WarehouseMemory: memory}
				if alone(f) {
					err = serveHouse(cmd.Context(), cfg)
				} else {
					err = serve(cmd.Context(), cfg, health)
				}
				if !errors.Is(err, node.ErrNewKeys) && !errors.Is(err, node.ErrEnrolled) {
					return inWords(err)
				}
			}
		},
	})
	cmd.Flags().StringVar(&health, "health", "", l.say("répondre à GET /healthz et GET /metrics à cette adresse, hôte:port", "answer GET /healthz and GET /metrics at this address, host:port"))
	cmd.Flags().IntVar(&memory, "warehouse-memory", 0, l.say("mémoire de l'entrepôt, en Mio (128 par défaut; davantage accélère les grandes importations)", "the warehouse's memory, in MiB (128 by default; more makes large imports faster)"))
	return cmd
}

// serve runs a node and its interface until ctx ends, then stops them in
// reverse.
func serve(ctx context.Context, cfg node.Config, health string) error {
	if err := api.Running(cfg.Folder.Socket()); err != nil {
		return err
	}
	n, err := node.New(ctx, cfg)
	if err != nil {
		return err
	}
	listener, err := api.Listen(cfg.Folder.Socket())
	if err != nil {
		return errors.Join(err, n.Close())
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	var failed error
	parts.Go(func() {
		failed = n.Run(running)
		stop()
	})
	var unwatched error
	if health != "" {
		parts.Go(func() {
			if unwatched = monitor.Serve(running, health, n); unwatched != nil {
				stop()
			}
		})
	}
	err = api.Serve(running, listener, n, cfg.Logger)
	stop()
	parts.Wait()
	cfg.Logger.InfoContext(ctx, "the node has stopped")
	return errors.Join(err, failed, unwatched, n.Close())
}

func statusCommand(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "status",
		Short: l.say("Dire comment va le nœud, ce qui ne va pas et quoi faire", "Say how the node is, what is wrong and what to do"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, s, func(p *printer) { p.status(s) })
		},
	}))
}

func (p *printer) status(s node.Status) {
	p.line("%s, membre de %s", "%s, member of %s", s.Name.In(p.lang), orDash(s.FederationName.In(p.lang)))
	p.blank()
	p.fields(
		[2]string{p.say("Personnes", "People"), fmt.Sprintf(p.say("%s, dont %s consentent à la mise en commun et %s à l'activation", "%s, of whom %s consent to pooling and %s to activation"),
			p.number(s.Warehouse.People), p.number(s.Warehouse.Consented[protocol.PurposePooling]), p.number(s.Warehouse.Consented[protocol.PurposeActivation]))},
		[2]string{p.say("Billets", "Tickets"), p.number(s.Warehouse.Tickets)},
		[2]string{p.say("Événements", "Events"), p.events(s.Collected)},
		[2]string{p.say("Jetons", "Tokens"), p.tokens(s)},
		[2]string{p.say("Journal", "Log"), fmt.Sprintf(p.say("%s entrées vérifiées, tête %s", "%s entries verified, head %s"), p.number(s.Log.Size), s.Log.Root.Short())},
		[2]string{p.say("Membres", "Members"), p.number(int64(s.Members))},
		[2]string{p.say("Votre statut", "Your standing"), standings[s.Standing].In(p.lang)},
		[2]string{p.say("Gardiens de clé", "Key stewards"), p.stewards(s.Stewards)},
		[2]string{p.say("Clé", "Key"), p.keyState(s.Stewards)},
		[2]string{p.say("Nouvelle clé", "New key"), p.migration(s)},
		[2]string{p.say("Dépositaires", "Share workers"), names(s.Workers)},
		[2]string{p.say("Cotisations", "Fees"), p.fees(s.Fees)},
		[2]string{p.say("Budget", "Budget"), p.budget(s.Budget)},
		[2]string{p.say("Certificat", "Certificate"), p.say("jusqu'au ", "until ") + day(s.Certificate)},
	)
	for _, r := range s.Rounds {
		p.print(fmt.Sprintf("\n%s  %s  %s", string(r.Round)[:12], r.Title.In(p.lang), p.stage(r.Stage)))
	}
	if len(s.Rounds) > 0 {
		p.blank()
	}
	p.delegations(s)
	p.toDo(s)
}

var standings = map[node.Standing]protocol.Text{
	node.StandingNone:      text("pas encore membre", "not a member yet"),
	node.StandingGood:      text("membre en règle", "member in good standing"),
	node.StandingSuspended: text("suspendue", "suspended"),
	node.StandingLeft:      text("n'est plus membre", "no longer a member"),
}

// fees are what each kind of member pays in a year.
func (p *printer) fees(fees []protocol.Fee) string {
	var said []string
	for _, f := range fees {
		said = append(said, fmt.Sprintf("%s %s", node.KindWords(f.Kind).In(p.lang), node.Money(f.Cents).In(p.lang)))
	}
	if len(said) == 0 {
		return ""
	}
	return strings.Join(said, ", ") + p.say(" par an", " a year")
}

// delegations are the voices that the organisation has lent or carries.
func (p *printer) delegations(s node.Status) {
	if len(s.Delegations) > 0 {
		p.title("Procurations", "Delegations")
	}
	for _, d := range s.Delegations {
		said := fmt.Sprintf(p.say("Vous portez la voix de %s", "You carry the voice of %s"), d.By)
		if d.By == s.Member {
			said = fmt.Sprintf(p.say("%s porte votre voix", "%s carries your voice"), d.To)
		}
		p.print(wrapped(fmt.Sprintf(p.say("%s, pour les votes qui se ferment du %s au %s.", "%s, for the votes that close from %s to %s."),
			said, p.instant(d.From), p.instant(d.Until)), "  "))
		if d.By == s.Member {
			p.line("    Pour l'annuler\u00a0: coulisse proposal revoke %s", "    To end it: coulisse proposal revoke %s", d.ID.Short())
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func (p *printer) stewards(s node.Stewards) string {
	if len(s.Members) == 0 {
		return p.say("aucun encore", "none yet")
	}
	return fmt.Sprintf(p.say("%s (%d doivent agir ensemble)", "%s (%d must act together)"), names(s.Members), s.Threshold)
}

// keyState says whether the stewards hold the key.
func (p *printer) keyState(s node.Stewards) string {
	switch {
	case len(s.Members) == 0:
		return ""
	case s.Ready:
		return fmt.Sprintf(p.say("clé en service, époque %d", "key in use, epoch %d"), s.Epoch)
	case s.Failed:
		return p.say("la cérémonie de clé a échoué", "the key ceremony has failed")
	}
	return p.say("cérémonie de clé en cours", "key ceremony under way")
}

// tokens says how far this member is, and how long the rest takes.
func (p *printer) tokens(s node.Status) string {
	said := fmt.Sprintf(p.say("%s sur %s", "%s of %s"), p.number(s.Tokens.Done), p.number(s.Tokens.Total))
	if s.Migration != nil {
		said = fmt.Sprintf(p.say("époque %d\u00a0: %s", "epoch %d: %s"), s.Tokens.Epoch, said)
	}
	if s.Tokens.Left > 0 {
		said += fmt.Sprintf(p.say(", encore %s environ", ", about %s left"), s.Tokens.Left.Words().In(p.lang))
	}
	return said
}

// migration says who is still on the way to a new key.
func (p *printer) migration(s node.Status) string {
	m := s.Migration
	switch {
	case m == nil:
		return ""
	case !m.Made && s.Stewards.Failed:
		return fmt.Sprintf(p.say("époque %d, la cérémonie de clé a échoué", "epoch %d, the key ceremony has failed"), m.Epoch)
	case !m.Made:
		return fmt.Sprintf(p.say("époque %d, les gardiens la font", "epoch %d, the stewards are making it"), m.Epoch)
	}
	return fmt.Sprintf(p.say("époque %d, %d membres sur %d prêts\u00a0; l'ancienne sert encore, au plus tard jusqu'au %s",
		"epoch %d, %d of %d members ready; the former still serves, until %s at the latest"), m.Epoch, m.Moved, m.Moved+len(m.Missing), p.instant(m.Until))
}

func (p *printer) budget(b node.Budget) string {
	return fmt.Sprintf(p.say("%s, dépensé %s (epsilon %.2f à delta %.0e), reste %s", "%s, spent %s (epsilon %.2f at delta %.0e), left %s"),
		rho(b.Granted), rho(b.Spent), b.SpentEpsilon, b.Delta, rho(b.Left))
}

// toDo lists what waits for somebody: votes, then troubles.
func (p *printer) toDo(s node.Status) {
	if len(s.Votes)+len(s.Cosign) > 0 {
		p.title("À décider", "To decide")
	}
	for _, v := range s.Votes {
		p.print(wrapped(fmt.Sprintf(p.say("%s, jusqu'au %s. %s", "%s, until %s. %s"), v.Title.In(p.lang), p.instant(v.Closes), p.voicesWanted(v)), "  "))
		p.line("    coulisse proposal show %s", "    coulisse proposal show %s", v.ID.Short())
	}
	for _, v := range s.Cosign {
		p.print(wrapped(fmt.Sprintf(p.say("%s attend l'appui d'une autre organisation.", "%s waits for another organisation's support."), v.Title.In(p.lang)), "  "))
		p.line("    coulisse proposal show %s", "    coulisse proposal show %s", v.ID.Short())
	}
	if len(s.Troubles) == 0 {
		p.title("Tout va bien.", "All is well.")
		return
	}
	p.title("Ce qui ne va pas", "What is wrong")
	for _, t := range s.Troubles {
		p.print(wrapped(t.What.In(p.lang), "  ") + wrapped(t.Do.In(p.lang), "    "))
	}
}

// voicesWanted says whose voice an open vote waits for here.
func (p *printer) voicesWanted(v node.ProposalLine) string {
	var whose []string
	if v.Voted == "" {
		whose = append(whose, p.say("la vôtre", "yours"))
	}
	if len(v.Carries) > 0 {
		whose = append(whose, fmt.Sprintf(p.say("celle que vous portez pour %s", "the one that you carry for %s"), names(v.Carries)))
	}
	return p.say("Voix attendue\u00a0: ", "Voice awaited: ") + strings.Join(whose, p.say(" et ", " and ")) + "."
}
