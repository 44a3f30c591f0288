package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"coulisse/crypto/key"
	"coulisse/crypto/seal"
	"coulisse/protocol"
	"coulisse/protocol/command"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"coulisse":   coulisse,
		"founders":   founders,
		"eventually": eventually,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "en_CA.UTF-8")
			for i := range 4 {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				e.Setenv(fmt.Sprintf("AT%d", i+1), l.Addr().String())
			}
			return nil
		},
	})
}

// coulisse is the program with this package's commands.
func coulisse() {
	lang := command.Language(os.Args[1:], os.Getenv)
	os.Exit(command.Execute(context.Background(), command.Root(lang, "test", Commands(lang, "test")...), lang))
}

// eventually runs a command until it succeeds.
func eventually() {
	deadline := time.Now().Add(20 * time.Second)
	for {
		cmd := exec.Command(os.Args[1], os.Args[2:]...)
		out, err := cmd.CombinedOutput()
		if err == nil || time.Now().After(deadline) {
			os.Stdout.Write(out)
			if err != nil {
				os.Exit(1)
			}
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// founders stands in for the founders' nodes: `founders card ID…` writes
// ID.card.json, `founders assent GENESIS ID…` writes ID.assent.json.
func founders() {
	if err := founder(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func founder(do string, args []string) error {
	if do == "card" {
		for _, id := range args {
			if err := writeCard(protocol.MemberID(id)); err != nil {
				return err
			}
		}
		return nil
	}
	g, err := readFile[protocol.Genesis](args[0])
	if err != nil {
		return err
	}
	federation, err := g.ID()
	if err != nil {
		return err
	}
	for _, id := range args[1:] {
		secret, err := os.ReadFile(id + ".key")
		if err != nil {
			return err
		}
		vote, err := key.ParsePrivate[key.Vote](secret)
		if err != nil {
			return err
		}
		signed, err := protocol.Sign(protocol.Signer[key.Vote]{Federation: federation, By: protocol.PartyID(id), Key: vote},
			protocol.Head{}, protocol.Assent{Genesis: federation})
		if err != nil {
			return err
		}
		if err := writeNew(id+".assent.json", signed); err != nil {
			return err
		}
	}
	return nil
}

func writeCard(id protocol.MemberID) error {
	vote, err := key.Generate[key.Vote]()
	if err != nil {
		return err
	}
	node, err := key.Generate[key.Node]()
	if err != nil {
		return err
	}
	envelope, err := seal.NewEnvelopeKey()
	if err != nil {
		return err
	}
	card := protocol.Card{
		ID: id, Name: protocol.Text{FR: "Maison " + string(id), EN: "House " + string(id)}, Kind: protocol.KindHouse,
		Group: string(id), Vote: vote.Public(), Node: node.Public(), Envelope: envelope.Public(),
	}
	signed, err := protocol.Sign(protocol.Signer[key.Vote]{By: protocol.PartyID(id), Key: vote}, protocol.Head{}, card)
	if err != nil {
		return err
	}
	if err := os.WriteFile(string(id)+".key", vote.Reveal(), 0o600); err != nil {
		return err
	}
	return writeNew(string(id)+".card.json", signed)
}

func TestEverySentenceIsInBothLanguages(t *testing.T) {
	for _, lang := range []string{command.French, command.English} {
		for _, cmd := range Commands(lang, "test") {
			for _, sub := range append(cmd.Commands(), cmd) {
				if sub.Short == "" {
					t.Errorf("%s has no description in %s", sub.CommandPath(), lang)
				}
			}
		}
	}
}
