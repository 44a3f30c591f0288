package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"coulisse/node"
	"coulisse/node/api"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

func personCommand(l speech) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "person",
		Short: l.say("Les droits d'une personne\u00a0: voir, emporter, corriger, effacer", "A person's rights: see, take along, correct, erase"),
		Long: l.say("Une personne se nomme par son courriel, son téléphone, un code de commande, ou son numéro\u00a0: #42.\nUn tiret lit ce nom sur l'entrée standard, pour qu'il ne reste pas dans l'historique du terminal.",
			"A person is named by an address, a telephone, the code of an order, or a number: #42.\nA dash reads that name from standard input, so that it does not stay in the terminal's history."),
	}
	cmd.AddCommand(personFind(l), personShow(l), personExport(l), personRectify(l), personErase(l), personReadmit(l), personReceipts(l))
	return cmd
}

// naming gives a command the flag with which telephones are read.
func naming(l speech, cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("region", "CA", l.say("pays des téléphones sans indicatif", "country of telephones without a code"))
	return withJSON(l, withFolder(l, cmd))
}

// maxName bounds a name on standard input, in bytes.
const maxName = 1024

// named reads how a command names a person.
func named(cmd *cobra.Command, words string) (api.Search, error) {
	region, _ := cmd.Flags().GetString("region")
	if words == "-" {
		read, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxName))
		if err != nil {
			return api.Search{}, inWords(err)
		}
		words = strings.TrimSpace(string(read))
	}
	if words == "" {
		return api.Search{}, command.Misused("Nommez une personne\u00a0: courriel, téléphone, commande ou #numéro.", "Name a person: address, telephone, order or #number.")
	}
	return api.Search{Words: words, Region: region}, nil
}

var errSeveral = errors.New("several people have that name")

// one asks the node for the one person that a command names.
func one(cmd *cobra.Command, words string) (*api.Client, node.PersonLine, error) {
	c, err := client(cmd)
	if err != nil {
		return nil, node.PersonLine{}, err
	}
	search, err := named(cmd, words)
	if err != nil {
		return nil, node.PersonLine{}, err
	}
	found, err := c.FindPeople(cmd.Context(), search)
	switch {
	case err != nil:
		return nil, node.PersonLine{}, err
	case len(found.People) == 0:
		return nil, node.PersonLine{}, protocol.Refuse(node.ErrNobody,
			"cette personne a été effacée le %[1]s (effacement %[2]s)\u00a0; rien n'est gardé d'elle",
			"this person was erased on %[1]s (erasure %[2]s); nothing is kept of them", day(found.Erased.At.Time()), found.Erased.Erasure)
	case len(found.People) > 1:
		numbers := make([]string, len(found.People))
		for i, p := range found.People {
			numbers[i] = fmt.Sprintf("#%d", p.Number)
		}
		return nil, node.PersonLine{}, protocol.Refuse(errSeveral,
			"plusieurs personnes portent ce nom\u00a0: %s\u00a0; «\u00a0coulisse person find\u00a0» les montre, nommez l'une par son numéro",
			"several people have that name: %s; “coulisse person find” shows them, name one by its number", strings.Join(numbers, ", "))
	}
	return c, found.People[0], nil
}

func personFind(l speech) *cobra.Command {
	return naming(l, &cobra.Command{
		Use:     "find NAME",
		Short:   l.say("Chercher une personne", "Look for a person"),
		Example: "  coulisse person find claire@example.org\n  coulisse person find \"514 555-0100\"",
		Args:    command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			search, err := named(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			found, err := c.FindPeople(cmd.Context(), search)
			if err != nil {
				return err
			}
			return listing(cmd, found, func(p *printer) { p.found(found) })
		},
	})
}

