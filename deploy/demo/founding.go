package demo

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"path/filepath"
	"time"

	"coulisse/deploy/demo/houses"
	"coulisse/protocol"
)

var (
	opening      = text("Coulisse %s · une fédération de démonstration", "Coulisse %s · a demonstration federation")
	introduction = text(
		"Six maisons et un journal local cherchent combien de gens sont allés voir de la danse contemporaine dans au moins deux des maisons, sans montrer qui ils connaissent\u00a0: ni entre eux, ni au coordonnateur. Tout le monde ici est inventé. Trois répliques et sept nœuds tournent sur cette machine, avec les commandes que les membres emploient vraiment; rien n’en sort.",
		"Six houses and a local newspaper find out how many people went to contemporary dance in at least two of the houses, without showing whom they know: not to each other, and not to the coordinator. Everybody here is invented. Three replicas and seven nodes run on this machine, with the commands that members really use; nothing leaves it.")

	foundTitle = text("Fonder la fédération", "Found the federation")
	foundTale  = text(
		"Chaque organisation crée ses propres clés et signe la charte. L’empreinte de ce que toutes ont signé nomme la fédération\u00a0: un nœud ne parle à aucun coordonnateur qui ne peut la montrer, et ne suit aucun journal qui ne commence par elle.",
		"Each organisation makes its own keys and signs the charter. The hash of what they have all signed names the federation: a node speaks to no coordinator that cannot show it, and follows no log that does not begin with it.")
)

//go:embed charter.yaml
var charterText []byte

// Files that the founders hand round.
const (
	fileCharter  = "charter.yaml"
	fileGenesis  = "genesis.json"
	fileFounding = "founding.json"
)

func (s *story) makeKeys(ctx context.Context) error {
	s.progress(text("Le bureau prépare le coordonnateur", "The office sets up the coordinator"))
	args := []string{"coordinator", "init", dirCoordinator, "--namespace", "demo"}
	for i, address := range s.f.addresses() {
		args = append(args, "--replica", s.f.Replicas[i].Name+"="+address)
	}
	if _, err := s.f.Run(ctx, args...); err != nil {
		return err
	}
	err := everywhere(ctx, func(ctx context.Context, _ int, house houses.House) error {
		s.progress(text("%s crée ses clés", "%s makes its keys"), house.Name)
		_, err := s.f.as(ctx, house.ID, "node", "init", "--id", string(house.ID),
			"--name-fr", house.Name.FR, "--name-en", house.Name.EN, "--kind", string(house.Kind))
		return err
	})
	if err == nil {
		s.done(text("Sept organisations ont leurs clés, trois répliques les leurs", "Seven organisations have their keys, three replicas theirs"))
	}
	return err
}

func (s *story) signCharter(ctx context.Context) error {
	if err := os.WriteFile(s.path(fileCharter), charterText, 0o600); err != nil {
		return err
	}
	draft := []string{"charter", "draft", "--charter", fileCharter, "--coordinator", filepath.Join(dirCoordinator, "coordinator.json"), "--out", fileGenesis}
	found := []string{"charter", "found", fileGenesis, "--out", fileFounding}
	for _, house := range houses.All() {
		draft = append(draft, filepath.Join(string(house.ID), "card.json"))
		found = append(found, assentOf(house.ID))
	}
	if _, err := s.f.Run(ctx, draft...); err != nil {
		return err
	}
	err := everywhere(ctx, func(ctx context.Context, _ int, house houses.House) error {
		s.progress(text("%s signe la charte", "%s signs the charter"), house.Name)
		_, err := s.f.as(ctx, house.ID, "node", "assent", fileGenesis, "--out", assentOf(house.ID))
		return err
	})
	if err != nil {
		return err
	}
	if _, err := s.f.Run(ctx, found...); err != nil {
		return err
	}
	if err := s.learnFederation(); err != nil {
		return err
	}
	s.done(text("Toutes ont signé la charte\u00a0: c’est la fédération %s", "All have signed the charter: it is the federation %s"), s.outcome.Federation.Short())
	return nil
}

