package coordinator

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"coulisse/coordinator/consensus"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// A replica believes the newest roll that it knows, and finds it in its folder
// before it has read its log again. One that has left counts until consensus has
// let it go.
func TestWhomAReplicaBelieves(t *testing.T) {
	town := federationtest.Found(t, 3)
	own, dir := protocol.HashOf([]byte("own")), t.TempDir()
	open := func() *trust {
		t.Helper()
		opened, err := openTrust(dir, "r9", own, town.Founding.Genesis)
		town.Must(err)
		return opened
	}
	tr := open()
	first := town.Founding.Genesis.Replicas[0]
	believes := func(what string, shown protocol.Hash, want bool) {
		t.Helper()
		if tr.isReplica(shown) != want {
			t.Error(what)
		}
	}
	believes("the genesis's replica", first.TLS, true)
	believes("itself, before it is on the roll", own, true)
	believes("nobody else", protocol.HashOf([]byte("x")), false)
	if _, ok := tr.own(); ok {
		t.Error("it is not on the roll yet")
	}

	// In the log, another takes the first one's place.
	signing, err := key.Generate[key.Replica]()
	town.Must(err)
	next := protocol.Replica{
		ID: "r9", Key: signing.Public(), TLS: own, Authority: protocol.HashOf([]byte("a")), Address: "nine.example.org:7000",
	}
	roll := protocol.Roll{Number: 1, Rules: protocol.FirstRules, Replicas: []protocol.Replica{next}}
	id, err := roll.ID()
	town.Must(err)
	endorsed := federationtest.SignReplica(town, protocol.Endorsement{Roll: id})
	town.Must(federationtest.State(town, protocol.RollChange{Roll: roll, Endorsements: []protocol.Signed[protocol.Endorsement]{endorsed}}))
	tr.view = func(fn func(federation.Tx) error) error { return fn(&town.Log) }
	believes("who has just left the roll", first.TLS, true)
	if !tr.roll().Certifies(next.Authority) || tr.roll().Certifies(first.Authority) {
		t.Error("the authority of who has left counts, or that of who has come does not")
	}
	counted := []consensus.Member{{Peer: consensus.Peer{ID: first.ID}}, {Peer: consensus.Peer{ID: "r9"}}}
	town.Must(tr.keep(counted))
	tr = open() // and has read nothing
	believes("who has left, and consensus counts on", first.TLS, true)
	if r, ok := tr.own(); !ok || r != next || tr.roll().Number != 1 {
		t.Errorf("the folder kept %+v", tr.roll())
	}

	// Once consensus has let it go, it is forgotten.
	tr.view = func(fn func(federation.Tx) error) error { return fn(&town.Log) }
	tr.hear(protocol.Roll{Number: 0})
	if tr.roll().Number != 1 {
		t.Error("an older roll was taken")
	}
	town.Must(tr.keep(counted[1:]))
	believes("who is gone", first.TLS, false)
	tr = open()
	believes("who is gone for good", first.TLS, false)
	if err := os.WriteFile(filepath.Join(dir, fileRoll), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTrust(dir, "r9", own, town.Founding.Genesis); !errors.Is(err, ErrFolder) {
		t.Error("a damaged file:", err)
	}
}
