// Package rehearsal is a whole federation in one process, for tests: real
// replicas and real nodes, in folders of the test, speaking TLS over loopback.
// Only what a machine would add is missing: separate processes, which the
// demonstration has.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/coordinator/consensus"
	"coulisse/node"
	"coulisse/node/importer"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// Federation is a coordinator with its members.
type Federation struct {
	tb       testing.TB
	Dir      string
	ID       protocol.Hash
	Office   *coordinator.Office
	Founding protocol.Founding
	Members  []*Member
	replicas []*part
	peers    []consensus.Peer
	listen   []string // where each replica listens, if not where it is dialled
	memory   int64
	logger   *slog.Logger
}

// Member is a founder with its node. Node is nil while it is stopped.
type Member struct {
	Folder *node.Folder
	Node   *node.Node
	ID     protocol.MemberID
	part   *part
}

// part is something that runs until it is stopped.
type part struct {
	stop context.CancelFunc
	done chan error
}

func start(run func(context.Context) error) *part {
	ctx, stop := context.WithCancel(context.Background())
	p := &part{stop: stop, done: make(chan error, 1)}
	go func() { p.done <- run(ctx) }()
	return p
}

func (p *part) end() error {
	p.stop()
	return <-p.done
}

// Timing makes elections quick enough for a test.
var Timing = consensus.Timing{
	Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 200 * time.Millisecond,
	Commit: 5 * time.Millisecond, Exchange: 5 * time.Second,
}

// Charter is the floors that a real federation would have, and votes that
// close as soon as everybody has voted.
func Charter() protocol.Charter {
	vote := protocol.VotingRule{QuorumPercent: 25, Numerator: 1, Denominator: 2, MaxOpen: protocol.Span(24 * time.Hour / time.Millisecond)}
	special := vote
	special.QuorumPercent, special.Numerator, special.Denominator = 50, 2, 3
	return protocol.Charter{
		Namespace: "repetition",
		Name:      protocol.Text{FR: "Fédération de répétition", EN: "Rehearsal federation"},
		Ordinary:  vote, Special: special, Cosigners: 1, MaxProxies: 2,
		Floors: protocol.Floors{MinMembers: 2, MinParticipants: 3, MinSize: 50, MinVariance: 100, MaxRoundCost: 5_000_000},
		Budget: protocol.Budget{Total: 100_000_000, DeltaExponent: 9}, Allowance: 1_000_000,
	}
}

// Found makes a federation of members and starts everything. Each member is
// its own group; those whose name begins with "journal" are media.
func Found(tb testing.TB, names ...protocol.MemberID) *Federation {
	tb.Helper()
	return FoundIn(tb, Setting{Charter: Charter()}, names...)
}

// Setting is where and how a federation is founded.
type Setting struct {
	Charter protocol.Charter
	// Between puts something in front of a replica, at an address where everybody
	// dials it, the other replicas as well; nil for nothing.
	Between func(replica string) (address string)
	// Memory is what each replica may hold for uploads and matches; the
	// coordinator's default if 0.
	Memory int64
}

