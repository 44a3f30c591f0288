package cli

import (
	"errors"
	"time"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/protocol"
	"coulisse/protocol/checkup"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func doctorCommand(l speech) *cobra.Command {
	return withJSON(l, withFolder(l, &cobra.Command{
		Use:   "doctor",
		Short: l.say("Examiner le nœud et sa machine, dire ce qui ne va pas et quoi faire", "Examine the node and its machine, say what is wrong and what to do"),
		Long: l.say("Regarde le dossier et ses droits, les clés, le certificat, le disque, les horloges et le chemin jusqu'au coordonnateur, et demande au nœud ce qui ne va pas.\nD'un nœud arrêté, ouvre aussi l'entrepôt et vérifie tout le journal. Se termine par 1 s'il y a quelque chose à régler.",
			"Looks at the folder and its modes, the keys, the certificate, the disk, the clocks and the way to the coordinator, and asks the node what is wrong.\nOf a stopped node it opens the warehouse too, and verifies the whole log. It ends with 1 if there is something to put right."),
		Args: command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			running := api.Running((&node.Folder{Dir: folderOf(cmd)}).Socket()) != nil
			found := node.Doctor(cmd.Context(), folderOf(cmd), running, time.Now())
			if running {
				c, err := client(cmd)
				if err != nil {
					return err
				}
				s, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				for _, t := range s.Troubles {
					found.Add(checkup.Danger, t.What, t.Do)
				}
				found = found.Sorted()
			}
			err := listing(cmd, struct {
				Findings checkup.Report `json:"findings"`
			}{found}, func(p *printer) { p.findings(found) })
			if err == nil && len(found) > 0 {
				err = problemsRemain(len(found))
			}
			return err
		},
	}))
}

var errProblems = errors.New("something is wrong")

func problemsRemain(n int) error {
	if n == 1 {
		return protocol.Refuse(errProblems, "il y a une chose à régler", "there is one thing to put right")
	}
	return protocol.Refuse(errProblems, "il y a %d choses à régler", "there are %d things to put right", n)
}

func (p *printer) findings(found checkup.Report) {
	if len(found) == 0 {
		p.line("Rien à redire\u00a0: dossier, clés, certificat, journal, disque, horloges et coordonnateur.",
			"Nothing to report: folder, keys, certificate, log, disk, clocks and coordinator.")
	}
	for _, f := range found {
		p.print(f.Gravity.Words().In(p.lang) + "  " + f.What.In(p.lang) + "\n    " + f.Do.In(p.lang) + "\n")
	}
}
