package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/consensus"
	"coulisse/coordinator/rpc"
	"coulisse/protocol"
	"coulisse/protocol/command"
	"coulisse/protocol/telemetry"

	"github.com/spf13/cobra"
)

func coordinatorCommand(lang, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: command.Say(lang, "Faire et tenir le coordonnateur de la coopérative", "Make and run the co-operative's coordinator"),
	}
	cmd.AddCommand(initCommand(lang), serveCommand(lang, version), statusCommand(lang), tokenCommand(lang), renewCommand(lang),
		backupCommand(lang, version), restoreCommand(lang, version), doctorCommand(lang, version),
		replicaCommand(lang), authorityCommand(lang), upgradeRulesCommand(lang))
	return cmd
}

func initCommand(lang string) *cobra.Command {
	var namespace string
	var replicas []string
	cmd := &cobra.Command{
		Use: "init DIR",
		Short: command.Say(lang, "Faire un coordonnateur\u00a0: un dossier par réplique et un pour le bureau",
			"Make a coordinator: a folder for each replica and one for the office"),
		Example: "  coulisse coordinator init coordinator --namespace culture-quebec \\\n" +
			"    --replica r1=one.example.org:7000 --replica r2=two.example.org:7000 --replica r3=three.example.org:7000",
		Args: command.Arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return initialise(cmd, args[0], namespace, replicas) },
	}
	cmd.Flags().StringVar(&namespace, "namespace", "", command.Say(lang,
		"nom qui sépare cette fédération des autres, pour toujours", "name that separates this federation from others, for ever"))
	cmd.Flags().StringArrayVar(&replicas, "replica", nil, command.Say(lang,
		"une réplique, nom=hôte:port; à répéter", "a replica, name=host:port; repeat it"))
	return cmd
}

func initialise(cmd *cobra.Command, dir, namespace string, replicas []string) error {
	var peers []consensus.Peer
	for _, text := range replicas {
		id, address, ok := strings.Cut(text, "=")
		if !ok {
			return command.Misused("Une réplique s'écrit nom=hôte:port.", "A replica is written name=host:port.")
		}
		if protocol.ReplicaID(id).Check() != nil {
			return misnamed(id)
		}
		peers = append(peers, consensus.Peer{ID: protocol.ReplicaID(id), Address: consensus.Address(address)})
	}
	if protocol.Namespace(namespace).Check() != nil {
		return misnamed(namespace)
	}
	if _, err := coordinator.Create(dir, protocol.Namespace(namespace), peers, time.Now()); err != nil {
		return err
	}
	for _, p := range peers {
		say(cmd, "%s\tà porter sur la machine qui répond à %s", "%s\tto be moved to the machine that answers at %s",
			filepath.Join(dir, string(p.ID)), p.Address)
	}
	say(cmd, "%s\tpour le bureau\u00a0: état des répliques et jetons d'inscription", "%s\tfor the office: status of the replicas and enrolment tokens",
		filepath.Join(dir, coordinator.DirOperator))
	say(cmd, "%s\tpour les fondateurs\u00a0: `coulisse charter draft --coordinator %[1]s …`", "%s\tfor the founders: `coulisse charter draft --coordinator %[1]s …`",
		filepath.Join(dir, coordinator.FileCard))
	return nil
}

func misnamed(name string) error {
	return command.Misused("Le nom «\u00a0%s\u00a0» ne va pas\u00a0: 2 à 40 lettres minuscules, chiffres et traits d'union.",
		"The name “%s” will not do: 2 to 40 lower-case letters, digits and hyphens.", name)
}