func (p *printer) found(found node.FoundPeople) {
	if e := found.Erased; e != nil {
		p.line("Cet identifiant a été effacé le %s (effacement %s). Les imports ne le reprennent pas.",
			"This identifier was erased on %s (erasure %s). Imports leave it out.", day(e.At.Time()), e.Erasure)
	}
	if len(found.People) == 0 {
		return
	}
	rows := make([][]string, len(found.People))
	for i, person := range found.People {
		rows[i] = []string{fmt.Sprintf("#%d", person.Number), reached(person), orDash(person.PostalCode)}
	}
	p.table([]protocol.Text{text("Numéro", "Number"), text("Identifiants", "Identifiers"), text("Code postal", "Postal code")}, rows)
}

// reached lists how a person is reached.
func reached(person node.PersonLine) string {
	values := make([]string, len(person.Identities))
	for i, identity := range person.Identities {
		values[i] = identity.Value
	}
	return strings.Join(values, ", ")
}

func personShow(l speech) *cobra.Command {
	return naming(l, &cobra.Command{
		Use:   "show NAME",
		Short: l.say("Montrer tout ce qui est gardé d'une personne", "Show everything that is held of a person"),
		Long: l.say("Montre ce qui est gardé, table par table. --json donne chaque ligne\u00a0; «\u00a0coulisse person export\u00a0» la remet à la personne.",
			"Shows what is held, table by table. --json gives every row; “coulisse person export” is for handing it to the person."),
		Args: command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, person, err := one(cmd, args[0])
			if err != nil {
				return err
			}
			page, err := c.Person(cmd.Context(), person.Number)
			if err != nil {
				return err
			}
			return listing(cmd, page, func(p *printer) { p.person(page) })
		},
	})
}

func personRectify(l speech) *cobra.Command {
	var to node.Correction
	cmd := naming(l, &cobra.Command{
		Use:   "rectify NAME",
		Short: l.say("Corriger l'identifiant ou le code postal d'une personne", "Correct a person's identifier or postal code"),
		Long: l.say("Un nouvel identifiant est un nouveau jeton\u00a0: l'ancien est supprimé, et le nouveau compte dans l'allocation.\nCorrigez aussi la billetterie\u00a0: sinon son prochain fichier ramène l'ancien.",
			"A new identifier is a new token: the old one is deleted, and the new one counts towards the allowance.\nCorrect it in the ticketing system as well: its next file would bring the old one back otherwise."),
		Example: "  coulisse person rectify \"#42\" --email claire@example.com",
		Args:    command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to.PostalCode == "" && to.Email == "" && to.Phone == "" {
				return command.Misused("Dites ce qui est à corriger\u00a0: --email, --phone ou --postal.", "Say what is to be corrected: --email, --phone or --postal.")
			}
			to.Region, _ = cmd.Flags().GetString("region")
			c, person, err := one(cmd, args[0])
			if err != nil {
				return err
			}
			done, err := c.Rectify(cmd.Context(), person.Number, to)
			if err != nil {
				return err
			}
			return listing(cmd, done, func(p *printer) {
				p.found(node.FoundPeople{People: []node.PersonLine{done.PersonLine}})
				if done.Renamed {
					p.line("L'ancien identifiant et son jeton ne sont plus dans ce nœud.", "The old identifier and its token are no longer in this node.")
				}
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&to.Email, "email", "", l.say("le bon courriel", "the right address"))
	flags.StringVar(&to.Phone, "phone", "", l.say("le bon téléphone", "the right telephone"))
	flags.StringVar(&to.PostalCode, "postal", "", l.say("le bon code postal", "the right postal code"))
	return cmd
}

func personErase(l speech) *cobra.Command {
	var yes bool
	cmd := naming(l, &cobra.Command{
		Use:   "erase NAME",
		Short: l.say("Effacer une personne, partout et pour de bon", "Erase a person, everywhere and for good"),
		Long: l.say("Montre ce qui sera effacé, et demande. Ensuite plus rien de la personne n'est dans les fichiers du nœud, et un ancien fichier\nne la ramène pas. Une ronde déjà envoyée se termine d'abord\u00a0; le nœud finit l'effacement seul. Un reçu signé le dit.\nVos sauvegardes et les fichiers que vous avez importés ou exportés restent à effacer par vous.",
			"Shows what will be erased, and asks. After it nothing of the person is in the node's files, and an old file does not bring the\nperson back. A round that was sent already ends first; the node ends the erasure by itself. A signed receipt says so.\nYour backups, and the files that you imported or exported, are for you to erase."),
		Args: command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" && !yes {
				return command.Misused("L'entrée standard ne peut pas nommer et confirmer\u00a0: ajoutez --yes.", "Standard input cannot both name and confirm: add --yes.")
			}
			c, person, err := one(cmd, args[0])
			if err != nil {
				return err
			}
			if !yes {
				if err := confirmErasure(cmd, c, person); err != nil {
					return err
				}
			}
			done, err := c.ErasePerson(cmd.Context(), person.Number)
			if err != nil {
				return err
			}
			return listing(cmd, done, func(p *printer) { p.erasure(done) })
		},
	})
	cmd.Flags().BoolVar(&yes, "yes", false, l.say("sans demander", "without asking"))
	return cmd
}

var errUnconfirmed = errors.New("the erasure was not confirmed")

// confirmErasure shows what is to go and waits for a yes.
func confirmErasure(cmd *cobra.Command, c *api.Client, person node.PersonLine) error {
	page, err := c.Person(cmd.Context(), person.Number)
	if err != nil {
		return err
	}
	p := &printer{out: cmd.ErrOrStderr(), lang: command.Lang(cmd)}
	p.person(page)
	p.blank()
	p.print(p.say("Effacer tout cela, pour de bon\u00a0? Écrivez oui\u00a0: ", "Erase all of it, for good? Write yes: "))
	answer, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), maxName)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return inWords(err)
	}
	if said := strings.ToLower(strings.TrimSpace(answer)); said != "oui" && said != "yes" {
		return protocol.Refuse(errUnconfirmed, "rien n'est effacé", "nothing was erased")
	}
	return p.err
}

