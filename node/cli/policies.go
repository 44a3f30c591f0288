package cli

import (
	"bytes"
	"fmt"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/node/draft"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func policyCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: l.say("Les politiques que les membres ont votées", "The policies that the members voted"),
	}
	cmd.AddCommand(policyList(l), policyShow(l), policyCheck(l), policySimulate(l))
	return cmd
}

func policyList(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "list",
		Short: l.say("Montrer les politiques en vigueur, celles qui sont livrées et celles de ce nœud", "Show the policies in force, those that ship and this node's own"),
		Args:  command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			list, err := c.Policies(cmd.Context())
			if err != nil {
				return err
			}
			return listing(cmd, list, func(p *printer) {
				var rows [][]string
				for _, policy := range list {
					rows = append(rows, []string{string(policy.Name), p.force(policy), policy.Title.In(p.lang)})
				}
				p.table([]protocol.Text{text("NOM", "NAME"), text("EN VIGUEUR", "IN FORCE"), text("TITRE", "TITLE")}, rows)
			})
		},
	}))
}

// force says by which decision a policy is in force.
func (p *printer) force(policy node.PolicyLine) string {
	switch {
	case policy.Own:
		return p.say("sur ce nœud", "on this node")
	case policy.Decision == 0:
		return p.say("non", "no")
	case policy.Shipped && policy.Differs:
		return fmt.Sprintf(p.say("décision %d, texte propre", "decision %d, own text"), policy.Decision)
	}
	return fmt.Sprintf(p.say("décision %d", "decision %d"), policy.Decision)
}

func policyShow(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "show NAME",
		Short: l.say("Montrer une politique, en phrases et en texte", "Show a policy, in sentences and as a text"),
		Args:  command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := client(cmd)
			if err != nil {
				return err
			}
			page, err := c.Policy(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return listing(cmd, page, func(p *printer) {
				p.line("%s, en vigueur\u00a0: %s", "%s, in force: %s", page.Name, p.force(page.PolicyLine))
				for _, rule := range page.Rules {
					effect := p.say("permet", "permits")
					if rule.Effect == policies.Forbid {
						effect = p.say("interdit", "forbids")
					}
					p.print(fmt.Sprintf("\n  %s (%s)\n  %s\n", rule.ID, effect, rule.Text.In(p.lang)))
				}
				p.title("Texte", "Text")
				p.print(page.Text)
			})
		},
	}))
}

func policyCheck(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "check MANIFEST.yaml",
		Short: l.say("Dire si les politiques permettraient une audience, sans rien envoyer", "Say whether the policies would permit an audience, without sending anything"),
		Args:  command.Arguments("MANIFEST.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := drawUp(cmd, args[0])
			if err != nil {
				return err
			}
			err = listing(cmd, d.Decision, func(p *printer) { p.print(policies.Explain(d.Decision, p.lang) + "\n") })
			if err != nil {
				return err
			}
			return denialOf(d)
		},
	}))
}

// drawUp has an audience's file drawn up by the node; a whole manifest is held
// against the policies as it is.
func drawUp(cmd *cobra.Command, path string) (node.Draft, error) {
	text, err := readFile(path, draft.MaxFile)
	if err != nil {
		return node.Draft{}, err
	}
	c, err := client(cmd)
	if err != nil {
		return node.Draft{}, err
	}
	if bytes.Contains(text, []byte("operation")) {
		if m, err := draft.Decode[protocol.Manifest](text); err == nil {
			return c.Preview(cmd.Context(), m)
		}
	}
	return c.Draft(cmd.Context(), text)
}

// denialOf ends a command whose audience is denied with status 1; what is
// wrong was printed.
func denialOf(d node.Draft) error {
	if d.Decision.Allowed {
		return nil
	}
	return &api.Fault{Reason: api.ReasonDenied, Text: text(
		"Les politiques refusent cette audience. Rien n'a quitté le nœud.", "The policies deny this audience. Nothing left the node.")}
}
