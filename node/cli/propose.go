package cli

import (
	"slices"
	"strings"
	"time"

	"coulisse/crypto/dp"
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
	closes        string

	setPolicy, removePolicy, stewards, admit, expel, floors, charter string
	threshold                                                        int
	grant                                                            int64
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
			proposal, err := f.proposal(func() (protocol.Namespace, error) {
				s, err := c.Status(cmd.Context())
				return s.Namespace, err
			})
			if err != nil {
				return err
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
	flags.StringVar(&f.closes, "closes", "", l.say("dans combien de temps le vote se ferme\u00a0: 14d, 36h\u00a0; le minimum de la charte court à partir de l'appui, laissez le temps de le trouver (par défaut\u00a0: ce minimum et 3 jours)",
		"in how long the vote closes: 14d, 36h; the charter's minimum runs from the support, leave time to find it (by default: that minimum and 3 days)"))
	flags.StringVar(&f.setPolicy, "set-policy", "", l.say("adopter une politique livrée (NOM) ou un FICHIER.cedar", "adopt a policy that ships (NAME) or a FILE.cedar"))
	flags.StringVar(&f.removePolicy, "remove-policy", "", l.say("retirer une politique", "remove a policy"))
	flags.StringVar(&f.stewards, "elect-stewards", "", l.say("élire des gardiens de clé\u00a0: a,b,c", "elect key stewards: a,b,c"))
	flags.IntVar(&f.threshold, "threshold", 0, l.say("combien de gardiens doivent agir ensemble (la majorité par défaut)", "how many stewards must act together (a majority by default)"))
	flags.StringVar(&f.admit, "admit", "", l.say("admettre l'organisation d'une CARTE.json", "admit the organisation of a CARD.json"))
	flags.StringVar(&f.expel, "expel", "", l.say("exclure une organisation", "expel an organisation"))
	flags.StringVar(&f.floors, "set-floors", "", l.say("changer les planchers, d'un FICHIER.yaml (ceux de «\u00a0charter template\u00a0», tous)", "change the floors, from a FILE.yaml (those of “charter template”, all of them)"))
	flags.Int64Var(&f.grant, "grant-budget", 0, l.say("ajouter au budget, en nano-rho", "add to the budget, in nano-rho"))
	flags.StringVar(&f.charter, "set-charter", "", l.say("changer la charte, d'un FICHIER.yaml comme celui de «\u00a0coulisse charter template\u00a0»", "change the charter, from a FILE.yaml as “coulisse charter template” prints"))
}

// proposal reads what was asked for; a charter is of the federation's namespace.
func (f proposalFlags) proposal(namespace func() (protocol.Namespace, error)) (protocol.Proposal, error) {
	p := protocol.Proposal{Title: f.title, Reason: f.reason}
	if f.title.Check() != nil || f.reason.Check() != nil {
		return p, command.Misused("Il faut un titre et une raison, en français et en anglais\u00a0: --title-fr, --title-en, --reason-fr, --reason-en.",
			"It takes a title and a reason, in French and in English: --title-fr, --title-en, --reason-fr, --reason-en.")
	}
	if f.closes != "" { // else the node says, by the charter
		span, err := draft.ParseSpan(f.closes)
		if err != nil {
			return p, command.Misused("--closes s'écrit 7d ou 36h.", "--closes is written 7d or 36h.")
		}
		p.Closes = protocol.At(time.Now().Add(span))
	}
	var err error
	p.Effect, err = f.effect(namespace)
	return p, err
}

// effect reads the one effect that was asked for.
func (f proposalFlags) effect(namespace func() (protocol.Namespace, error)) (protocol.Effect, error) {
	var effects []func(*protocol.Effect) error
	ask := func(asked bool, effect func(*protocol.Effect) error) {
		if asked {
			effects = append(effects, effect)
		}
	}
	ask(f.setPolicy != "", f.policy)
	ask(f.removePolicy != "", func(e *protocol.Effect) error { e.RemovePolicy = protocol.PolicyName(f.removePolicy); return nil })
	ask(f.stewards != "", f.roll)
	ask(f.admit != "", f.admission)
	ask(f.expel != "", func(e *protocol.Effect) error { e.Expel = protocol.MemberID(f.expel); return nil })
	ask(f.floors != "", f.setFloors)
	ask(f.grant != 0, func(e *protocol.Effect) error {
		e.GrantBudget = &protocol.Grant{NanoRho: dp.NanoRho(f.grant)}
		return nil
	})
	ask(f.charter != "", func(e *protocol.Effect) error { return f.setCharter(e, namespace) })
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

func (f proposalFlags) admission(e *protocol.Effect) error {
	raw, err := readFile(f.admit, protocol.MaxDocument)
	if err != nil {
		return err
	}
	card, err := protocol.DecodeFile[protocol.Signed[protocol.Card]](raw)
	if err != nil {
		return inWords(err)
	}
	e.Admit = &card
	return nil
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

func (f proposalFlags) setCharter(e *protocol.Effect, namespace func() (protocol.Namespace, error)) error {
	text, err := readFile(f.charter, draft.MaxFile)
	if err != nil {
		return err
	}
	own, err := namespace()
	if err != nil {
		return err
	}
	charter, err := charterfile.Parse(text, own)
	e.SetCharter = &charter
	return err
}
