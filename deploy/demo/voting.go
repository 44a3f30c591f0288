package demo

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"coulisse/deploy/demo/houses"
	"coulisse/node"
	"coulisse/policies"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

var (
	electTitle = text("Élire les gardiens de la clé", "Elect the key stewards")
	electTale  = text(
		"Les jetons sont faits sous une clé qui n’existe entière nulle part. Un vote spécial en confie une part à chacune de trois maisons, dont deux doivent agir ensemble. Une organisation propose, une deuxième appuie, chacune vote avec sa propre clé, et chaque nœud recompte les bulletins lui-même.",
		"Tokens are made under a key that exists whole nowhere. A special vote gives a share of it to each of three houses, two of which must act together. One organisation proposes, a second cosigns, each votes with its own key, and every node counts the ballots itself.")

	policyTitle = text("Voter les politiques", "Vote the policies")
	policyTale  = text(
		"Ce que les membres peuvent calculer ensemble est écrit dans des politiques. Celles-ci viennent avec le programme, mais aucune n’est en vigueur avant un vote; chaque nœud applique ensuite celles dont il a lui-même compté les voix.",
		"What the members may compute together is written in policies. These come with the program, but none is in force before a vote; each node then applies those whose votes it has counted itself.")
)

var stewards = []protocol.MemberID{"agora-mouvante", "grand-confluent", "theatre-anse-grise"}

const threshold = 2

// motion is a proposal with how the members feel about it: those who are not
// named vote for it.
type motion struct {
	by, second protocol.MemberID
	title      protocol.Text
	reason     protocol.Text
	effect     []string
	dissent    map[protocol.MemberID]protocol.Choice
}

func election() motion {
	var names []string
	for _, id := range stewards {
		names = append(names, string(id))
	}
	return motion{
		by: "grand-confluent", second: "moulin-vert",
		title: text("Élire trois gardiens de clé", "Elect three key stewards"),
		reason: text("Trois maisons de propriétaires différents, dont une au moins est toujours ouverte.",
			"Three houses of different owners, of which one at least is always open."),
		effect: []string{"--elect-stewards", strings.Join(names, ","), "--threshold", fmt.Sprint(threshold)},
	}
}

// adoptions are the shipped policies. Not everybody agrees with all of them,
// and who will gain from one abstains.
func adoptions() []motion {
	reasons := map[protocol.PolicyName]protocol.Text{
		"pooled-audiences": text("Compter ensemble ce qu’aucune ne peut compter seule.", "To count together what none can count alone."),
		"activation":       text("Annoncer à qui l’a accepté, chez qui le connaît déjà.", "To advertise to those who agreed, with whom they are known already."),
		"no-singling-out":  text("Qu’une étiquette ne désigne jamais une maison ni une soirée.", "That a label never names a house or an evening."),
	}
	dissents := map[protocol.PolicyName]map[protocol.MemberID]protocol.Choice{
		"activation": {"moulin-vert": protocol.Against, newspaper: protocol.Abstain},
	}
	var motions []motion
	for i, policy := range policies.Shipped() {
		motions = append(motions, motion{
			by: houses.All()[i].ID, second: houses.All()[i+1].ID,
			title: policy.Title, reason: reasons[policy.Name],
			effect:  []string{"--set-policy", string(policy.Name)},
			dissent: dissents[policy.Name],
		})
	}
	return motions
}

func (s *story) elect(ctx context.Context) error {
	decided, err := s.carry(ctx, election())
	if err != nil {
		return err
	}
	var names []string
	for _, id := range stewards {
		names = append(names, s.nameOf(id))
	}
	s.done(text("Décision %s\u00a0: %s, par %s voix contre %s", "Decision %s: %s, by %s votes to %s"),
		decided.Decision, listed(names, s.screen.lang), decided.Tally.For, decided.Tally.Against)
	return nil
}

func (s *story) awaitKey(ctx context.Context) error {
	s.progress(text("Les gardiens tiennent la cérémonie de la clé", "The stewards hold the key ceremony"))
	err := await(ctx, func(ctx context.Context) (bool, error) {
		status, err := s.f.ask(stewards[0]).Status(ctx)
		return status.Stewards.Ready, err
	})
	if err != nil {
		return err
	}
	s.counted(text("%s bulletins", "%s ballots"), len(houses.All()))
	s.done(text("La clé est faite\u00a0: chaque gardien a vérifié sa part, et tous les nœuds la clé publique",
		"The key is made: each steward has checked its share, and every node the public key"))
	return nil
}

