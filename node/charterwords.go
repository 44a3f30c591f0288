package node

import (
	"fmt"
	"strings"

	"coulisse/protocol"
	"coulisse/protocol/governance"
)

func charterChanges(from, to protocol.Charter) []protocol.Text {
	figures := []figure{
		{"nom", "name", from.Name.FR + " / " + from.Name.EN, to.Name.FR + " / " + to.Name.EN},
		{"vote ordinaire", "ordinary vote", votingRule(from.Ordinary, from), votingRule(to.Ordinary, to)},
		{"vote spécial", "special vote", votingRule(from.Special, from), votingRule(to.Special, to)},
		{"organisations qui appuient une proposition", "organisations that support a proposal", from.Cosigners, to.Cosigners},
		{"voix d'autres qu'un membre peut porter", "ballots of others that a member may carry", from.MaxProxies, to.MaxProxies},
		{"présidence", "chair", orNobody(from.Chair), orNobody(to.Chair)},
		{"collèges", "colleges", collegeWords(from), collegeWords(to)},
		{"budget accordé, en rho", "budget granted, in rho", from.Budget.Total, to.Budget.Total},
		{"exposant de delta", "exponent of delta", from.Budget.DeltaExponent, to.Budget.DeltaExponent},
		{"identifiants par membre et par époque de clé", "identifiers a member and key epoch", from.Allowance, to.Allowance},
	}
	return differing(append(figures, floorFigures(from.Floors, to.Floors)...))
}

func orNobody(id protocol.MemberID) string {
	if id == "" {
		return "–"
	}
	return string(id)
}

func collegeWords(c protocol.Charter) protocol.Text {
	if len(c.Colleges) == 0 {
		return protocol.Text{FR: "aucun", EN: "none"}
	}
	var fr, en []string
	for _, college := range c.Colleges {
		var kindsFR, kindsEN []string
		for _, kind := range college.Kinds {
			said := KindWords(kind)
			kindsFR, kindsEN = append(kindsFR, said.FR), append(kindsEN, said.EN)
		}
		fr = append(fr, fmt.Sprintf("%s (%s)", college.Name.FR, strings.Join(kindsFR, ", ")))
		en = append(en, fmt.Sprintf("%s (%s)", college.Name.EN, strings.Join(kindsEN, ", ")))
	}
	return protocol.Text{FR: strings.Join(fr, "\u00a0; "), EN: strings.Join(en, "; ")}
}

// votingRule says when a vote carries.
func votingRule(r protocol.VotingRule, c protocol.Charter) protocol.Text {
	said := both("quorum de %d\u00a0%%", "quorum of %d%%", r.QuorumPercent)
	also := func(t protocol.Text) { said = protocol.Text{FR: said.FR + ", " + t.FR, EN: said.EN + ", " + t.EN} }
	if r.ExpressedQuorum {
		also(both("sans compter les abstentions", "abstentions not counted"))
	}
	if 2*r.Numerator > r.Denominator {
		also(both("%d/%d des voix exprimées pour", "%d/%d of the votes expressed for", r.Numerator, r.Denominator))
	} else {
		also(both("plus de voix pour que contre", "more for than against"))
	}
	if r.EachCollege {
		also(both("et dans chaque collège", "and so in each college"))
	}
	if r.CastingVote {
		also(both("%[1]s tranche en cas d'égalité", "%[1]s settles a tie", c.Chair))
	}
	open := r.Open()
	also(protocol.Text{FR: "ouvert " + open.FR, EN: "open for " + open.EN})
	return said
}

func workerChanges(before governance.View, roll protocol.WorkerRoll) []protocol.Text {
	from := "–"
	if before.Workers != nil {
		from = memberList(before.Workers.Members())
	}
	return []protocol.Text{changed("dépositaires de parts", "share workers", from, memberList(roll.Members()))}
}

func feeChanges(before governance.View, fees protocol.Fees) []protocol.Text {
	was := map[protocol.MemberKind]protocol.Text{}
	if before.Fees != nil {
		for _, f := range before.Fees.Yearly {
			was[f.Kind] = Money(f.Cents)
		}
	}
	said := []protocol.Text{}
	for _, f := range fees.Yearly {
		from, ok := was[f.Kind]
		if !ok {
			from = both("–", "–")
		}
		kind := KindWords(f.Kind)
		said = append(said, changed(kind.FR+", par an", kind.EN+", a year", from, Money(f.Cents)))
	}
	return said
}

// Money is an amount of the co-operative's currency, in each language's form.
func Money(cents int64) protocol.Text {
	return both("%d,%02d\u00a0$", "$%d.%02d", cents/100, cents%100)
}

// KindWords names a kind of member.
func KindWords(kind protocol.MemberKind) protocol.Text {
	if said, ok := kindWords[kind]; ok {
		return said
	}
	return protocol.Text{FR: string(kind), EN: string(kind)}
}
