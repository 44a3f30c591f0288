//go:build unix

package torture

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/consensus"
	"coulisse/node/author"
	"coulisse/node/coordclient"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/pinned"
)

// town is a federation under torture.
type town struct {
	t        *testing.T
	dir      string
	id       protocol.Hash
	net      *network
	replicas []*replica
	office   *coordinator.Office // it dials the replicas themselves, past every proxy
	members  []*member
	history  history
	// plain is a town in which each replica has one address for all, as the roll
	// wants it.
	plain bool
	// program is what the replicas run, if not this one.
	program string
}

// member is a member's node as far as votes go: its keys, its client, its
// copy of the log.
type member struct {
	*federationtest.Member
	witness *witness.Witness
	client  *coordclient.Client
	author  *author.Author
	tls     func() *tls.Config
}

// past is how long ago the federation was founded, so that its certificates
// are valid on a clock that is an hour behind.
const past = 3 * time.Hour

var quiet = slog.New(slog.DiscardHandler)

func found(t *testing.T, size int) *town {
	t.Helper()
	tw := &town{t: t}
	tw.found(size)
	return tw
}

func (tw *town) found(size int) {
	t := tw.t
	t.Helper()
	dir, err := os.MkdirTemp("", "torture")
	must(t, err)
	tw.dir = dir
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the replicas' logs are in %s", dir)
		} else {
			os.RemoveAll(dir)
		}
	})
	var keys []*federationtest.Member
	for i := range size {
		keys = append(keys, federationtest.NewMember(t, protocol.MemberID(fmt.Sprintf("membre-%02d", i+1))))
	}
	tw.create(keys)
	// The proxies go last: they wait for connections of whatever still runs.
	t.Cleanup(tw.net.close)
	for _, r := range tw.replicas {
		must(t, r.start())
		t.Cleanup(func() { r.end(syscall.SIGKILL) })
	}
	for _, k := range keys {
		tw.enrol(k)
	}
	for _, m := range tw.members {
		// A member has read the log before it signs.
		must(t, m.witness.Await(t.Context(), int64(1+size)))
	}
	for _, r := range tw.replicas {
		r.jump(0)
	}
	tw.confirm()
}

