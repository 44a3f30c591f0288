package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coulisse/crypto/dp"
	"coulisse/node/coordclient"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// stating is a leader that signs what its town's log is, and no more.
type stating struct {
	wire.UnimplementedCoordinatorServer
	// mu guards what the test changes and reads.
	mu       sync.Mutex
	note     []byte
	cosigned [][]byte
}

func (s *stating) Status(context.Context, *wire.StatusRequest) (*wire.StatusReply, error) {
	return &wire.StatusReply{State: "leader"}, nil
}

func (s *stating) Checkpoint(context.Context, *wire.CheckpointRequest) (*wire.CheckpointReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &wire.CheckpointReply{Note: s.note}, nil
}

func (s *stating) Cosign(_ context.Context, req *wire.CosignRequest) (*wire.CosignReply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cosigned = append(s.cosigned, req.GetNote())
	return &wire.CosignReply{}, nil
}

func (s *stating) handed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cosigned)
}

// state has it sign the present head of a town's log.
func (s *stating) state(town *federationtest.Town) {
	note, err := checkpoint.Sign(checkpoint.OriginOf(town.View()), town.Head(), town.Replica)
	town.Must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = note
}

// listen serves it on loopback and returns a client of it.
func (s *stating) listen(t *testing.T) *coordclient.Client {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: private})))
	wire.RegisterCoordinatorServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	client := coordclient.New(coordclient.Config{
		Addresses: []string{listener.Addr().String()}, Logger: slog.New(slog.DiscardHandler),
		TLS: func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots} },
	})
	t.Cleanup(client.Close)
	return client
}

// cosigner is the part of a member's node that cosigns, over the log in dir.
func cosigner(t *testing.T, dir string, town *federationtest.Town, client *coordclient.Client) *Node {
	t.Helper()
	m := town.Members[0]
	w, err := witness.Open(filepath.Join(dir, dirLog), town.Federation)
	town.Must(err)
	t.Cleanup(func() { _ = w.Close() })
	return &Node{
		House:      &House{folder: &Folder{Dir: dir, Card: m.Card, node: m.Node}, logger: slog.New(slog.DiscardHandler)},
		membership: Membership{Federation: town.Federation}, witness: w, client: client,
	}
}

func feed(t *testing.T, n *Node, entries []protocol.Entry) {
	t.Helper()
	for _, e := range entries {
		raw, err := protocol.Canonical(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.witness.Take(raw); err != nil {
			t.Fatal(err)
		}
	}
}

func grant(n dp.NanoRho) protocol.Effect {
	return protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: n}}
}

func TestANodeCosignsWhatItHasVerified(t *testing.T) {
	town, leader, dir := federationtest.Found(t, 3), &stating{}, t.TempDir()
	n := cosigner(t, dir, town, leader.listen(t))
	feed(t, n, town.Entries)
	leader.state(town)
	town.Must(n.cosign(t.Context()))
	if leader.handed() != 1 {
		t.Fatal("it was not cosigned")
	}
	c, err := checkpoint.Open(leader.cosigned[0], town.View())
	if s, ok := c.Cosigner("membre-01"); err != nil || !ok || time.Since(s.At.Time()) > time.Hour || c.Head != town.Head() {
		t.Fatalf("%+v, %v", c, err)
	}
	h, err := n.LogHead()
	if err != nil || h.Checkpoint.Head != town.Head() || len(h.Checkpoint.Cosigned) != 1 || h.Checkpoint.Members != 3 || len(h.Keys) != 1 {
		t.Fatalf("%+v, %v", h, err)
	}

	// The same one, with the node's own signature, is not signed again.
	leader.note = leader.cosigned[0]
	town.Must(n.cosign(t.Context()))
	// After a restart, and from a leader that is behind, nothing smaller is.
	earlier := leader.note
	read := len(town.Entries)
	town.Open(grant(1))
	feed(t, n, town.Entries[read:])
	leader.state(town)
	town.Must(n.cosign(t.Context()))
	if leader.handed() != 2 {
		t.Fatalf("cosigned %d times", leader.handed())
	}
	town.Must(n.witness.Close())
	n = cosigner(t, dir, town, n.client)
	town.Must(n.recallCheckpoint(t.Context()))
	if n.checkpoint.Load() == nil || n.checkpoint.Load().Head != town.Head() {
		t.Fatal("what was cosigned is forgotten")
	}
	leader.note = earlier
	town.Must(n.cosign(t.Context()))
	if leader.handed() != 2 {
		t.Fatal("a smaller checkpoint was cosigned after a larger one")
	}
}

func TestWhatANodeHasNotVerifiedItDoesNotCosign(t *testing.T) {
	town, leader := federationtest.Found(t, 3), &stating{}
	n := cosigner(t, t.TempDir(), town, leader.listen(t))
	feed(t, n, town.Entries)
	other := federationtest.Found(t, 3)
	leader.state(other)
	if err := n.cosign(t.Context()); !errors.Is(err, checkpoint.ErrCheckpoint) || n.Trouble() != nil {
		t.Error("another federation's checkpoint:", err)
	}
	town.Open(grant(1))
	leader.state(town)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it would wait to read on
	if err := n.cosign(ctx); err == nil || n.Trouble() != nil {
		t.Error("a larger log than was read:", err)
	}
	if leader.handed() != 0 {
		t.Error("cosigned all the same")
	}
	if _, err := n.ProveEntry(0); !errors.Is(err, errNoCheckpoint) {
		t.Error("proven without a checkpoint:", err)
	}
	if err := os.WriteFile(n.checkpointPath(), []byte("no checkpoint"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.recallCheckpoint(t.Context()); err != nil || n.checkpoint.Load() != nil {
		t.Error("a damaged file:", err)
	}
}

// Two histories: the node stops by itself, keeps both, and says so.
func TestANodeThatSeesTwoHistoriesStops(t *testing.T) {
	town, leader, dir := federationtest.Found(t, 3), &stating{}, t.TempDir()
	other := town.Again()
	town.Open(grant(1))
	other.Open(grant(2))
	n := cosigner(t, dir, town, leader.listen(t))
	feed(t, n, town.Entries)
	leader.state(town)
	town.Must(n.cosign(t.Context()))
	leader.state(other)
	n.keepCosigning(t.Context()) // returns, without the context ending
	err := n.Trouble()
	if !errors.Is(err, witness.ErrEvidence) {
		t.Fatal(err)
	}
	words := Words(err)
	if !strings.Contains(words.FR, "une autre histoire") || !strings.Contains(words.EN, "another history") || words.Check() != nil {
		t.Errorf("%+v", words)
	}
	files, err := filepath.Glob(filepath.Join(dir, dirLog, "evidence-fork-*.json"))
	if err != nil || len(files) != 1 || !strings.Contains(words.EN, files[0]) {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	town.Must(err)
	fork, err := protocol.DecodeFile[witness.Fork](text)
	if err != nil || fork.Theirs == "" || fork.Ours == "" || fork.Theirs == fork.Ours {
		t.Errorf("%+v, %v", fork, err)
	}
	if leader.handed() != 1 {
		t.Error("the other history was cosigned")
	}
}