func (p *printer) erasure(e node.Erasure) {
	switch e.Stage {
	case node.ErasureBegun:
		p.line("La personne n'est plus dans aucune réponse. Quelque chose lit l'entrepôt depuis longtemps\u00a0: le nœud efface ses fichiers dès que c'est fini.",
			"The person is in no answer any more. Something has long been reading the warehouse: the node erases its files once that has ended.")
	case node.ErasureWaits:
		p.line("La personne est effacée. Il reste un pseudonyme dans l'envoi de rondes en cours, supprimé quand elles se terminent\u00a0:",
			"The person is erased. What is left is a pseudonym in what was sent for rounds under way, deleted when they end:")
		for _, round := range e.Rounds {
			p.print("  " + string(round) + "\n")
		}
	case node.ErasureDone:
		p.line("La personne est effacée. Il n'en reste rien dans ce nœud.", "The person is erased. Nothing is left in this node.")
	}
	p.line("Effacement %[1]s. Le reçu\u00a0: coulisse person receipts %[1]s", "Erasure %[1]s. The receipt: coulisse person receipts %[1]s", e.ID)
}

func personReadmit(l speech) *cobra.Command {
	return naming(l, &cobra.Command{
		Use:   "readmit NAME",
		Short: l.say("Laisser les imports reprendre une personne effacée qui est revenue", "Let imports take in an erased person who came back"),
		Args:  command.Arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			search, err := named(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := client(cmd)
			if err != nil {
				return err
			}
			if err := c.Readmit(cmd.Context(), search); err != nil {
				return err
			}
			return listing(cmd, struct{}{}, func(p *printer) {
				p.line("Les prochains imports reprennent cette personne.", "The next imports take this person in.")
			})
		},
	})
}
