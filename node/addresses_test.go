package node

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"coulisse/node/coordclient"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
)

// A node believes the replicas of the newest roll that it knows: its log's, or
// that of a token that is newer than its copy of the log.
func TestWhichReplicasANodeBelieves(t *testing.T) {
	town := federationtest.Found(t, 3)
	f := newFolder(t)
	w, err := witness.Open(filepath.Join(f.Dir, dirLog), town.Federation)
	town.Must(err)
	defer func() { town.Must(w.Close()) }()
	client := coordclient.New(coordclient.Config{Addresses: []string{"127.0.0.1:1"}, Logger: slog.New(slog.DiscardHandler)})
	defer client.Close()
	n := &Node{
		House: &House{folder: f, logger: slog.New(slog.DiscardHandler)}, witness: w, client: client,
		membership: Membership{Federation: town.Federation, Route: route}, reissue: make(chan struct{}, 1),
	}
	n.certificate.Store(&tls.Certificate{Certificate: [][]byte{nil, []byte("the authority of before")}})
	n.way.Store(&n.membership.Route)

	genesis := town.Founding.Genesis.Replicas[0]
	read := func() {
		t.Helper()
		for _, e := range town.Entries[w.Size():] {
			raw, err := protocol.Canonical(e)
			town.Must(err)
			town.Must(w.Take(raw))
		}
		town.Must(n.followRoll(t.Context()))
	}
	if !n.trusts(route.Keys[0]) || n.trusts(genesis.TLS) {
		t.Error("before it has read anything, it goes by the token")
	}
	read()
	if !n.trusts(route.Keys[0]) || !n.trusts(genesis.TLS) || n.outdated() {
		t.Error("the genesis's roll has no addresses: the token's are right, and both speak of it")
	}

	// A roll in the log takes the token's place, is kept, and asks for a
	// certificate by an authority that is on it.
	rotated := protocol.Roll{Number: 1, Rules: protocol.FirstRules, Replicas: []protocol.Replica{genesis}}
	rotated.Replicas[0].Address = "one.example.org:7000"
	rotated.Replicas[0].Authority, rotated.Replicas[0].Former = protocol.HashOf([]byte("next")), genesis.Authority
	id, err := rotated.ID()
	town.Must(err)
	endorsed := federationtest.SignReplica(town, protocol.Endorsement{Roll: id})
	town.Must(federationtest.State(town, protocol.RollChange{Roll: rotated, Endorsements: []protocol.Signed[protocol.Endorsement]{endorsed}}))
	read()
	if n.trusts(route.Keys[0]) || !n.trusts(genesis.TLS) || !n.outdated() || len(n.reissue) != 1 {
		t.Error("it does not go by the roll in the log")
	}
	kept, err := f.Membership()
	if err != nil || kept.Route.Roll != 1 || !kept.Route.Lists(genesis.TLS) {
		t.Errorf("the folder keeps %+v %v", kept, err)
	}

	// A token of a later roll counts more than a log that is behind.
	later := route
	later.Roll = 5
	n.way.Store(&later)
	town.Must(n.followRoll(t.Context()))
	if !n.trusts(route.Keys[0]) || n.trusts(genesis.TLS) || n.outdated() || n.route().Roll != 5 {
		t.Error("an old copy of the log undoes a new token")
	}
	if _, err := f.openTLS(); !errors.Is(err, ErrNotEnrolled) {
		t.Error(err)
	}
}
