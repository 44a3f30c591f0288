package cli

import (
	"maps"
	"slices"
	"strings"
	"time"

	"coulisse/crypto/dp"
	"coulisse/node"
	"coulisse/node/draft"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/charterfile"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// proposalFlags are a proposal as flags. Exactly one effect is asked for.
type proposalFlags struct {
	title, reason protocol.Text
	opens, closes string
	amends        string

	setPolicy, removePolicy, floors, charter, fees string
	stewards, workers                              string
	admit, expel, suspend, reinstate, replace      string
	soleReplica, epoch                             string
	threshold                                      int
	grant                                          int64
}

func proposalNew(l speech) *cobra.Command {
	var f proposalFlags
	cmd := withFolder(l, &cobra.Command{
		Use:     "new",
		Short:   l.say("Proposer de décider une chose", "Propose to decide one thing"),
		Example: "  coulisse proposal new --title-fr … --title-en … --reason-fr … --reason-en … --set-policy pooled-audiences",
		Args:    command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			proposal, err := f.proposal(func() (node.Status, error) { return c.Status(cmd.Context()) })
			if err != nil {
				return err
			}
			if f.amends != "" {
				earlier, err := c.Proposal(cmd.Context(), f.amends)
				if err != nil {
					return err
				}
				proposal.Amends = earlier.ID
			}
			var id protocol.Hash
			err = patiently(cmd, func() error { id, err = c.Propose(cmd.Context(), proposal); return err })
			if err != nil {
				return err
			}
			p := printing(cmd)
			p.line("%s", "%s", id)
			p.line("La proposition attend l'appui d'une autre organisation\u00a0: coulisse proposal cosign %s",
				"The proposal waits for another organisation's support: coulisse proposal cosign %s", id.Short())
			return p.err
		},
	})
	f.define(l, cmd)
	return cmd
}

func (f *proposalFlags) define(l speech, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.title.FR, "title-fr", "", l.say("titre en français", "title in French"))
	flags.StringVar(&f.title.EN, "title-en", "", l.say("titre en anglais", "title in English"))
	flags.StringVar(&f.reason.FR, "reason-fr", "", l.say("pourquoi, en français", "why, in French"))
	flags.StringVar(&f.reason.EN, "reason-en", "", l.say("pourquoi, en anglais", "why, in English"))
	flags.StringVar(&f.closes, "closes", "", l.say("quand le vote se ferme\u00a0: 14d, 36h, 2026-12-18\u00a0; le minimum de la charte court à partir de l'appui, laissez le temps de le trouver (par défaut\u00a0: ce minimum et 3 jours)",
		"when the vote closes: 14d, 36h, 2026-12-18; the charter's minimum runs from the support, leave time to find it (by default: that minimum and 3 days)"))
	flags.StringVar(&f.opens, "opens", "", l.say("quand le vote s'ouvre au plus tôt\u00a0: 2026-12-04, 3d (dès l'appui par défaut)", "when the vote opens at the earliest: 2026-12-04, 3d (on support by default)"))
	flags.StringVar(&f.amends, "amends", "", l.say("la version que celle-ci remplace", "the version that this one takes the place of"))
	flags.StringVar(&f.setPolicy, "set-policy", "", l.say("adopter une politique livrée (NOM) ou un FICHIER.cedar", "adopt a policy that ships (NAME) or a FILE.cedar"))
	flags.StringVar(&f.removePolicy, "remove-policy", "", l.say("retirer une politique", "remove a policy"))
	flags.StringVar(&f.stewards, "elect-stewards", "", l.say("élire des gardiens de clé\u00a0: a,b,c", "elect key stewards: a,b,c"))
	flags.IntVar(&f.threshold, "threshold", 0, l.say("combien de gardiens doivent agir ensemble (la majorité par défaut)", "how many stewards must act together (a majority by default)"))
	flags.StringVar(&f.admit, "admit", "", l.say("admettre l'organisation d'une CARTE.json", "admit the organisation of a CARD.json"))
	flags.StringVar(&f.expel, "expel", "", l.say("exclure une organisation", "expel an organisation"))
	flags.StringVar(&f.suspend, "suspend", "", l.say("suspendre une organisation", "suspend an organisation"))
	flags.StringVar(&f.reinstate, "reinstate", "", l.say("rétablir une organisation suspendue", "reinstate a suspended organisation"))
	flags.StringVar(&f.replace, "replace-card", "", l.say("donner à un membre les clés d'une nouvelle CARTE.json", "give a member the keys of a new CARD.json"))
	flags.StringVar(&f.workers, "elect-workers", "", l.say("élire les deux dépositaires de parts\u00a0: a,b", "elect the two share workers: a,b"))
	flags.StringVar(&f.fees, "set-fees", "", l.say("fixer les cotisations annuelles, d'un FICHIER.yaml (genre: cents)", "set the yearly fees, from a FILE.yaml (kind: cents)"))
	flags.StringVar(&f.floors, "set-floors", "", l.say("changer les planchers, d'un FICHIER.yaml (ceux de «\u00a0charter template\u00a0», tous)", "change the floors, from a FILE.yaml (those of “charter template”, all of them)"))
	flags.Int64Var(&f.grant, "grant-budget", 0, l.say("ajouter au budget, en nano-rho", "add to the budget, in nano-rho"))
	flags.StringVar(&f.epoch, "start-epoch", "", l.say("faire une nouvelle clé\u00a0; l'ancienne est retirée au plus tard alors\u00a0: 60d, 2027-03-01", "make a new key; the former is retired then at the latest: 60d, 2027-03-01"))
	flags.StringVar(&f.soleReplica, "sole-replica", "", l.say("laisser une seule réplique au coordonnateur, les autres étant perdues : NOM=HÔTE:PORT", "leave the coordinator with one replica, the others being lost: NAME=HOST:PORT"))
	flags.StringVar(&f.charter, "set-charter", "", l.say("changer la charte, d'un FICHIER.yaml comme celui de «\u00a0coulisse charter template\u00a0»", "change the charter, from a FILE.yaml as “coulisse charter template” prints"))
}

