package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/command"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"
	"coulisse/protocol/record"

	"github.com/rogpeppe/go-internal/testscript"
	"go.yaml.in/yaml/v4"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coulisse": coulisse, "genesis": genesis, "alter": alter})
}

// coulisse is the program with this package's commands.
func coulisse() {
	lang := command.Language(os.Args[1:], os.Getenv)
	os.Exit(command.Execute(context.Background(), command.Root(lang, "test", Commands("test")...), lang))
}

// genesis writes a genesis of the cards that it is given.
func genesis() {
	g := protocol.Genesis{Charter: Charter(), At: 1_700_000_000_000}
	var replica protocol.Replica
	must(replica.Key.UnmarshalText([]byte("coulisse-replica:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE")))
	replica.ID, replica.TLS, replica.Authority = "r1", protocol.HashOf([]byte("tls")), protocol.HashOf([]byte("authority"))
	g.Replicas = []protocol.Replica{replica}
	for _, path := range os.Args[1:] {
		raw, err := os.ReadFile(path)
		must(err)
		card, err := protocol.DecodeFile[protocol.Signed[protocol.Card]](raw)
		must(err)
		g.Founders = append(g.Founders, card)
	}
	text, err := protocol.Indented(g)
	must(err)
	os.Stdout.Write(text)
}

// alter replaces the first occurrence of a text in a file.
func alter() {
	raw, err := os.ReadFile(os.Args[1])
	must(err)
	changed := bytes.Replace(raw, []byte(os.Args[2]), []byte(os.Args[3]), 1)
	if bytes.Equal(raw, changed) {
		panic("nothing to alter in " + os.Args[1])
	}
	must(os.WriteFile(os.Args[1], changed, 0o600))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func TestScripts(t *testing.T) {
	town, files := published(t)
	decisions, err := record.ChainOf(&town.Log, town.View().Decisions)
	town.Must(err)
	chain, err := protocol.Indented(decisions)
	town.Must(err)
	copied, proof := archived(t, town)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "en_CA.UTF-8")
			e.Setenv("COULISSE_DIR", "")
			e.Setenv("FEDERATION", town.Federation.String())
			e.Setenv("ROUND", string(files.CSV.Name[:32]))
			for _, f := range []record.File{files.CSV, files.JSON, files.Proof, {Name: "chain.json", Content: chain},
				{Name: "log.jsonl", Content: copied}, {Name: "entry.json", Content: proof}} {
				if err := os.WriteFile(filepath.Join(e.WorkDir, f.Name), f.Content, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// published is a round's files, made without any network.
func published(t *testing.T) (*Town, record.Files) {
	t.Helper()
	town := Found(t, 3).Keyed()
	r := town.Begin(town.Manifest(town.Members[0], town.Members[1]))
	town.Advance(r.ID, federation.Published)
	rec, err := record.Build(&town.Log, r.ID)
	town.Must(err)
	rec.Heading = SignReplica(town, protocol.Heading{Head: town.Head(), At: town.Now})
	s, err := rec.Verify(town.Federation)
	town.Must(err)
	files, err := rec.Files(s)
	town.Must(err)
	return town, files
}

// archived is a copy of the town's log and the proof of its second entry.
func archived(t *testing.T, town *Town) (copied, proof []byte) {
	t.Helper()
	o := checkpoint.OriginOf(town.View())
	note, err := checkpoint.Sign(o, town.Head(), town.Replica)
	town.Must(err)
	for _, m := range town.Members[:2] {
		c, err := checkpoint.Open(note, town.View())
		town.Must(err)
		note, err = c.Cosign(o, m.ID, m.Node, time.Unix(1_763_900_000, 0))
		town.Must(err)
	}
	c, err := checkpoint.Open(note, town.View())
	town.Must(err)
	var b bytes.Buffer
	town.Must(archive.Write(&b, c, func(fn func(federation.Tx) error) error { return fn(&town.Log) }))
	p, err := archive.Prove(&town.Log, 1, c)
	town.Must(err)
	proof, err = protocol.Indented(p)
	town.Must(err)
	return b.Bytes(), proof
}

// The example that help shows is a file that can be used.
func TestExampleFile(t *testing.T) {
	var tree map[string]any
	if err := yaml.Load([]byte(exampleFile), &tree); err != nil || tree["rule"] == nil {
		t.Fatal(err)
	}
}
