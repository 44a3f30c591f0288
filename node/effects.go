package node

import (
	"fmt"
	"strings"

	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/governance"
)

// What a proposal changes, in words: one sentence, then particulars.

func both(fr, en string, values ...any) protocol.Text {
	return protocol.Text{FR: fmt.Sprintf(fr, values...), EN: fmt.Sprintf(en, values...)}
}

// effectWords says in one sentence what an effect does.
func effectWords(e protocol.Effect) protocol.Text {
	switch {
	case e.SetPolicy != nil:
		return both("Adopter la politique «\u00a0%[1]s\u00a0»", "Adopt the policy “%[1]s”", e.SetPolicy.Name)
	case e.RemovePolicy != "":
		return both("Retirer la politique «\u00a0%[1]s\u00a0»", "Remove the policy “%[1]s”", e.RemovePolicy)
	case e.SetFloors != nil:
		return both("Changer les planchers de la charte", "Change the charter's floors")
	case e.GrantBudget != nil:
		return both("Ajouter rho = %[1]s au budget de confidentialité", "Add rho = %[1]s to the privacy budget", e.GrantBudget.NanoRho)
	case e.ElectStewards != nil:
		roll := e.ElectStewards
		return both("Élire %d gardiens de clé, dont %d doivent agir ensemble", "Elect %d key stewards, of whom %d must act together",
			len(roll.Members), roll.Threshold)
	case e.Admit != nil:
		return both("Admettre l'organisation %[1]s", "Admit the organisation %[1]s", e.Admit.By)
	case e.Expel != "":
		return both("Exclure l'organisation %[1]s", "Expel the organisation %[1]s", e.Expel)
	case e.Suspend != "":
		return both("Suspendre l'organisation %[1]s", "Suspend the organisation %[1]s", e.Suspend)
	case e.Reinstate != "":
		return both("Rétablir l'organisation %[1]s", "Reinstate the organisation %[1]s", e.Reinstate)
	case e.ReplaceCard != nil:
		return both("Donner de nouvelles clés à l'organisation %[1]s, qui a perdu les siennes", "Give new keys to the organisation %[1]s, which has lost its own", e.ReplaceCard.By)
	case e.ElectWorkers != nil:
		return both("Élire les deux dépositaires de parts\u00a0: %[1]s et %[2]s", "Elect the two share workers: %[1]s and %[2]s", e.ElectWorkers.First, e.ElectWorkers.Second)
	case e.SetFees != nil:
		return both("Fixer les cotisations", "Set the fees")
	case e.StartEpoch != nil:
		return both("Faire une nouvelle clé", "Make a new key")
	case e.SetCharter != nil:
		return both("Changer la charte", "Change the charter")
	case e.SoleReplica != nil:
		return both("Laisser la seule réplique %[1]s au coordonnateur", "Leave the coordinator with the replica %[1]s alone", e.SoleReplica.Replica)
	}
	return both("Un effet que cette version ne connaît pas", "An effect that this version does not know")
}