// proposal reads what was asked for; a charter is written from the one in force.
func (f proposalFlags) proposal(status func() (node.Status, error)) (protocol.Proposal, error) {
	p := protocol.Proposal{Title: f.title, Reason: f.reason}
	if f.title.Check() != nil || f.reason.Check() != nil {
		return p, command.Misused("Il faut un titre et une raison, en français et en anglais\u00a0: --title-fr, --title-en, --reason-fr, --reason-en.",
			"It takes a title and a reason, in French and in English: --title-fr, --title-en, --reason-fr, --reason-en.")
	}
	var err error
	if p.Opens, err = instantOf("--opens", f.opens, 0); err != nil {
		return p, err
	}
	if p.Closes, err = instantOf("--closes", f.closes, wholeDay); err != nil { // empty: the node says, by the charter
		return p, err
	}
	p.Effect, err = f.effect(status)
	return p, err
}

// wholeDay makes a bare date mean its last minute: what ends on the 18th ends
// when the 18th does.
const wholeDay = 23*time.Hour + 59*time.Minute

// instantOf reads a date, in local time, or how long from now. A bare date is
// its midnight and so much later.
func instantOf(flag, text string, later time.Duration) (protocol.Millis, error) {
	if text == "" {
		return 0, nil
	}
	if span, err := draft.ParseSpan(text); err == nil {
		return protocol.At(time.Now().Add(span)), nil
	}
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(form, text, time.Local); err == nil {
			return protocol.At(at), nil
		}
	}
	if at, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		clock := time.Time{}.Add(later) // not a sum: some days have 23 hours
		return protocol.At(time.Date(at.Year(), at.Month(), at.Day(), clock.Hour(), clock.Minute(), 0, 0, time.Local)), nil
	}
	return 0, command.Misused("%s s'écrit 7d, 36h, 2026-12-04 ou \"2026-12-04 18:00\" (heure locale).",
		"%s is written 7d, 36h, 2026-12-04 or \"2026-12-04 18:00\" (local time).", flag)
}

// effect reads the one effect that was asked for.
func (f proposalFlags) effect(status func() (node.Status, error)) (protocol.Effect, error) {
	var effects []func(*protocol.Effect) error
	ask := func(asked bool, effect func(*protocol.Effect) error) {
		if asked {
			effects = append(effects, effect)
		}
	}
	ask(f.setPolicy != "", f.policy)
	ask(f.removePolicy != "", func(e *protocol.Effect) error { e.RemovePolicy = protocol.PolicyName(f.removePolicy); return nil })
	ask(f.stewards != "", f.roll)
	ask(f.workers != "", f.workerRoll)
	ask(f.admit != "", func(e *protocol.Effect) (err error) { e.Admit, err = cardOf(f.admit); return err })
	ask(f.replace != "", func(e *protocol.Effect) (err error) { e.ReplaceCard, err = cardOf(f.replace); return err })
	ask(f.suspend != "", func(e *protocol.Effect) error { e.Suspend = protocol.MemberID(f.suspend); return nil })
	ask(f.reinstate != "", func(e *protocol.Effect) error { e.Reinstate = protocol.MemberID(f.reinstate); return nil })
	ask(f.fees != "", f.setFees)
	ask(f.expel != "", func(e *protocol.Effect) error { e.Expel = protocol.MemberID(f.expel); return nil })
	ask(f.floors != "", f.setFloors)
	ask(f.grant != 0, func(e *protocol.Effect) error {
		e.GrantBudget = &protocol.Grant{NanoRho: dp.NanoRho(f.grant)}
		return nil
	})
	ask(f.epoch != "", f.startEpoch)
	ask(f.soleReplica != "", f.sole)
	ask(f.charter != "", func(e *protocol.Effect) error { return f.setCharter(e, status) })
	var e protocol.Effect
	if len(effects) != 1 {
		return e, command.Misused("Une proposition change exactement une chose\u00a0: voyez les options de «\u00a0coulisse proposal new --help\u00a0».",
			"A proposal changes exactly one thing: see the flags of “coulisse proposal new --help”.")
	}
	if err := effects[0](&e); err != nil {
		return e, err
	}
	return e, inWords(e.Check())
}

