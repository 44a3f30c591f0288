package cli

import (
	"fmt"
	"io"
	"math"
	"strings"

	"coulisse/crypto/dp"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// printFingerprint prints a hash in groups that can be read over the phone.
func printFingerprint(w io.Writer, h protocol.Hash) {
	text := h.String()
	fmt.Fprintln(w)
	for line := range len(text) / 16 {
		var groups []string
		for at := line * 16; at < (line+1)*16; at += 4 {
			groups = append(groups, text[at:at+4])
		}
		fmt.Fprintf(w, "    %s\n", strings.Join(groups, "  "))
	}
	fmt.Fprintln(w)
}

// showGenesis reads a genesis aloud.
func showGenesis(cmd *cobra.Command, g protocol.Genesis) error {
	id, err := g.ID()
	if err != nil {
		return err
	}
	lang, c := command.Lang(cmd), g.Charter
	say(cmd, "%s (%s), rédigée le %s", "%s (%s), drawn up on %s", c.Name.In(lang), c.Namespace, g.At.Time().Format("2006-01-02 15:04 MST"))
	say(cmd, "\nEmpreinte, à comparer de vive voix entre fondateurs\u00a0:", "\nFingerprint, for founders to compare by voice:")
	printFingerprint(cmd.OutOrStdout(), id)
	say(cmd, "Fondateurs (%d), et leur clé de vote", "Founders (%d), and their voting key", len(g.Founders))
	for _, signed := range g.Founders {
		card, err := protocol.OpenCard(signed)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "  %-24s %s (%s)\n      %s\n", card.ID, card.Name.In(lang), kindWords[card.Kind].In(lang), card.Vote)
	}
	say(cmd, "Coordonnateur (%d répliques)", "Coordinator (%d replicas)", len(g.Replicas))
	for _, r := range g.Replicas {
		fmt.Fprintf(cmd.OutOrStdout(), "  %-24s %s\n", r.ID, r.Key)
		say(cmd, "      clé TLS %s, autorité de certification %s", "      TLS key %s, certificate authority %s", r.TLS.Short(), r.Authority.Short())
	}
	showCharter(cmd, c)
	return nil
}

var kindWords = map[protocol.MemberKind]protocol.Text{
	protocol.KindHouse:    {FR: "maison", EN: "house"},
	protocol.KindFestival: {FR: "festival", EN: "festival"},
	protocol.KindMuseum:   {FR: "musée", EN: "museum"},
	protocol.KindCompany:  {FR: "compagnie", EN: "company"},
	protocol.KindMedia:    {FR: "média", EN: "media"},
}

func showCharter(cmd *cobra.Command, c protocol.Charter) {
	say(cmd, "Votes ordinaires (politiques, admissions)", "Ordinary votes (policies, admissions)")
	showRule(cmd, c.Ordinary)
	say(cmd, "Votes spéciaux (abaisser un plancher, budget, élections, suspension, exclusion, clés perdues, charte)",
		"Special votes (lowering a floor, budget, elections, suspension, expulsion, lost keys, charter)")
	showRule(cmd, c.Special)
	showAssembly(cmd, c)
	f := c.Floors
	say(cmd, "Planchers de toute ronde", "Floors of any round")
	say(cmd, "  une personne ne compte que si %d membres la connaissent; au moins %d participants",
		"  a person counts only if %d members know them; at least %d participants", f.MinMembers, f.MinParticipants)
	say(cmd, "  aucune taille publiée sous %d; bruit d'écart type %.1f ou plus; coût d'au plus rho %s",
		"  no size published under %d; noise of standard deviation %.1f or more; a cost of at most rho %s",
		f.MinSize, math.Sqrt(float64(f.MinVariance)), f.MaxRoundCost)
	b := c.Budget
	say(cmd, "Budget de confidentialité\u00a0: rho %s, soit epsilon %.2f pour delta 10^-%d",
		"Privacy budget: rho %s, that is epsilon %.2f at delta 10^-%d",
		b.Total, dp.Epsilon(b.Total, math.Pow10(-b.DeltaExponent)), b.DeltaExponent)
	say(cmd, "Chaque membre peut faire pseudonymiser %d identifiants par époque de clé.",
		"Each member may have %d identifiers tokenised in a key epoch.", c.Allowance)
}

// showAssembly says who supports, carries and settles, and who is counted with
// whom.
func showAssembly(cmd *cobra.Command, c protocol.Charter) {
	lang := command.Lang(cmd)
	say(cmd, "Une proposition s'ouvre avec l'appui de %d autre(s) organisation(s). Un membre porte au plus %d voix d'autres par procuration.",
		"A proposal opens with the support of %d other organisation(s). A member carries at most %d ballots of others by proxy.", c.Cosigners, c.MaxProxies)
	if c.Chair != "" {
		say(cmd, "Présidence\u00a0: %s", "Chair: %s", c.Chair)
	}
	for _, college := range c.Colleges {
		kinds := make([]string, len(college.Kinds))
		for i, kind := range college.Kinds {
			kinds[i] = kindWords[kind].In(lang)
		}
		say(cmd, "Collège «\u00a0%s\u00a0»\u00a0: %s", "College “%s”: %s", college.Name.In(lang), strings.Join(kinds, ", "))
	}
}

func showRule(cmd *cobra.Command, r protocol.VotingRule) {
	majority := command.Say(command.Lang(cmd), "plus de voix pour que contre", "more for than against")
	if 2*r.Numerator > r.Denominator {
		majority = fmt.Sprintf(command.Say(command.Lang(cmd), "au moins %d/%d des voix exprimées", "at least %d/%d of those expressed"), r.Numerator, r.Denominator)
	}
	for _, also := range []struct {
		asked  bool
		fr, en string
	}{
		{r.EachCollege, "et dans chaque collège", "and so in each college"},
		{r.CastingVote, "la présidence tranche une égalité", "the chair settles a tie"},
		{r.ExpressedQuorum, "abstentions hors du quorum", "abstentions are not in the quorum"},
	} {
		if also.asked {
			majority += "; " + command.Say(command.Lang(cmd), also.fr, also.en)
		}
	}
	say(cmd, "  quorum de %d\u00a0%% des membres; %s; ouverts %s",
		"  quorum of %d%% of the members; %s; open for %s", r.QuorumPercent, majority, r.Open().In(command.Lang(cmd)))
}