// changes are the particulars of an effect on a federation as it was before,
// and the lines of a policy that come and go.
func changes(before governance.View, e protocol.Effect) ([]protocol.Text, []policies.Line) {
	switch {
	case e.SetPolicy != nil:
		return policyChanges(before, e.SetPolicy.Name, e.SetPolicy.Text)
	case e.RemovePolicy != "":
		return policyChanges(before, e.RemovePolicy, "")
	case e.SetFloors != nil:
		return floorChanges(before.Charter.Floors, *e.SetFloors), nil
	case e.GrantBudget != nil:
		from := before.Charter.Budget.Total
		return []protocol.Text{changed("budget accordé, en rho", "budget granted, in rho", from, from+e.GrantBudget.NanoRho)}, nil
	case e.ElectStewards != nil:
		return stewardChanges(before, *e.ElectStewards), nil
	case e.Admit != nil:
		return admission(*e.Admit), nil
	case e.Expel != "":
		return []protocol.Text{both("L'organisation ne vote plus et n'entre dans aucune ronde. Ses signatures passées restent valables.",
			"The organisation no longer votes nor takes part in rounds. Its past signatures stay valid.")}, nil
	case e.Suspend != "":
		return []protocol.Text{both("L'organisation ne vote plus, n'entre dans aucune ronde et n'obtient plus de jetons, jusqu'à ce qu'un vote la rétablisse. Elle peut toujours lire le journal.",
			"The organisation no longer votes, takes part in rounds or gets tokens, until a vote reinstates it. It may still read the log.")}, nil
	case e.Reinstate != "":
		return []protocol.Text{both("L'organisation vote, entre dans les rondes et obtient des jetons de nouveau.",
			"The organisation votes, takes part in rounds and gets tokens again.")}, nil
	case e.ReplaceCard != nil:
		return []protocol.Text{both("Rien de ce que signent ses anciennes clés ne compte plus, pas même ses bulletins dans les votes en cours\u00a0; elle les donne de nouveau.",
			"Nothing that its old keys sign counts any more, not even its ballots in the votes under way; it casts them again.")}, nil
	case e.ElectWorkers != nil:
		return workerChanges(before, *e.ElectWorkers), nil
	case e.SetFees != nil:
		return feeChanges(before, *e.SetFees), nil
	case e.StartEpoch != nil:
		return epochChanges(before, *e.StartEpoch), nil
	case e.SetCharter != nil:
		return charterChanges(before.Charter, e.SetCharter.Charter), nil
	case e.SoleReplica != nil:
		return replicaChanges(before.Roll, *e.SoleReplica), nil
	}
	return nil, nil
}

// changed says a change. What is said in words is a [protocol.Text].
func changed(fr, en string, from, to any) protocol.Text {
	before, after := bilingual(from), bilingual(to)
	return protocol.Text{FR: fr + "\u00a0: " + before.FR + " → " + after.FR, EN: en + ": " + before.EN + " → " + after.EN}
}

func bilingual(v any) protocol.Text {
	if said, ok := v.(protocol.Text); ok {
		return said
	}
	return protocol.Text{FR: fmt.Sprint(v), EN: fmt.Sprint(v)}
}

// policyChanges compares the text in force with another; "" is none.
func policyChanges(before governance.View, name protocol.PolicyName, text string) ([]protocol.Text, []policies.Line) {
	var old, next policies.Policy
	var err error
	for _, p := range before.Policies {
		if p.Name == name {
			if old, err = policies.Parse(name, p.Text); err != nil {
				old = policies.Policy{Name: name, Text: p.Text}
			}
		}
	}
	if text != "" {
		if next, err = policies.Parse(name, text); err != nil {
			return []protocol.Text{both("Attention\u00a0: ce nœud ne peut pas lire la politique proposée (%v). Si elle est adoptée, il refusera toute audience.",
				"Beware: this node cannot read the proposed policy (%v). If it is adopted, it will refuse every audience.", err)}, nil
		}
	}
	diff := policies.Diff(old, next)
	fr, en := diff.Words("fr"), diff.Words("en")
	said := make([]protocol.Text, len(fr))
	for i := range fr {
		said[i] = protocol.Text{FR: fr[i], EN: en[i]}
	}
	return said, diff.Lines
}

// figure is one number of a charter with its name.
type figure struct {
	fr, en   string
	from, to any
}

func differing(figures []figure) []protocol.Text {
	said := []protocol.Text{}
	for _, f := range figures {
		if fmt.Sprint(f.from) != fmt.Sprint(f.to) {
			said = append(said, changed(f.fr, f.en, f.from, f.to))
		}
	}
	if len(said) == 0 {
		said = append(said, both("Rien ne change.", "Nothing changes."))
	}
	return said
}

func floorFigures(from, to protocol.Floors) []figure {
	return []figure{
		{"membres qui doivent connaître une personne, au moins", "members that must know a person, at least", from.MinMembers, to.MinMembers},
		{"participants d'une ronde, au moins", "participants of a round, at least", from.MinParticipants, to.MinParticipants},
		{"plus petite taille publiée", "smallest published size", from.MinSize, to.MinSize},
		{"variance du bruit, au moins", "variance of the noise, at least", from.MinVariance, to.MinVariance},
		{"coût d'une ronde, au plus, en rho", "cost of a round, at most, in rho", from.MaxRoundCost, to.MaxRoundCost},
	}
}