// policy takes a policy that ships, or a file's.
func (f proposalFlags) policy(e *protocol.Effect) error {
	for _, shipped := range policies.Shipped() {
		if string(shipped.Name) == f.setPolicy {
			e.SetPolicy = &protocol.PolicyText{Name: shipped.Name, Text: shipped.Text}
			return nil
		}
	}
	name, ok := strings.CutSuffix(f.setPolicy[strings.LastIndexByte(f.setPolicy, '/')+1:], ".cedar")
	if !ok {
		return command.Misused("Aucune politique livrée ne s'appelle %s\u00a0; un fichier se termine par .cedar.",
			"No policy that ships is called %s; a file ends in .cedar.", f.setPolicy)
	}
	text, err := readFile(f.setPolicy, protocol.MaxPolicy)
	if err != nil {
		return err
	}
	if _, err := policies.Parse(protocol.PolicyName(name), string(text)); err != nil {
		return inWords(err)
	}
	e.SetPolicy = &protocol.PolicyText{Name: protocol.PolicyName(name), Text: string(text)}
	return nil
}

func (f proposalFlags) roll(e *protocol.Effect) error {
	roll := protocol.StewardRoll{Threshold: f.threshold}
	for _, id := range strings.Split(f.stewards, ",") {
		roll.Members = append(roll.Members, protocol.MemberID(strings.TrimSpace(id)))
	}
	slices.Sort(roll.Members)
	if roll.Threshold == 0 {
		roll.Threshold = len(roll.Members)/2 + 1
	}
	e.ElectStewards = &roll
	return nil
}

func (f proposalFlags) workerRoll(e *protocol.Effect) error {
	first, second, ok := strings.Cut(f.workers, ",")
	if !ok {
		return command.Misused("--elect-workers nomme deux membres\u00a0: a,b.", "--elect-workers names two members: a,b.")
	}
	e.ElectWorkers = &protocol.WorkerRoll{First: protocol.MemberID(strings.TrimSpace(first)), Second: protocol.MemberID(strings.TrimSpace(second))}
	return nil
}

func (f proposalFlags) setFees(e *protocol.Effect) error {
	text, err := readFile(f.fees, draft.MaxFile)
	if err != nil {
		return err
	}
	yearly, err := draft.Decode[map[protocol.MemberKind]int64](text)
	if err != nil {
		return inWords(err)
	}
	e.SetFees = &protocol.Fees{}
	for _, kind := range slices.Sorted(maps.Keys(yearly)) {
		e.SetFees.Yearly = append(e.SetFees.Yearly, protocol.Fee{Kind: kind, Cents: yearly[kind]})
	}
	return nil
}

func (f proposalFlags) startEpoch(e *protocol.Effect) error {
	until, err := instantOf("--start-epoch", f.epoch, wholeDay)
	e.StartEpoch = &protocol.EpochStart{Until: until}
	return err
}

func (f proposalFlags) sole(e *protocol.Effect) error {
	id, address, ok := strings.Cut(f.soleReplica, "=")
	if !ok {
		return command.Misused("--sole-replica s'écrit NOM=HÔTE:PORT, comme le dit le bureau.", "--sole-replica is written NAME=HOST:PORT, as the office says.")
	}
	e.SoleReplica = &protocol.SoleReplica{Replica: protocol.ReplicaID(id), Address: address}
	return nil
}

func cardOf(file string) (*protocol.Signed[protocol.Card], error) {
	raw, err := readFile(file, protocol.MaxDocument)
	if err != nil {
		return nil, err
	}
	card, err := protocol.DecodeFile[protocol.Signed[protocol.Card]](raw)
	if err != nil {
		return nil, inWords(err)
	}
	return &card, nil
}

func (f proposalFlags) setFloors(e *protocol.Effect) error {
	text, err := readFile(f.floors, draft.MaxFile)
	if err != nil {
		return err
	}
	floors, err := charterfile.ParseFloors(text)
	e.SetFloors = &floors
	return err
}

func (f proposalFlags) setCharter(e *protocol.Effect, status func() (node.Status, error)) error {
	text, err := readFile(f.charter, draft.MaxFile)
	if err != nil {
		return err
	}
	present, err := status()
	if err != nil {
		return err
	}
	charter, err := charterfile.Parse(text, present.Namespace)
	e.SetCharter = &protocol.CharterChange{Charter: charter, From: present.Charter}
	return err
}
