package cli

import (
	"fmt"
	"time"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/draft"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func policySimulate(l speech) *cobra.Command {
	var f proposalFlags
	var remove bool
	var since string
	cmd := withJSON(l, withFolder(l, &cobra.Command{
		Use:   "simulate [NAME|FILE.cedar]",
		Short: l.say("Dire ce qu'un changement de règle aurait refusé aux rondes passées", "Say what a change of the rules would have refused to past rounds"),
		Long: l.say("Chaque ronde demandée depuis est jugée par les règles de son jour, telles qu'elles étaient puis avec\nle changement. Les politiques propres à chaque membre ne sont pas au journal et n'y jouent pas.",
			"Every round asked for since is judged by the rules of its day, as they were and then with the\nchange. Members' own policies are not in the log and play no part."),
		Example: "  coulisse policy simulate no-singling-out\n  coulisse policy simulate pooled-audiences --remove\n  coulisse policy simulate --floors floors.yaml --since 30d",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return command.Misused("Un changement à la fois : un seul nom ou FICHIER.cedar.", "One change at a time: a single name or FILE.cedar.")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := simulated(f, args, remove, since)
			if err != nil {
				return err
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			s, err := c.Simulate(cmd.Context(), asked)
			if err != nil {
				return err
			}
			return listing(cmd, s, func(p *printer) { p.simulation(s) })
		},
	}))
	flags := cmd.Flags()
	flags.BoolVar(&remove, "remove", false, l.say("essayer de la retirer", "try to remove it"))
	flags.StringVar(&f.floors, "floors", "", l.say("essayer d'autres planchers, d'un FICHIER.yaml", "try other floors, from a FILE.yaml"))
	flags.StringVar(&since, "since", "90d", l.say("depuis combien de temps\u00a0: 90d, 36h", "how far back: 90d, 36h"))
	return cmd
}

// simulated reads the one change that is to be tried.
func simulated(f proposalFlags, args []string, remove bool, since string) (asked api.Simulate, err error) {
	if len(args) == 1 {
		f.setPolicy = args[0]
	}
	if remove {
		f.setPolicy, f.removePolicy = "", f.setPolicy
	}
	span, err := draft.ParseSpan(since)
	if err != nil || span <= 0 {
		return asked, command.Misused("--since s'écrit 90d ou 36h.", "--since is written 90d or 36h.")
	}
	if (f.setPolicy+f.removePolicy == "") == (f.floors == "") {
		return asked, command.Misused("Que faut-il essayer\u00a0? Nommez une politique ou un FICHIER.cedar, ou donnez --floors FICHIER.yaml.",
			"What is to be tried? Name a policy or a FILE.cedar, or give --floors FILE.yaml.")
	}
	asked.Since = protocol.At(time.Now().Add(-span))
	asked.Effect, err = f.effect(nil)
	return asked, err
}

// simulation says what a change would have done.
func (p *printer) simulation(s node.Simulation) {
	if s.Asked == 0 {
		p.print(wrapped(fmt.Sprintf(p.say("Aucune ronde n'a été demandée depuis le %s\u00a0: il n'y a rien sur quoi l'essayer.",
			"No round was asked for since %s: there is nothing to try it on."), p.instant(s.Since)), "  "))
		return
	}
	p.print(wrapped(fmt.Sprintf(p.say("Rondes demandées depuis le %s\u00a0: %d, dont %d permises par les règles de leur jour. Ce changement en aurait refusé %d et permis %d de plus.",
		"Rounds asked for since %s: %d, of which the rules of their day permitted %d. This change would have refused %d and permitted %d more."),
		p.instant(s.Since), s.Asked, s.Allowed, len(s.Refused), len(s.Permitted)), "  "))
	p.simulated(p.say("Aurait été refusée", "Would have been refused"), s.Refused)
	p.simulated(p.say("Aurait été permise, et fut refusée parce que", "Would have been permitted, and was refused because"), s.Permitted)
}

func (p *printer) simulated(verdict string, list []node.SimulatedRound) {
	for _, r := range list {
		p.blank()
		p.print(wrapped(fmt.Sprintf("%s, %s", r.Title.In(p.lang), p.instant(r.At)), "  "))
		p.print(wrapped(fmt.Sprintf(p.say("Demandée par %s, avec %s.", "Asked for by %s, with %s."), r.By, names(r.Participants)), "    "))
		p.print(wrapped(verdict+p.say("\u00a0:", ":"), "    "))
		for _, why := range r.Why {
			p.print(wrapped("– "+why.In(p.lang), "    "))
		}
	}
}