func assentOf(id protocol.MemberID) string { return "assent-" + string(id) + ".json" }

func (s *story) path(name string) string { return filepath.Join(s.f.Dir, name) }

// learnFederation computes the federation's name from what was signed.
func (s *story) learnFederation() error {
	signed, err := os.ReadFile(s.path(fileFounding))
	if err != nil {
		return err
	}
	founding, err := protocol.DecodeFile[protocol.Founding](signed)
	if err != nil {
		return err
	}
	s.outcome.Federation, err = founding.Genesis.ID()
	return err
}

func (s *story) startReplicas(ctx context.Context) error {
	s.f.release()
	for _, replica := range s.f.Replicas {
		replica.args = append(replica.args, "--founding", fileFounding)
		if err := s.f.Start(replica); err != nil {
			return err
		}
	}
	s.progress(text("Les répliques élisent celle qui mène", "The replicas elect their leader"))
	err := await(ctx, func(ctx context.Context) (bool, error) {
		leader, err := s.f.Leader(ctx)
		return leader != nil, err
	})
	if err == nil {
		s.done(text("Trois répliques du coordonnateur tiennent le journal", "Three replicas of the coordinator keep the log"))
	}
	return err
}

// enrol gives every node its token and starts it.
func (s *story) enrol(ctx context.Context) error {
	err := everywhere(ctx, func(ctx context.Context, i int, house houses.House) error {
		s.progress(text("%s inscrit son nœud", "%s enrols its node"), house.Name)
		if err := s.enrolOne(ctx, house.ID); err != nil {
			return err
		}
		return s.f.Start(s.f.Nodes[i])
	})
	if err != nil {
		return err
	}
	err = everywhere(ctx, func(ctx context.Context, _ int, house houses.House) error {
		return await(ctx, func(ctx context.Context) (bool, error) {
			status, err := s.f.ask(house.ID).Status(ctx)
			return status.Log.Size > 0, ignoreNotRunning(err)
		})
	})
	if err != nil {
		return err
	}
	s.counted(text("%s membres", "%s members"), len(s.f.Nodes))
	s.done(text("Sept nœuds inscrits, chacun avec un jeton qui ne sert qu’une fois", "Seven nodes enrolled, each with a token that works once"))
	return nil
}

// enrolOne asks for another token when an answer was lost with a leader: the
// first may have been used.
func (s *story) enrolOne(ctx context.Context, id protocol.MemberID) error {
	file := "token-" + string(id)
	attempt := func(ctx context.Context) error {
		if err := s.f.shell.into(ctx, file, "coordinator", "token", string(id), "--dir", dirOffice); err != nil {
			return err
		}
		_, err := s.f.as(ctx, id, "node", "enroll", "--token-file", file)
		return errors.Join(err, os.Remove(s.path(file)))
	}
	return again(ctx, attempt)
}

// stubborn is how long somebody at a keyboard would try.
const stubborn = 20 * time.Second

// again repeats what a command refused, for a while.
func again(ctx context.Context, attempt func(context.Context) error) error {
	until := time.Now().Add(stubborn)
	return await(ctx, func(ctx context.Context) (bool, error) {
		err := attempt(ctx)
		if time.Now().Before(until) {
			return err == nil, ignoreRefusal(err)
		}
		return true, err
	})
}

// ignoreNotRunning passes over a node that has not opened its socket yet.
func ignoreNotRunning(err error) error {
	var worded protocol.Refusal
	if errors.As(err, &worded) {
		return nil
	}
	return ignoreFault(err)
}

// ignoreRefusal passes over a command that could not succeed yet.
func ignoreRefusal(err error) error {
	var refused *CommandError
	if errors.As(err, &refused) && refused.Exit == 1 {
		return nil
	}
	return err
}