// FoundIn is Found in another setting than the usual one.
func FoundIn(tb testing.TB, in Setting, names ...protocol.MemberID) *Federation {
	tb.Helper()
	dir, err := os.MkdirTemp("", "rehearsal")
	if err != nil {
		tb.Fatal(err)
	}
	f := &Federation{tb: tb, Dir: dir, memory: in.Memory, logger: slog.New(slog.NewTextHandler(logWriter(tb), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	tb.Cleanup(f.close)
	for i := range 3 {
		address := freeAddress(tb)
		f.listen = append(f.listen, address)
		if in.Between != nil {
			address = in.Between(address)
		}
		f.peers = append(f.peers, consensus.Peer{ID: protocol.ReplicaID(fmt.Sprintf("replique-%d", i+1)), Address: consensus.Address(address)})
	}
	card, err := coordinator.Create(f.coordinatorDir(), in.Charter.Namespace, f.peers, time.Now())
	f.must(err)
	for _, id := range names {
		f.addMember(id)
	}
	f.sign(in.Charter, card)
	f.replicas = make([]*part, len(f.peers))
	for i := range f.replicas {
		f.StartReplica(i)
	}
	f.Office, err = coordinator.OpenOffice(filepath.Join(f.coordinatorDir(), coordinator.DirOperator))
	f.must(err)
	for _, m := range f.Members {
		f.enroll(m)
		f.StartNode(m)
	}
	return f
}

func (f *Federation) coordinatorDir() string { return filepath.Join(f.Dir, "coordinator") }

func (f *Federation) must(err error) {
	f.tb.Helper()
	if err != nil {
		f.tb.Fatal(err)
	}
}

func freeAddress(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// logWriter is the file in REHEARSAL_LOG, in which all parties write, or none.
func logWriter(tb testing.TB) io.Writer {
	if path := os.Getenv("REHEARSAL_LOG"); path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { file.Close() })
		return file
	}
	return io.Discard
}

func (f *Federation) addMember(id protocol.MemberID) {
	kind := protocol.KindHouse
	if strings.HasPrefix(string(id), "journal") {
		kind = protocol.KindMedia
	}
	folder, err := node.Init(filepath.Join(f.Dir, string(id)), protocol.Card{
		ID: id, Name: protocol.Text{FR: string(id), EN: string(id)}, Kind: kind, Group: string(id),
	})
	f.must(err)
	f.Members = append(f.Members, &Member{Folder: folder, ID: id})
}

func (f *Federation) sign(charter protocol.Charter, card coordinator.Card) {
	genesis := protocol.Genesis{
		Charter: charter, Replicas: card.Replicas, At: protocol.At(time.Now()),
	}
	for _, m := range f.Members {
		genesis.Founders = append(genesis.Founders, m.Folder.Signed)
	}
	f.Founding.Genesis = genesis
	for _, m := range f.Members {
		assent, err := m.Folder.Assent(genesis)
		f.must(err)
		f.Founding.Assents = append(f.Founding.Assents, assent)
	}
	view, err := governance.Begin(f.Founding)
	f.must(err)
	f.ID = view.Federation
}

// StartReplica starts a replica that does not run.
func (f *Federation) StartReplica(i int) {
	f.tb.Helper()
	replica, err := coordinator.Open(coordinator.Config{
		Dir: filepath.Join(f.coordinatorDir(), string(f.peers[i].ID)), Founding: &f.Founding, Version: "rehearsal",
		Listen: f.listen[i], Memory: f.memory, Logger: f.logger.With("replica", string(f.peers[i].ID)), Timing: Timing,
	})
	f.must(err)
	f.replicas[i] = start(replica.Run)
}

// StopReplica stops a replica.
func (f *Federation) StopReplica(i int) {
	f.tb.Helper()
	f.must(f.replicas[i].end())
	f.replicas[i] = nil
}

// Leader waits for a leader and returns its place among the replicas.
func (f *Federation) Leader() int {
	f.tb.Helper()
	leader := -1
	f.Eventually("a leader", func() bool {
		for _, s := range f.Office.Status(context.Background()) {
			if i := f.place(s.ID); s.State == "leader" && f.replicas[i] != nil {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

func (f *Federation) place(id protocol.ReplicaID) int {
	return slices.IndexFunc(f.peers, func(p consensus.Peer) bool { return p.ID == id })
}

// JoinReplica prepares a new replica out of the folder of another, starts it
// and returns its place and its card. Nobody lets it in yet.
func (f *Federation) JoinReplica(from int) (int, protocol.Replica) {
	f.tb.Helper()
	i := len(f.peers)
	peer := consensus.Peer{ID: protocol.ReplicaID(fmt.Sprintf("replique-%d", i+1)), Address: consensus.Address(freeAddress(f.tb))}
	f.peers, f.replicas, f.listen = append(f.peers, peer), append(f.replicas, nil), append(f.listen, "")
	card, err := coordinator.PrepareReplica(f.tb.Context(), filepath.Join(f.coordinatorDir(), string(peer.ID)),
		filepath.Join(f.coordinatorDir(), string(f.peers[from].ID)), peer, time.Now())
	f.must(err)
	f.StartReplica(i)
	return i, card
}

func (f *Federation) enroll(m *Member) {
	f.tb.Helper()
	var token protocol.EnrolmentToken
	f.Eventually("a token for "+string(m.ID), func() bool {
		var err error
		token, _, err = f.Office.IssueToken(context.Background(), m.ID, time.Hour)
		return err == nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f.must(m.Folder.Enroll(ctx, token, f.logger))
}

// StartNode starts a member's node.
func (f *Federation) StartNode(m *Member) {
	f.tb.Helper()
	var err error
	m.Node, err = node.New(context.Background(), node.Config{Folder: m.Folder, Logger: f.logger.With("member", string(m.ID))})
	f.must(err)
	m.part = start(m.Node.Run)
}

// StopNode stops a member's node.
func (f *Federation) StopNode(m *Member) {
	f.tb.Helper()
	f.must(errors.Join(m.part.end(), m.Node.Close()))
	m.part, m.Node = nil, nil
}

func (f *Federation) close() {
	for _, m := range f.Members {
		if m.part != nil {
			f.StopNode(m)
		}
	}
	for i, p := range f.replicas {
		if p != nil {
			f.StopReplica(i)
		}
	}
	if err := os.RemoveAll(f.Dir); err != nil {
		f.tb.Error(err)
	}
}

// patience is how long anything in a rehearsal may take.
const patience = 90 * time.Second

// Eventually waits for a condition.
func (f *Federation) Eventually(what string, holds func() bool) {
	f.tb.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			f.tb.Fatalf("waited %s for %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at a condition
	}
}

// Import gives a member a file of ticket sales or people.
func (f *Federation) Import(m *Member, kind importer.Kind, csv string) {
	f.tb.Helper()
	_, err := m.Node.Import(context.Background(), strings.NewReader(csv), importer.Options{Kind: kind, File: string(m.ID) + ".csv"}, func(node.ImportEvent) {})
	f.must(err)
}

// Decide proposes, cosigns and has everybody vote for, and waits until every
// node has counted the decision.
func (f *Federation) Decide(effect protocol.Effect) {
	f.tb.Helper()
	id := f.Propose(effect)
	for _, m := range f.Members {
		f.Vote(m, id, protocol.For)
	}
	f.Decided(id)
}

// Propose proposes and cosigns.
func (f *Federation) Propose(effect protocol.Effect) protocol.Hash {
	f.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	words := protocol.Text{FR: "Une proposition", EN: "A proposal"}
	id, err := f.Members[0].Node.Propose(ctx, protocol.Proposal{
		Title: words, Reason: words, Effect: effect, Closes: protocol.At(time.Now().Add(time.Hour)),
	})
	f.must(err)
	f.Eventually("the proposal at the second member", func() bool {
		_, err := f.Members[1].Node.Proposal(id.String())
		return err == nil
	})
	f.must(f.Members[1].Node.Cosign(ctx, id.String()))
	return id
}

// Vote casts a member's ballot.
func (f *Federation) Vote(m *Member, id protocol.Hash, choice protocol.Choice) {
	f.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f.Eventually("the open vote at "+string(m.ID), func() bool {
		page, err := m.Node.Proposal(id.String())
		return err == nil && page.State == federation.ProposalOpen
	})
	f.must(m.Node.Vote(ctx, "", node.Vote{Choice: choice, Proposal: id.String()}))
}

// Decided waits until every running node has counted a decision.
func (f *Federation) Decided(id protocol.Hash) {
	f.tb.Helper()
	for _, m := range f.Members {
		if m.Node == nil {
			continue
		}
		f.Eventually("the decision at "+string(m.ID), func() bool {
			page, err := m.Node.Proposal(id.String())
			return err == nil && page.Decision != 0
		})
	}
}
