package demo

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"coulisse/node"
	"coulisse/protocol"
	"coulisse/protocol/federation"
)

var (
	tokenTitle = text("Faire les jetons", "Make the tokens")
	tokenTale  = text(
		"Pour chaque personne qui a consenti à la mise en commun, deux gardiens évaluent un identifiant masqué qu’ils ne peuvent pas lire, et prouvent leur réponse. Le membre en tire un jeton, le même chez tous ceux qui connaissent la personne. Il le garde scellé et ne l’envoie jamais.",
		"For each person who consented to pooling, two stewards evaluate a blinded identifier that they cannot read, and prove their answer. The member makes a token of it, the same wherever the person is known. It keeps the token sealed and never sends it.")

	poolTitle = text("Mettre l’audience en commun", "Pool the audience")
	poolTale  = text(
		"L’Agora mouvante demande\u00a0: combien de gens sont allés à la danse contemporaine dans au moins deux des six maisons? L’Écho de l’Estran ajoute tous ses lecteurs et apprendra lesquels en sont. Chaque nœud juge la demande, puis envoie des pseudonymes qui ne servent qu’à ce calcul.",
		"The Moving Agora asks: how many people went to contemporary dance in at least two of the six houses? L’Écho de l’Estran adds all its readers and will learn which of them did. Each node judges the request, and then sends pseudonyms that serve this computation only.")

	checkTitle = text("Vérifier", "Check")
	checkTale  = text(
		"Le résultat s’exporte avec ses preuves. Qui connaît l’empreinte de la fédération vérifie le tout sans réseau et sans croire personne.",
		"The result is exported with its proofs. Whoever knows the federation’s hash checks all of it without a network, and without believing anybody.")

	peopleTitle = text("Annoncer", "Advertise")
	peopleTale  = text(
		"Le journal a reçu une étiquette pour chacun de ses propres lecteurs, et pour personne d’autre. Il montre la campagne à ceux qui, en plus, ont consenti à l’activation.",
		"The newspaper has received one label for each of its own readers, and for nobody else. It shows the campaign to those who have also consented to activation.")
)

//go:embed audience.yaml
var audienceText []byte

const (
	fileAudience = "audience.yaml"
	dirRecord    = "record"
	atLeast      = 2 // as audience.yaml says
)

func (s *story) awaitTokens(ctx context.Context) error {
	var total int64
	err := await(ctx, func(ctx context.Context) (bool, error) {
		var done int64
		total = 0
		for _, node := range s.f.Nodes {
			status, err := s.f.ask(protocol.MemberID(node.Name)).Status(ctx)
			if err != nil {
				return false, err
			}
			done, total = done+status.Tokens.Done, total+status.Tokens.Total
		}
		s.progress(text("%s jetons sur %s", "%s of %s tokens"), done, total)
		return done >= total, nil
	})
	if err != nil {
		return err
	}
	s.counted(text("%s jetons", "%s tokens"), total)
	s.done(text("%s jetons, chacun demandé une fois et débité de l’allocation de son membre", "%s tokens, each asked for once and debited from its member’s allowance"), total)
	return nil
}

// preview is what the initiator sees before anything leaves its node.
func (s *story) preview(ctx context.Context) error {
	if err := os.WriteFile(s.path(fileAudience), audienceText, 0o600); err != nil {
		return err
	}
	draft, err := read[node.Draft](ctx, s.f, "audience", "propose", fileAudience, "--dir", string(initiator))
	if err != nil {
		return err
	}
	if !draft.Decision.Allowed || len(draft.Own) != 1 {
		return errors.New("the policies do not allow the audience: " + draft.Decision.Refusal().EN)
	}
	s.done(text("Aperçu chez L’Agora mouvante\u00a0: %s de ses gens; rho = %s sur %s qui restent; les politiques le permettent",
		"Preview at The Moving Agora: %s of its own people; rho = %s of %s left; the policies allow it"),
		draft.Own[0].People, rho(draft.Cost, s.screen.lang), rho(draft.Left, s.screen.lang))
	return nil
}

func (s *story) pool(ctx context.Context) error {
	_, err := s.f.shell.run(ctx, func(line string) { s.screen.progress(line) },
		"audience", "run", fileAudience, "--dir", string(initiator))
	if err != nil {
		return err
	}
	if err := s.learnResult(ctx); err != nil {
		return err
	}
	size := s.outcome.Result.Size
	s.counted(text("%s sources", "%s sources"), len(s.outcome.Result.Sources))
	if size.Suppressed != "" {
		s.done(text("La taille n’est pas publiée\u00a0: elle ne dépasse pas nettement le plancher", "The size is not published: it is not clearly above the floor"))
		return nil
	}
	s.done(text("Environ %s personnes, entre %s et %s (95\u00a0%%)", "About %s people, between %s and %s (95%%)"), size.Value, size.Low, size.High)
	return nil
}

// learnResult reads the round as the newspaper's node has it, once it has its
// labels.
func (s *story) learnResult(ctx context.Context) error {
	rounds, err := s.f.ask(initiator).Audiences(ctx)
	if err != nil {
		return err
	}
	s.outcome.Round = rounds[0].Round // the latest
	var page node.RoundPage
	err = await(ctx, func(ctx context.Context) (bool, error) {
		s.progress(text("Le journal recueille ses étiquettes", "The newspaper collects its labels"))
		var err error
		page, err = s.f.ask(newspaper).Audience(ctx, string(s.outcome.Round))
		return page.Stage == federation.Closed && page.People != nil, ignoreFault(err)
	})
	if err != nil {
		return err
	}
	s.outcome.Labels.Pooled = int(*page.People)
	s.outcome.Result.Size = *page.Size
	for _, part := range page.Parts {
		s.outcome.Result.Sources = append(s.outcome.Result.Sources, protocol.SourceFigure{Source: part.Source, Figure: *part.Figure})
	}
	return nil
}

// check has another member than the one that asked export the record, and
// verifies it from the federation's hash alone.
func (s *story) check(ctx context.Context) error {
	if _, err := s.f.as(ctx, "moulin-vert", "audience", "export", string(s.outcome.Round), "--out", dirRecord); err != nil {
		return err
	}
	s.done(text("Diffusion du Moulin-Vert exporte le résultat et sa preuve", "Moulin-Vert Presents exports the result and its proof"))
	said, err := s.f.Run(ctx, "audience", "verify", filepath.Join(dirRecord, string(s.outcome.Round)+".proof.json"),
		"--federation", s.outcome.Federation.String())
	if err != nil {
		return err
	}
	s.screen.quote(said)
	s.counted(text("%s fichiers", "%s files"), 3)
	s.done(text("Vérifié hors ligne, depuis l’empreinte seule", "Verified offline, from the hash alone"))
	return nil
}

func (s *story) listPeople(ctx context.Context) error {
	people, err := s.f.as(ctx, newspaper, "audience", "people", string(s.outcome.Round))
	if err != nil {
		return err
	}
	s.outcome.Labels.Addressed = strings.Count(people, "\n")
	s.counted(text("%s lecteurs", "%s readers"), s.outcome.Labels.Addressed)
	s.done(text("%s lecteurs sont de l’audience; L’Écho de l’Estran peut montrer la campagne à %s d’entre eux",
		"%s readers are in the audience; L’Écho de l’Estran may show the campaign to %s of them"), s.outcome.Labels.Pooled, s.outcome.Labels.Addressed)
	return nil
}