func floorChanges(from, to protocol.Floors) []protocol.Text {
	said := differing(floorFigures(from, to))
	if from.Lowers(to) {
		said = append(said, both("La protection des personnes diminue\u00a0: c'est un vote spécial.", "People are less protected: this takes a special vote."))
	}
	return said
}

func stewardChanges(before governance.View, roll protocol.StewardRoll) []protocol.Text {
	from, threshold := "–", 0
	if before.Stewards != nil {
		from, threshold = memberList(before.Stewards.Members), before.Stewards.Threshold
	}
	said := []protocol.Text{changed("gardiens de clé", "key stewards", from, memberList(roll.Members))}
	if threshold != roll.Threshold {
		said = append(said, changed("combien doivent agir ensemble", "how many must act together", threshold, roll.Threshold))
	}
	return said
}

// epochChanges say what a new key asks of everybody.
func epochChanges(before governance.View, start protocol.EpochStart) []protocol.Text {
	until := start.Until.Time().UTC().Format("2006-01-02 15:04 MST")
	return []protocol.Text{
		changed("époque de clé", "key epoch", before.Epoch, before.Epoch+1),
		both("Les gardiens de clé en font une autre, puis chaque nœud refait ses jetons en arrière-plan. Les rondes continuent sous l'ancienne clé tant que tous leurs participants n'ont pas fini.",
			"The key stewards make another, then each node makes its tokens again in the background. Rounds go on under the former key until all their participants have finished."),
		both("L'ancienne clé est oubliée quand tous les membres ont fini, et au plus tard le %[1]s.",
			"The former key is forgotten once every member has finished, and on %[1]s at the latest.", until),
	}
}

// replicaChanges say whom the members give up, and what they trust meanwhile.
func replicaChanges(before protocol.Roll, sole protocol.SoleReplica) []protocol.Text {
	var from []string
	for _, r := range before.Replicas {
		from = append(from, string(r.ID))
	}
	return []protocol.Text{
		changed("répliques du coordonnateur", "the coordinator's replicas", strings.Join(from, ", "), string(sole.Replica)),
		both("Elle répond à %[1]s. Les autres ne signent plus rien, même si elles reviennent.",
			"It answers at %[1]s. The others sign nothing any more, even if they come back.", sole.Address),
		both("À ne voter que si les autres sont perdues pour de bon : jusqu'à ce que le bureau en ajoute, tout repose sur une seule machine.",
			"To be voted only if the others are lost for good: until the office adds some, everything rests on one machine."),
	}
}

func memberList(members []protocol.MemberID) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

func admission(signed protocol.Signed[protocol.Card]) []protocol.Text {
	card, err := protocol.OpenCard(signed)
	if err != nil {
		return []protocol.Text{Words(err)}
	}
	kind, ok := kindWords[card.Kind]
	if !ok {
		kind = protocol.Text{FR: string(card.Kind), EN: string(card.Kind)}
	}
	return []protocol.Text{{
		FR: fmt.Sprintf("%s, %s, du groupe %s. Elle signera avec ses propres clés, qu'elle a montrées.", card.Name.FR, kind.FR, card.Group),
		EN: fmt.Sprintf("%s, %s, of the group %s. It will sign with its own keys, which it has shown.", card.Name.EN, kind.EN, card.Group),
	}}
}

var kindWords = map[protocol.MemberKind]protocol.Text{
	protocol.KindHouse:    {FR: "maison", EN: "house"},
	protocol.KindFestival: {FR: "festival", EN: "festival"},
	protocol.KindMuseum:   {FR: "musée", EN: "museum"},
	protocol.KindCompany:  {FR: "compagnie", EN: "company"},
	protocol.KindMedia:    {FR: "média", EN: "media"},
}