func (s *story) adopt(ctx context.Context) error {
	say := func(fr, en string) string { return s.screen.say(text(fr, en)) }
	t := &table{columns: []column{
		right("№"), left(say("Politique", "Policy")), right(say("Pour", "For")), right(say("Contre", "Against")), right(say("Abst.", "Abst.")),
	}}
	ballots := 0
	for _, m := range adoptions() {
		decided, err := s.carry(ctx, m)
		if err != nil {
			return err
		}
		tally := decided.Tally
		ballots += tally.For + tally.Against + tally.Abstain
		t.add(fmt.Sprint(decided.Decision), decided.Title.In(s.screen.lang), fmt.Sprint(tally.For), fmt.Sprint(tally.Against), fmt.Sprint(tally.Abstain))
	}
	s.screen.table(t)
	s.counted(text("%s bulletins", "%s ballots"), ballots)
	s.done(text("Trois politiques en vigueur dans sept nœuds", "Three policies in force in seven nodes"))
	return nil
}

// carry proposes a motion, has it cosigned, has everybody vote, and returns how
// it was decided.
func (s *story) carry(ctx context.Context, m motion) (node.ProposalLine, error) {
	s.progress(text("%s propose\u00a0: %s", "%s proposes: %s"), s.nameOf(m.by), m.title)
	args := append([]string{"proposal", "new", "--title-fr", m.title.FR, "--title-en", m.title.EN,
		"--reason-fr", m.reason.FR, "--reason-en", m.reason.EN, "--closes", voteLength}, m.effect...)
	if _, err := s.f.as(ctx, m.by, args...); err != nil {
		return node.ProposalLine{}, err
	}
	id, err := s.proposed(ctx, m)
	if err != nil {
		return node.ProposalLine{}, err
	}
	if err := s.seen(ctx, m.second, id); err != nil {
		return node.ProposalLine{}, err
	}
	if _, err := s.f.as(ctx, m.second, "proposal", "cosign", id); err != nil {
		return node.ProposalLine{}, err
	}
	if err := s.vote(ctx, m, id); err != nil {
		return node.ProposalLine{}, err
	}
	return s.decided(ctx, m.by, id)
}

// voteLength is far longer than the vote will take: it closes when everybody
// has voted.
const voteLength = "10m"

// proposed finds the number under which the member's node lists its motion.
func (s *story) proposed(ctx context.Context, m motion) (string, error) {
	list, err := s.f.ask(m.by).Proposals(ctx)
	if err != nil {
		return "", err
	}
	for _, line := range list {
		if line.By == m.by && line.Title == m.title {
			return line.ID.String(), nil
		}
	}
	return "", fmt.Errorf("%s does not list what it has just proposed", m.by)
}

// seen waits until a member's node has read of a proposal in the log.
func (s *story) seen(ctx context.Context, member protocol.MemberID, id string) error {
	return await(ctx, func(ctx context.Context) (bool, error) {
		_, err := s.f.ask(member).Proposal(ctx, id)
		return err == nil, ignoreFault(err)
	})
}

func (s *story) vote(ctx context.Context, m motion, id string) error {
	return everywhere(ctx, func(ctx context.Context, _ int, house houses.House) error {
		if err := s.open(ctx, house.ID, id); err != nil {
			return err
		}
		choice := cmp.Or(m.dissent[house.ID], protocol.For)
		s.progress(text("%s vote", "%s votes"), house.Name)
		_, err := s.f.as(ctx, house.ID, "proposal", "vote", id, string(choice))
		return err
	})
}

// open waits until a member's node knows that the vote is open.
func (s *story) open(ctx context.Context, member protocol.MemberID, id string) error {
	return await(ctx, func(ctx context.Context) (bool, error) {
		page, err := s.f.ask(member).Proposal(ctx, id)
		return page.State == federation.ProposalOpen, ignoreFault(err)
	})
}

// decided waits until every node has counted the ballots.
func (s *story) decided(ctx context.Context, by protocol.MemberID, id string) (node.ProposalLine, error) {
	var page node.ProposalPage
	for _, house := range houses.All() {
		err := await(ctx, func(ctx context.Context) (bool, error) {
			s.progress(text("%s compte les bulletins", "%s counts the ballots"), house.Name)
			var err error
			page, err = s.f.ask(house.ID).Proposal(ctx, id)
			return page.Outcome != nil, ignoreFault(err)
		})
		if err != nil {
			return page.ProposalLine, err
		}
		if !page.Outcome.Carried || !page.Outcome.Recounted {
			return page.ProposalLine, fmt.Errorf("%s counts that the proposal of %s was not carried", house.ID, by)
		}
	}
	s.lastProposal = id
	return page.ProposalLine, nil
}