func serveCommand(lang, version string) *cobra.Command {
	var founding, listen, health, format string
	var verbose bool
	var quota, memory int64
	cmd := &cobra.Command{
		Use:   "serve DIR",
		Short: command.Say(lang, "Faire tourner une réplique jusqu'à SIGTERM", "Run a replica until SIGTERM"),
		Args:  command.Arguments("DIR"),
	}
	flags := cmd.Flags()
	flags.StringVar(&founding, "founding", "", command.Say(lang,
		"acte de fondation, la première fois", "the founding, the first time"))
	flags.StringVar(&listen, "listen", "", command.Say(lang,
		"où écouter, hôte:port, si ce n'est pas à l'adresse de la réplique (conteneur, relais)", "where to listen, host:port, if not at the replica's address (container, relay)"))
	flags.StringVar(&health, "health", "", command.Say(lang,
		"répondre à GET /healthz et GET /metrics à cette adresse", "answer GET /healthz and GET /metrics at this address"))
	flags.StringVar(&format, "log", "text", command.Say(lang, "journal\u00a0: text ou json", "log: text or json"))
	flags.BoolVar(&verbose, "verbose", false, command.Say(lang, "journal détaillé", "detailed log"))
	flags.Int64Var(&quota, "round-quota-gib", 0, command.Say(lang,
		"place sur le disque pour une ronde, en Gio (8 si absent)", "disk for one round, in GiB (8 if absent)"))
	flags.Int64Var(&memory, "rounds-memory-mib", 0, command.Say(lang,
		"mémoire pour recevoir et apparier, toutes rondes ensemble, en Mio (500 si absent)", "memory to receive and match, all rounds together, in MiB (500 if absent)"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		logger, err := newLogger(cmd, format, verbose)
		if err != nil {
			return err
		}
		return serve(cmd, coordinator.Config{
			Dir: args[0], Listen: listen, Health: health, Quota: quota << 30, Memory: memory << 20, Version: version, Logger: logger,
		}, founding)
	}
	return cmd
}

func newLogger(cmd *cobra.Command, format string, verbose bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if verbose {
		options.Level = slog.LevelDebug
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), options)), nil
	}
	return nil, command.Misused("Le journal est text ou json.", "The log is text or json.")
}

func serve(cmd *cobra.Command, cfg coordinator.Config, founding string) error {
	if founding != "" {
		f, err := readFile[protocol.Founding](founding)
		if err != nil {
			return err
		}
		cfg.Founding = &f
	}
	replica, err := coordinator.Open(cfg)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	endTraces, err := telemetry.Start(ctx, "coulisse-coordinator", cfg.Version)
	if err != nil {
		return err
	}
	defer endTraces()
	return replica.Run(ctx)
}

// officeFlag adds the flag that says where the office's folder is.
func officeFlag(cmd *cobra.Command, lang string) *string {
	return cmd.Flags().String("dir", coordinator.DirOperator, command.Say(lang, "dossier du bureau", "the office's folder"))
}

func statusCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status",
		Short: command.Say(lang, "Demander à chaque réplique comment elle va, et dire quoi faire",
			"Ask every replica how it is, and say what to do"),
		Args: command.Arguments(),
	}
	dir := officeFlag(cmd, lang)
	asJSON := cmd.Flags().Bool("json", false, command.Say(lang, "en JSON", "as JSON"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		office, err := coordinator.OpenOffice(*dir)
		if err != nil {
			return err
		}
		all := office.Status(cmd.Context())
		_ = office.Refresh(cmd.Context(), all, time.Now()) // what is in its way, the status tells
		problems := office.Diagnose(all, time.Now())
		grown, err := office.CheckGrowth(cmd.Context(), all, time.Now())
		if err != nil {
			return err
		}
		problems = append(problems, grown...)
		if *asJSON {
			err = printJSON(cmd.OutOrStdout(), struct {
				Replicas []coordinator.ReplicaStatus `json:"replicas"`
				Problems []protocol.Text             `json:"problems"`
			}{all, problems})
		} else {
			err = printStatus(cmd, all, problems)
		}
		if err == nil && len(problems) > 0 {
			err = problemsRemain(len(problems))
		}
		return err
	}
	return cmd
}

var errProblems = errors.New("something is wrong")

func problemsRemain(n int) error {
	if n == 1 {
		return protocol.Refuse(errProblems, "il y a une chose à régler", "there is one thing to put right")
	}
	return protocol.Refuse(errProblems, "il y a %d choses à régler", "there are %d things to put right", n)
}