// confirm waits until every replica stamps by this machine's clock.
func (tw *town) confirm() {
	tw.t.Helper()
	ctx, cancel := context.WithTimeout(tw.t.Context(), 30*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		all, right := tw.office.Status(ctx), 0
		for _, s := range all {
			if time.Since(s.Stamp.Time()).Abs() < coordinator.MaxSkew {
				right++
			}
		}
		if right == len(all) {
			return
		}
	}
	tw.t.Fatal("the replicas do not take up a clock that all share")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// create makes the coordinator's folders and a founding that all have signed.
// Each replica knows the others, and the nodes know all, by proxies.
func (tw *town) create(keys []*federationtest.Member) {
	t := tw.t
	listen := freeAddresses(t, 3)
	var err error
	tw.net, err = newNetwork(listen)
	must(t, err)
	peers := make([]consensus.Peer, len(listen))
	for i := range listen {
		peers[i] = consensus.Peer{ID: protocol.ReplicaID(fmt.Sprintf("r%d", i+1)), Address: consensus.Address(tw.net.gateways[i].address())}
	}
	folder, charter := filepath.Join(tw.dir, "coordinator"), federationtest.Charter()
	card, err := coordinator.Create(folder, charter.Namespace, peers, time.Now().Add(-past))
	must(t, err)
	foundingFile := filepath.Join(tw.dir, "founding.json")
	tw.sign(keys, foundingFile, protocol.Genesis{
		Charter: charter, Replicas: card.Replicas, At: protocol.At(time.Now().Add(-past)),
	})
	for i, p := range peers {
		r := &replica{id: p.ID, dir: filepath.Join(folder, string(p.ID)), listen: listen[i], founding: foundingFile, program: tw.program, ahead: -past / 2}
		r.fallen = func(id protocol.ReplicaID, err error) { t.Errorf("replica %s ended by itself: %v", id, err) }
		tw.replicas = append(tw.replicas, r)
		if !tw.plain {
			tw.reroute(i, peers)
			card.Addresses[i] = consensus.Address(listen[i])
		}
	}
	office := filepath.Join(folder, coordinator.DirOperator)
	writeFile(t, filepath.Join(office, coordinator.FileCard), card)
	tw.office, err = coordinator.OpenOffice(office)
	must(t, err)
}

// reroute has a replica reach each of the others over the link between them,
// which nobody else uses, so that one direction between two can fail alone.
func (tw *town) reroute(i int, peers []consensus.Peer) {
	settings := coordinator.Settings{Namespace: federationtest.Charter().Namespace, ID: peers[i].ID}
	for j, p := range peers {
		if j != i {
			p.Address = consensus.Address(tw.net.between[[2]int{i, j}].address())
		}
		settings.Peers = append(settings.Peers, p)
	}
	writeFile(tw.t, filepath.Join(tw.replicas[i].dir, "replica.json"), settings)
}

func writeFile(t *testing.T, path string, v any) {
	t.Helper()
	text, err := protocol.Indented(v)
	must(t, err)
	must(t, os.WriteFile(path, text, 0o600))
}

func (tw *town) sign(keys []*federationtest.Member, file string, g protocol.Genesis) {
	t := tw.t
	for _, k := range keys {
		g.Founders = append(g.Founders, k.Signed)
	}
	var err error
	tw.id, err = g.ID()
	must(t, err)
	founding := protocol.Founding{Genesis: g}
	for _, k := range keys {
		assent, err := protocol.Sign(protocol.Signer[voteKey]{Federation: tw.id, By: protocol.PartyID(k.ID), Key: k.Vote}, protocol.Head{}, protocol.Assent{Genesis: tw.id})
		must(t, err)
		founding.Assents = append(founding.Assents, assent)
	}
	writeFile(t, file, founding)
}

// freeAddresses are below the ports that systems give to connections: one of
// those could take a replica's port while it is down.
func freeAddresses(t *testing.T, n int) (all []string) {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close() // not before all are found: they differ
		if all = append(all, l.Addr().String()); len(all) == n {
			return all
		}
	}
	t.Fatal("no free ports")
	return nil
}

// enrol gives a member its certificate, and starts to follow the log.
func (tw *town) enrol(k *federationtest.Member) {
	t := tw.t
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var token protocol.EnrolmentToken
	for {
		var err error
		if token, _, err = tw.office.IssueToken(ctx, k.ID, time.Hour); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		pause(ctx, 50*time.Millisecond)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	must(t, err)
	certificate, authority, err := coordclient.Enroll(ctx, token, request, quiet)
	must(t, err)
	own := tls.Certificate{Certificate: [][]byte{certificate, authority}, PrivateKey: private}
	tw.follow(k, func() *tls.Config {
		return pinned.Dial(token.Route.Lists, func() *tls.Certificate { return &own })
	})
}

func (tw *town) follow(k *federationtest.Member, config func() *tls.Config) {
	t, m := tw.t, &member{Member: k, tls: config}
	var err error
	m.witness, err = witness.Open(filepath.Join(tw.dir, string(k.ID)), tw.id)
	must(t, err)
	var gateways []string
	for _, l := range tw.net.gateways {
		gateways = append(gateways, l.address())
	}
	m.client = coordclient.New(coordclient.Config{Addresses: gateways, TLS: config, Logger: quiet, LookAround: 500 * time.Millisecond})
	m.author = &author.Author{
		Federation: tw.id, Member: k.ID, Key: k.Node, Witness: m.witness,
		Log: &recorder{client: len(tw.members), log: m.client, history: &tw.history},
	}
	tw.members = append(tw.members, m)
	ctx, stop := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() {
		if err := m.client.Follow(ctx, m.witness.Size, m.witness.Take); ctx.Err() == nil {
			t.Errorf("%s stopped following: %v", m.ID, err)
		}
	})
	t.Cleanup(func() {
		stop()
		following.Wait()
		m.client.Close()
		m.witness.Close()
	})
}

// pause spaces out looks at a condition; nothing relies on its length.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// lastOf reads the end of a replica's log.
func lastOf(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := io.ReadAll(file)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
