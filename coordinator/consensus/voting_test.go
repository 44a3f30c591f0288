//go:build linux

package consensus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/consensus"
	"coulisse/crypto/key"
	"coulisse/protocol"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/pinned"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const (
	voters = 150
	// sitting is how many proposals are voted on in a turn: an agenda.
	sitting = 20
	// agendas is how many sittings there are of one ballot a member, for one of
	// twenty: each is short.
	agendas = 5
)

// BenchmarkVoting has 150 members vote at once, each over its own TLS
// connection with its own certificate, on a coordinator of three replicas with
// their logs on disk: every ballot is admitted, verified and kept, every
// proposal is closed, counted and decided before the time ends. In one sitting a
// member casts a ballot for each of its 20 votes (single), in the next it casts all
// 20 on one ballot (agenda). In turns with these, 150 callers at once apply commands
// of a single ballot's size to hashicorp/raft by itself, on the same store and
// transport, which verifies and keeps nothing: over connections like the members'
// (called), and in the leader's own process (applies).
//
// Each replica of either is a process, the members and callers are this one,
// and one side is idle in the other's turn. All of them share this machine's
// processors, so the time that three replicas take for one ballot adds up here,
// as it does not in a federation. A vote costs the CPU of all processes together.
func BenchmarkVoting(b *testing.B) {
	p := newPoll(b)
	defer p.close()
	p.enrol()
	raft := consensus.BareRaft(b, voters)
	single, agenda, called := measure{replicas: p.processes, votes: 1}, measure{replicas: p.processes, votes: sitting}, measure{votes: 1}
	for _, cmd := range raft.Processes {
		called.replicas = append(called.replicas, &replica{Cmd: cmd})
	}
	applied, took := 0, time.Duration(0)
	for done := 0; done < b.N; done += voters * sitting {
		b.StopTimer()
		urns := p.prepare(sitting, 1)
		b.StartTimer()
		single.run(p.cast(urns), sitting, p.decided(voters*sitting))
		b.StopTimer()
		for range agendas {
			papers := p.prepare(sitting, sitting)
			agenda.run(p.cast(papers), 1, p.decided(voters))
		}
		command := make([]byte, len(urns[0][0])+60) // as long as a ballot is once it is a command
		called.run(func(voter, _ int) error {
			_, err := raft.Callers[voter].Submit(b.Context(), &wire.SubmitRequest{Document: command})
			return err
		}, sitting, func() error { return nil })
		elapsed, err := raft.Apply(command, voters, sitting)
		p.must(err)
		applied, took = applied+voters*sitting, took+elapsed
		b.StartTimer()
	}
	b.StopTimer()
	single.report(b, "single")
	agenda.report(b, "agenda")
	called.report(b, "called")
	inProcess := float64(applied) / took.Seconds()
	b.ReportMetric(inProcess, "applies/s")
	b.ReportMetric(100*single.rate()/called.rate(), "single-%-of-bare-called")
	b.ReportMetric(100*single.rate()/inProcess, "single-%-of-bare-in-process")
	b.ReportMetric(100*agenda.rate()/inProcess, "agenda-%-of-bare-in-process")
	b.ReportMetric(0, "ns/op") // b.N is rounded up to whole sittings
}

// measure is what calls took.
type measure struct {
	votes   int // a call
	took    []time.Duration
	elapsed time.Duration
	cpu     time.Duration // of this process
	failed  error

	replicas   []*replica
	replicaCPU []time.Duration
}

// run makes so many calls a voter, all voters at once, and waits for what must
// follow.
func (m *measure) run(call func(voter, turn int) error, turns int, rest func() error) {
	took, failed := make([][]time.Duration, voters), make([]error, voters)
	spent := make([]time.Duration, len(m.replicas))
	for i, r := range m.replicas {
		spent[i] = r.time()
	}
	before, began := processTime(), time.Now()
	var calling sync.WaitGroup
	for v := range voters {
		calling.Go(func() {
			for turn := range turns {
				start := time.Now()
				if err := call(v, turn); err != nil {
					failed[v] = err
					return
				}
				took[v] = append(took[v], time.Since(start))
			}
		})
	}
	calling.Wait()
	if err := rest(); err != nil {
		m.failed = err
	}
	m.elapsed += time.Since(began)
	m.cpu += processTime() - before
	m.replicaCPU = append(m.replicaCPU, make([]time.Duration, len(m.replicas)-len(m.replicaCPU))...)
	for i, r := range m.replicas {
		m.replicaCPU[i] += r.time() - spent[i]
	}
	m.took = append(m.took, slices.Concat(took...)...)
	for _, err := range failed {
		if err != nil {
			m.failed = err
		}
	}
}

func processTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// rate is votes a second.
func (m *measure) rate() float64 { return float64(len(m.took)*m.votes) / m.elapsed.Seconds() }

func (m *measure) report(b *testing.B, what string) {
	b.Helper()
	if m.failed != nil {
		b.Fatalf("%s: %v", what, m.failed)
	}
	slices.Sort(m.took)
	b.ReportMetric(m.rate(), what+"-votes/s")
	b.ReportMetric(m.rate()/float64(m.votes), what+"-calls/s")
	b.ReportMetric(float64(m.took[len(m.took)/2].Microseconds())/1000, what+"-p50-ms")
	b.ReportMetric(float64(m.took[len(m.took)*99/100].Microseconds())/1000, what+"-p99-ms")
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(len(m.took)*m.votes) }
	slices.Sort(m.replicaCPU)
	all := m.cpu
	for _, d := range m.replicaCPU {
		all += d
	}
	b.ReportMetric(each(all), what+"-cpu-µs/vote")
	b.ReportMetric(each(m.cpu), what+"-members-cpu-µs/vote")
	b.ReportMetric(each(m.replicaCPU[len(m.replicaCPU)-1]), what+"-leader-cpu-µs/vote")
	b.ReportMetric(each(m.replicaCPU[0]), what+"-follower-cpu-µs/vote")
}

// poll is a federation of 150 members and its coordinator.
type poll struct {
	b         *testing.B
	id        protocol.Hash
	dir       string
	peers     []consensus.Peer
	office    *coordinator.Office
	members   []*federationtest.Member
	stubs     []wire.CoordinatorClient // of the members, to the leader
	conns     []*grpc.ClientConn
	proposed  int
	processes []*replica
}

func newPoll(b *testing.B) *poll {
	b.Helper()
	p := &poll{b: b, dir: b.TempDir()}
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		p.must(err)
		p.peers = append(p.peers, consensus.Peer{ID: protocol.ReplicaID(fmt.Sprintf("r%d", i+1)), Address: consensus.Address(l.Addr().String())})
		p.must(l.Close())
	}
	charter := federationtest.Charter()
	card, err := coordinator.Create(p.dir, charter.Namespace, p.peers, time.Now())
	p.must(err)
	genesis := protocol.Genesis{Charter: charter, Replicas: card.Replicas, At: protocol.At(time.Now())}
	for i := range voters {
		m := federationtest.NewMember(b, protocol.MemberID(fmt.Sprintf("membre-%03d", i)))
		p.members, genesis.Founders = append(p.members, m), append(genesis.Founders, m.Signed)
	}
	p.id, err = genesis.ID()
	p.must(err)
	founding := protocol.Founding{Genesis: genesis}
	for _, m := range p.members {
		s, err := protocol.Sign(p.signer(m), protocol.Head{}, protocol.Assent{Genesis: p.id})
		p.must(err)
		founding.Assents = append(founding.Assents, s)
	}
	p.serve(founding)
	return p
}

func (p *poll) must(err error) {
	p.b.Helper()
	if err != nil {
		p.b.Fatal(err)
	}
}

func (p *poll) signer(m *federationtest.Member) protocol.Signer[key.Vote] {
	return protocol.Signer[key.Vote]{Federation: p.id, By: protocol.PartyID(m.ID), Key: m.Vote}
}

// serve starts the replicas.
func (p *poll) serve(founding protocol.Founding) {
	p.b.Helper()
	act, err := protocol.Canonical(founding)
	p.must(err)
	p.must(os.WriteFile(filepath.Join(p.dir, "founding.json"), act, 0o600))
	for _, peer := range p.peers {
		p.processes = append(p.processes, startReplica(p.b, filepath.Join(p.dir, string(peer.ID))))
	}
	p.office, err = coordinator.OpenOffice(filepath.Join(p.dir, coordinator.DirOperator))
	p.must(err)
}

func (p *poll) close() {
	for _, conn := range p.conns {
		conn.Close()
	}
	for _, r := range p.processes {
		r.stdin.Close()
	}
	for _, r := range p.processes {
		if err := r.Wait(); err != nil {
			p.b.Error(err)
		}
	}
}

// leader waits for a replica to lead a log that has begun.
func (p *poll) leader() coordinator.ReplicaStatus {
	p.b.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		for _, s := range p.office.Status(p.b.Context()) {
			if s.State == "leader" && s.LogSize > 0 {
				return s
			}
		}
		<-time.After(20 * time.Millisecond)
	}
	p.b.Fatal("no replica leads")
	return coordinator.ReplicaStatus{}
}