func printStatus(cmd *cobra.Command, all []coordinator.ReplicaStatus, problems []protocol.Text) error {
	lang := command.Lang(cmd)
	titles := []string{"RÉPLIQUE", "ADRESSE", "ÉTAT", "ENTRÉES", "TÊTE", "AUTORITÉ", "VERSION"}
	if lang == command.English {
		titles = []string{"REPLICA", "ADDRESS", "STATE", "ENTRIES", "HEAD", "AUTHORITY", "VERSION"}
	}
	var rows [][]string
	for _, s := range all {
		state, ok := states[s.State]
		if !ok {
			state = protocol.Text{FR: "absente", EN: "away"}
		}
		root := s.LogRoot
		if len(root) > 12 {
			root = root[:12]
		}
		rows = append(rows, []string{string(s.ID), string(s.Address), state.In(lang), fmt.Sprint(s.LogSize), root, authorityOf(s), s.Version})
	}
	if err := command.Table(cmd.OutOrStdout(), titles, rows); err != nil {
		return err
	}
	if len(problems) == 0 {
		say(cmd, "\nTout va bien.", "\nAll is well.")
	}
	for _, p := range problems {
		fmt.Fprintf(cmd.OutOrStdout(), "\n• %s\n", p.In(lang))
	}
	return nil
}

// authorityOf is a replica's certificate authority: its name, until when it is
// good, and a sign if the one before still counts.
func authorityOf(s coordinator.ReplicaStatus) string {
	if s.Authority.IsZero() {
		return ""
	}
	text := s.Authority.Short() + " " + s.AuthorityUntil.Time().Format("2006-01")
	if !s.Former.IsZero() {
		text += " (+ " + s.Former.Short() + ")"
	}
	return text
}

var states = map[string]protocol.Text{
	"leader":    {FR: "dirige", EN: "leads"},
	"follower":  {FR: "suit", EN: "follows"},
	"candidate": {FR: "élection", EN: "election"},
	"stopped":   {FR: "s'arrête", EN: "stopping"},
}

func tokenCommand(lang string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "token MEMBER",
		Short: command.Say(lang, "Émettre un jeton d'inscription, qui sert une fois, pour le nœud d'un membre",
			"Issue an enrolment token, good once, for a member's node"),
		Args: command.Arguments("MEMBER"),
	}
	dir := officeFlag(cmd, lang)
	valid := cmd.Flags().Duration("valid", 24*time.Hour, command.Say(lang, "durée de validité, au plus 168h (7 jours)", "how long it is valid, at most 168h (7 days)"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		member := protocol.MemberID(args[0])
		if member.Check() != nil {
			return misnamed(args[0])
		}
		if *valid < time.Second || *valid > rpc.MaxTokenLife {
			most := protocol.Span(rpc.MaxTokenLife.Milliseconds()).Words().In(command.Lang(cmd))
			return command.Misused("Un jeton vaut au plus %s\u00a0: --valid 168h.", "A token is valid for at most %s: --valid 168h.", most)
		}
		office, err := coordinator.OpenOffice(*dir)
		if err != nil {
			return err
		}
		if err := office.Refresh(cmd.Context(), office.Status(cmd.Context()), time.Now()); err != nil {
			return err
		}
		token, until, err := office.IssueToken(cmd.Context(), member, *valid)
		if err != nil {
			return err
		}
		text, err := token.Encode()
		if err != nil {
			return err
		}
		help(cmd, "Jeton pour %s, fédération %s, valide une fois jusqu'au %s. Remettez-le par un canal sûr\u00a0: qui l'a peut se connecter à sa place.",
			"Token for %s, federation %s, good once until %s. Hand it over on a safe channel: whoever has it can connect in its place.",
			member, token.Federation.Short(), until.Time().Format("2006-01-02 15:04 MST"))
		fmt.Fprintln(cmd.OutOrStdout(), text)
		return nil
	}
	return cmd
}

func renewCommand(lang string) *cobra.Command {
	return &cobra.Command{
		Use: "renew-operator REPLICA_DIR OPERATOR_DIR",
		Short: command.Say(lang, "Donner un nouveau certificat au dossier du bureau, à partir d'une réplique",
			"Give the office's folder a new certificate, out of a replica's"),
		Args: command.Arguments("REPLICA_DIR", "OPERATOR_DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := coordinator.RenewOffice(cmd.Context(), args[0], args[1], time.Now()); err != nil {
				return err
			}
			say(cmd, "Le certificat du bureau vaut de nouveau un an.", "The office's certificate is good for another year.")
			return nil
		},
	}
}
