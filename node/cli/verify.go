package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/command"
	"coulisse/protocol/record"

	"github.com/spf13/cobra"
)

// trusted is the federation that the reader trusts: the hash that was given,
// else the one that the folder's node enrolled with.
func trusted(cmd *cobra.Command, hash string) (protocol.Hash, error) {
	if hash != "" {
		id, err := protocol.ParseHash(hash)
		if err != nil {
			return id, command.Misused("--federation est une empreinte de 64 chiffres hexadécimaux, entière.",
				"--federation is a hash of 64 hexadecimal digits, whole.")
		}
		return id, nil
	}
	membership, err := (&node.Folder{Dir: folderOf(cmd)}).Membership()
	if err != nil {
		return protocol.Hash{}, command.Misused("À qui vous fiez-vous\u00a0? Donnez l'empreinte de la fédération avec --federation, ou le dossier d'un nœud inscrit avec --dir.",
			"Whom do you trust? Give the federation's hash with --federation, or the folder of an enrolled node with --dir.")
	}
	return membership.Federation, nil
}

func proposalExport(l speech) *cobra.Command {
	var out string
	cmd := withFolder(l, &cobra.Command{
		Use:   "export ID --out FILE",
		Short: l.say("Écrire la suite des décisions, pour qui veut recompter", "Write the chain of decisions, for whoever wants to recount"),
		Args:  command.Arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return command.Misused("Nommez le fichier à écrire avec --out.", "Name the file to write with --out.")
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			chain, err := c.Decisions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			indented, err := protocol.Indented(chain)
			if err != nil {
				return err
			}
			if err := writeFile(out, indented); err != nil {
				return err
			}
			p := printing(cmd)
			p.line("%s\u00a0: la fondation et %d décisions.", "%s: the founding and %d decisions.", filepath.Base(out), len(chain.Decisions))
			return p.err
		},
	})
	cmd.Flags().StringVar(&out, "out", "", l.say("fichier à écrire", "file to write"))
	return cmd
}

func proposalVerify(l speech) *cobra.Command {
	var hash, log string
	cmd := withFolder(l, &cobra.Command{
		Use:   "verify FILE",
		Short: l.say("Recompter une suite de décisions, sans réseau ni nœud", "Recount a chain of decisions, without network or node"),
		Args:  command.Arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			federationID, err := trusted(cmd, hash)
			if err != nil {
				return err
			}
			raw, err := readFile(args[0], maxProof)
			if err != nil {
				return err
			}
			chain, err := protocol.DecodeFile[record.Chain](raw)
			if err != nil {
				return inWords(err)
			}
			if _, err := chain.Verify(federationID); err != nil {
				return unproven(err)
			}
			p := printing(cmd)
			p.chain(chain, federationID)
			if err := p.reach(chain, federationID, log); err != nil {
				return err
			}
			return p.err
		},
	})
	cmd.Flags().StringVar(&log, "log", "", l.say("copie du journal à laquelle comparer, de «\u00a0coulisse log export\u00a0»", "copy of the log to compare with, from “coulisse log export”"))
	cmd.Flags().StringVar(&hash, "federation", "", l.say("empreinte de la fédération, au lieu de celle du dossier", "the federation's hash, instead of the folder's"))
	return cmd
}

// reach says how far a recount goes: with a copy of the log, to every ballot
// that was cast; without, to those that the chain holds.
func (p *printer) reach(chain record.Chain, federationID protocol.Hash, log string) error {
	p.blank()
	if log == "" {
		p.print(wrapped(p.say(
			"Ce que cela ne montre pas\u00a0: qu'aucun bulletin n'a été laissé de côté, qu'aucune procuration n'était révoquée avant son bulletin, et que ces décisions sont les dernières. Une copie du journal le montre\u00a0: ajoutez --log COPIE, faite par «\u00a0coulisse log export\u00a0».",
			"What this does not show: that no ballot was left out, that no delegation was revoked before its ballot, and that these decisions are the last. A copy of the log shows it: add --log COPY, made by “coulisse log export”."), ""))
		return nil
	}
	file, err := os.Open(log)
	if err != nil {
		return inWords(err)
	}
	defer file.Close()
	s, replayed, err := archive.Read(file, federationID)
	if err != nil {
		return unprovenLog(err)
	}
	if err := chain.Compare(replayed); err != nil {
		return inWords(err)
	}
	p.print(wrapped(p.say(
		"Comparé au journal, rejoué\u00a0: chaque décision y est la même. Tous les bulletins que le journal a pris y comptent, et aucune procuration révoquée avant son bulletin.",
		"Compared with the log, replayed: every decision is the same there. All ballots that the log took count, and no delegation that was revoked before its ballot."), ""))
	if later := s.View.Decisions - len(chain.Decisions); later > 0 {
		p.line("Le journal a %d décisions de plus.", "The log has %d decisions more.", later)
	}
	return p.replayed(s, nil)
}

// chain lists decisions that were counted again.
func (p *printer) chain(chain record.Chain, federationID protocol.Hash) {
	var rows [][]string
	for _, d := range chain.Decisions {
		if d.Act != nil {
			rows = append(rows, []string{p.number(int64(d.Number)), p.instant(d.ClosedAt), p.say("fait", "done"), "–", p.act(*d.Act)})
			continue
		}
		proposal, err := protocol.Peek(d.Proposal)
		if err != nil {
			p.err = err
			return
		}
		verdict := p.say("rejetée", "rejected")
		if d.Carried {
			verdict = p.say("adoptée", "carried")
		}
		rows = append(rows, []string{p.number(int64(d.Number)), p.instant(d.ClosedAt), verdict, p.tally(d.Tally), proposal.Title.In(p.lang)})
	}
	p.line("Recompté depuis la fondation %s\u00a0: %d décisions, chaque signature et chaque bulletin.",
		"Counted again from the founding %s: %d decisions, every signature and every ballot.", federationID.Short(), len(rows))
	p.blank()
	p.table([]protocol.Text{text("N°", "NO"), text("FERMÉE", "CLOSED"), text("ISSUE", "OUTCOME"), text("DÉCOMPTE", "COUNT"), text("TITRE", "TITLE")}, rows)
}

// act says what was done without a vote.
func (p *printer) act(a protocol.Act) string {
	switch {
	case a.KeyChange != nil:
		return fmt.Sprintf(p.say("%s a changé de clés", "%s changed its keys"), a.KeyChange.By)
	case a.Leave != nil:
		return fmt.Sprintf(p.say("%s a quitté la fédération", "%s left the federation"), a.Leave.By)
	}
	return p.say("les répliques du coordonnateur ont changé", "the coordinator's replicas changed")
}
