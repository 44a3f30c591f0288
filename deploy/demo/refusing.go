package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strings"

	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
)

var (
	refuseTitle = text("Refuser", "Refuse")
	refuseTale  = text(
		"Deux choses qui ne doivent pas marcher. D’abord, une audience dans une seule maison\u00a0: le journal apprendrait qui va chez elle. Ensuite, une décision où quelqu’un a retourné un bulletin.",
		"Two things that must not work. First, an audience in one house alone: the newspaper would learn who goes there. Then, a decision in which somebody has turned a ballot round.")
)

//go:embed one-house.yaml
var oneHouseText []byte

const (
	fileOneHouse = "one-house.yaml"
	fileChain    = "decisions.json"
	fileForged   = "decisions-forged.json"
)

// errNotRefused: what the demonstration did wrong was let through.
var errNotRefused = errors.New("this should have been refused, and was not: do not use this version")

func (s *story) refuseHouse(ctx context.Context) error {
	if err := os.WriteFile(s.path(fileOneHouse), oneHouseText, 0o600); err != nil {
		return err
	}
	said, err := s.refusedBy(s.f.as(ctx, initiator, "audience", "run", fileOneHouse))
	if err != nil {
		return err
	}
	s.screen.refused(s.screen.say(text("Le nœud de L’Agora mouvante ne l’envoie pas\u00a0:", "The Moving Agora’s own node does not send it:")))
	s.screen.quote(said)
	return s.cheat(ctx)
}

// refusedBy takes what a command said when it refused, and nothing else.
func (s *story) refusedBy(_ string, err error) (string, error) {
	var refused *CommandError
	switch {
	case err == nil:
		return "", errNotRefused
	case errors.As(err, &refused) && refused.Exit == 1:
		return refused.Said, nil
	}
	return "", err
}

// cheat has a member alter its program so that its own node does not stand in
// the way, and shows who does.
func (s *story) cheat(ctx context.Context) error {
	c, err := newCheat(s.path(string(initiator)), initiator)
	if err != nil {
		return fmt.Errorf("play a member that cheats: %w", err)
	}
	defer c.close()
	alone, err := c.alter(s.outcome.Round, protocol.Rule{Source: protocol.SourceName(initiator)})
	if err != nil {
		return err
	}
	_, err = c.propose(ctx, alone)
	if !errors.Is(err, federation.ErrRefused) {
		return errors.Join(err, errNotRefused)
	}
	s.screen.refused(s.screen.say(text("Elle truque son programme et l’envoie quand même. Le coordonnateur répond\u00a0:",
		"It alters its program and sends it anyway. The coordinator answers:")))
	s.screen.quote(refusal.Words(err).In(s.screen.lang))
	return s.cheatMembers(ctx, c)
}

// cheatMembers asks what the charter allows and the policies do not: both
// houses of two would be named for certain by a label.
func (s *story) cheatMembers(ctx context.Context, c *cheat) error {
	pair := protocol.AtLeast{Of: []protocol.SourceName{protocol.SourceName(initiator), "grand-confluent"}, T: 2}
	both, err := c.alter(s.outcome.Round, protocol.Rule{AtLeast: &pair})
	if err != nil {
		return err
	}
	ref, err := c.propose(ctx, both)
	if err != nil {
		return err
	}
	if err := c.accept(ctx, ref); err != nil && !errors.Is(err, federation.ErrRefused) {
		return err
	}
	var page node.RoundPage
	err = await(ctx, func(ctx context.Context) (bool, error) {
		s.progress(text("Les autres nœuds jugent la demande", "The other nodes judge the request"))
		var err error
		page, err = s.f.ask(newspaper).Audience(ctx, string(ref.Round))
		return page.Stage.Ended() || page.Stage == federation.Published, ignoreFault(err)
	})
	if err != nil {
		return err
	}
	if page.Stage != federation.Refused {
		return errNotRefused
	}
	s.screen.refused(s.screen.say(text("Elle essaie à deux maisons nommées, ce que la charte permet. Un participant, %s, répond\u00a0:",
		"It tries with two houses by name, which the charter allows. A participant, %s, answers:"), s.nameOf(protocol.MemberID(page.By))))
	s.screen.quote(page.Reason.In(s.screen.lang))
	return nil
}

func (s *story) refuseBallot(ctx context.Context) error {
	if _, err := s.f.as(ctx, newspaper, "proposal", "export", s.lastProposal, "--out", fileChain); err != nil {
		return err
	}
	federation := s.outcome.Federation.String()
	if _, err := s.f.Run(ctx, "proposal", "verify", fileChain, "--federation", federation); err != nil {
		return err
	}
	exported, err := os.ReadFile(s.path(fileChain))
	if err != nil {
		return err
	}
	altered, what, err := forge(exported)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path(fileForged), altered, 0o600); err != nil {
		return err
	}
	said, err := s.refusedBy(s.f.Run(ctx, "proposal", "verify", fileForged, "--federation", federation))
	if err != nil {
		return err
	}
	s.screen.done(s.screen.say(text("La suite des décisions, telle que le journal l’exporte, se vérifie.", "The chain of decisions, as the newspaper exports it, verifies.")))
	s.screen.refused(s.screen.say(text("Le bulletin de %s sur la décision %s, retourné et signé d’une autre clé, le compte ajusté\u00a0:",
		"The ballot of %s on decision %s, turned round and signed with another key, with the count to match:"), s.nameOf(what.Voter), what.Decision))
	s.screen.quote(strings.TrimSpace(said))
	s.counted(text("%s refus", "%s refusals"), 4)
	return nil
}