// enrol gives every member a certificate and a connection to the leader.
func (p *poll) enrol() {
	p.b.Helper()
	leader := p.leader()
	dial := func(certificates ...tls.Certificate) *grpc.ClientConn {
		config := pinned.Dial(func(protocol.Hash) bool { return true }, nil) // all are here
		config.Certificates = certificates
		conn, err := grpc.NewClient(string(leader.Address), grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<10))
		p.must(err)
		return conn
	}
	stranger := dial()
	defer stranger.Close()
	for _, m := range p.members {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		p.must(err)
		request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
		p.must(err)
		token, _, err := p.office.IssueToken(p.b.Context(), m.ID, time.Hour)
		p.must(err)
		reply, err := wire.NewCoordinatorClient(stranger).Enroll(p.b.Context(), &wire.EnrollRequest{TokenSecret: token.Secret, CertificateRequest: request})
		p.must(err)
		conn := dial(tls.Certificate{Certificate: [][]byte{reply.GetCertificate(), reply.GetAuthority()}, PrivateKey: private})
		stub := wire.NewCoordinatorClient(conn)
		_, err = stub.Status(p.b.Context(), &wire.StatusRequest{}) // so that it is connected
		p.must(err)
		p.conns, p.stubs = append(p.conns, conn), append(p.stubs, stub)
	}
}

func (p *poll) submit(member int, label protocol.Label, document []byte) error {
	_, err := p.stubs[member].Submit(context.Background(), &wire.SubmitRequest{Label: string(label), Document: document})
	return err
}

// cast submits a voter's ballot of each turn.
func (p *poll) cast(urns [][][]byte) func(voter, turn int) error {
	return func(voter, turn int) error { return p.submit(voter, protocol.LabelBallot, urns[turn][voter]) }
}

// decided waits until the log has so many ballots more, and a decision on each
// proposal of a sitting.
func (p *poll) decided(ballots int) func() error {
	want := p.head().Size + int64(ballots+sitting)
	return func() error {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			reply, err := p.stubs[0].Status(context.Background(), &wire.StatusRequest{})
			if err != nil || reply.GetLogSize() >= want {
				return err
			}
			<-time.After(2 * time.Millisecond)
		}
		return errors.New("not every vote was closed")
	}
}

// prepare opens proposals and signs every member's ballots on them, each with so
// many votes, in turns.
func (p *poll) prepare(proposals, votes int) (urns [][][]byte) {
	p.b.Helper()
	head, floors := p.head(), federationtest.Charter().Floors
	var agenda []protocol.Vote
	for range proposals {
		author := p.proposed % voters
		p.proposed++
		proposal := sign(p, author, head, protocol.Proposal{
			Title:  protocol.Text{FR: fmt.Sprint("Proposition ", p.proposed), EN: fmt.Sprint("Proposal ", p.proposed)},
			Reason: protocol.Text{FR: "Parce que.", EN: "Because."},
			Effect: protocol.Effect{SetFloors: &floors}, Closes: protocol.At(time.Now().Add(24 * time.Hour)),
		})
		p.must(p.submit(author, protocol.LabelProposal, proposal.document))
		second := (author + 1) % voters
		p.must(p.submit(second, protocol.LabelCosign, sign(p, second, head, protocol.Cosign{Proposal: proposal.id}).document))
		agenda = append(agenda, protocol.Vote{Proposal: proposal.id, Choice: protocol.For})
	}
	for part := range slices.Chunk(agenda, votes) {
		ballot, urn := protocol.NewBallot(part...), make([][]byte, voters)
		for v := range p.members {
			urn[v] = sign(p, v, head, ballot).document
		}
		urns = append(urns, urn)
	}
	return urns
}

// signed is a document ready to be sent.
type signed struct {
	id       protocol.Hash
	document []byte
}

func sign[T protocol.Document[key.Vote]](p *poll, member int, head protocol.Head, doc T) signed {
	p.b.Helper()
	s, err := protocol.Sign(p.signer(p.members[member]), head, doc)
	p.must(err)
	document, err := protocol.Canonical(s)
	p.must(err)
	return signed{protocol.ID(p.id, s), document}
}

// head is the leader's.
func (p *poll) head() protocol.Head {
	p.b.Helper()
	s := p.leader()
	root, err := protocol.ParseHash(s.LogRoot)
	p.must(err)
	return protocol.Head{Size: s.LogSize, Root: root}
}
