//go:build unix

package rehearsal_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"coulisse/coordinator"
	"coulisse/crypto/oprf"
	"coulisse/crypto/oprf/oprftest"
	"coulisse/crypto/seal"
	"coulisse/deploy/rehearsal"
	identities "coulisse/node/identity"
	"coulisse/node/importer"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/protocol"
	"coulisse/protocol/archive"
	"coulisse/protocol/federation"
)

// replicaFolder names the folder of the replica that a process of this test is
// to be.
const replicaFolder = "COULISSE_REHEARSAL_REPLICA"

// TestReplicaApart is no test: it is a replica in a process of its own, to be
// killed.
func TestReplicaApart(t *testing.T) {
	dir := os.Getenv(replicaFolder)
	if dir == "" {
		t.Skip("another test starts it")
	}
	replica, err := coordinator.Open(coordinator.Config{Dir: dir, Version: "rehearsal", Logger: slog.New(slog.DiscardHandler), Timing: rehearsal.Timing})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	if err := replica.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// tokenising is a federation in which the first member has its people tokenised
// by two of three others. Every party is a process of its own.
type tokenising struct {
	t        *testing.T
	f        *rehearsal.Federation
	nodes    []func(syscall.Signal)
	replicas map[protocol.ReplicaID]func(syscall.Signal)
	batches  string // those under way, by name
	last     string
}

func newTokenising(t *testing.T, people int) *tokenising {
	t.Helper()
	f := rehearsal.Found(t, "agora", "moulin", "phare", "theatre")
	agora := f.Members[0]
	var csv strings.Builder
	csv.WriteString("email,pooling\n")
	for person := range people {
		fmt.Fprintf(&csv, "%s,yes\n", address(person))
	}
	f.Import(agora, importer.People, csv.String())
	id := f.Propose(protocol.Effect{ElectStewards: &protocol.StewardRoll{Members: []protocol.MemberID{"moulin", "phare", "theatre"}, Threshold: 2}})
	f.Vote(agora, id, protocol.For)
	f.StopNode(agora) // before there is a key
	for _, m := range f.Members[1:] {
		f.Vote(m, id, protocol.For)
	}
	for _, m := range f.Members[1:] {
		f.Eventually("the key at "+string(m.ID), func() bool {
			s, err := m.Node.Status(t.Context())
			return err == nil && s.Stewards.Epoch == 1
		})
	}
	s := &tokenising{
		t: t, f: f, replicas: map[protocol.ReplicaID]func(syscall.Signal){},
		batches: filepath.Join(agora.Folder.Dir, "tokens", "epoch-1", "pending-*.age"),
	}
	for _, m := range f.Members[1:] {
		f.StopNode(m)
	}
	for i := range 3 {
		f.StopReplica(i)
		s.startReplica(protocol.ReplicaID(filepath.Base(f.ReplicaDir(i))))
	}
	for _, m := range f.Members {
		s.nodes = append(s.nodes, apart(t, m))
	}
	return s
}

func (s *tokenising) startReplica(id protocol.ReplicaID) {
	s.replicas[id] = process(s.t, "TestReplicaApart", replicaFolder, filepath.Join(filepath.Dir(s.f.ReplicaDir(0)), string(id)))
}

// anotherBatch waits until the member has begun one, and for a moment more, to
// be anywhere in it.
func (s *tokenising) anotherBatch(random *rand.Rand) {
	s.t.Helper()
	s.f.Eventually("another batch", func() bool {
		files, err := filepath.Glob(s.batches) // the last has the newest ticket
		if err != nil || len(files) == 0 || files[len(files)-1] <= s.last {
			return false
		}
		s.last = files[len(files)-1]
		return true
	})
	time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
}

func (s *tokenising) killNode(i int) {
	s.nodes[i](syscall.SIGKILL)
	s.nodes[i] = apart(s.t, s.f.Members[i])
}

func (s *tokenising) killLeader() {
	s.t.Helper()
	var leader protocol.ReplicaID
	s.f.Eventually("a leader", func() bool {
		for _, r := range s.f.Office.Status(s.t.Context()) {
			if r.State == "leader" {
				leader = r.ID
			}
		}
		return leader != ""
	})
	s.replicas[leader](syscall.SIGKILL)
	s.startReplica(leader)
}

// endProcesses kills every party, and has it go on in this process, to be looked
// at.
func (s *tokenising) endProcesses() {
	s.t.Helper()
	for _, end := range s.nodes {
		end(syscall.SIGKILL)
	}
	for i := range 3 {
		s.replicas[protocol.ReplicaID(filepath.Base(s.f.ReplicaDir(i)))](syscall.SIGKILL)
		s.f.StartReplica(i)
	}
	for _, m := range s.f.Members {
		s.f.StartNode(m)
	}
}

// TestTokenisingSurvives kills the member, the stewards, the leader, several of
// them, and everybody, while batches are under way. In the end everybody was
// debited once, and has the token that circl makes with the whole key.
func TestTokenisingSurvives(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 20,000 tokens in seven processes")
	}
	const people = 5*protocol.MaxBatch - 100
	s, random := newTokenising(t, people), rand.New(rand.NewPCG(5, 6))
	for _, kill := range [][]func(){
		{func() { s.killNode(0) }},
		{func() { s.killNode(1) }, func() { s.killNode(2) }}, // one of them is asked
		{s.killLeader},
		{func() { s.killNode(0) }, s.killLeader, func() { s.killNode(3) }},
	} {
		s.anotherBatch(random)
		for _, one := range kill {
			one()
		}
	}
	s.endProcesses()
	agora := s.f.Members[0]
	s.f.Eventually("everybody's token", func() bool {
		status, err := agora.Node.Status(t.Context())
		return err == nil && status.Tokens.Done == people && status.Tokens.Total == people
	})
	if got := ticketsOf(s.f, agora.ID).Total; got != people {
		t.Errorf("%d were debited for %d people", got, people)
	}
	if left, err := filepath.Glob(s.batches); err != nil || len(left) > 0 {
		t.Errorf("batches are left: %q %v", left, err)
	}
	for _, m := range s.f.Members {
		s.f.StopNode(m)
	}
	checkTokens(t, s.f, people)
}

// ticketsOf reads a member's tickets out of another's copy of the log.
func ticketsOf(f *rehearsal.Federation, id protocol.MemberID) (tickets federation.Tickets) {
	f.Eventually("a checkpoint", func() bool {
		write, err := f.Members[1].Node.CopyLog()
		if err != nil {
			return false
		}
		var copied bytes.Buffer
		if err := write(&copied); err != nil {
			return false
		}
		_, log, err := archive.Read(&copied, f.ID)
		if err == nil {
			tickets = federation.TicketsOf(log, id, 1)
		}
		return err == nil && tickets.Total > 0
	})
	return tickets
}

// checkTokens wants everybody's token to be circl's, under the key that the
// protocol never puts together.
func checkTokens(t *testing.T, f *rehearsal.Federation, people int) {
	t.Helper()
	evaluate := oprftest.Whole(t, unsealedShare(t, f.Members[1]), unsealedShare(t, f.Members[2]))
	dir := f.Members[0].Folder.Dir
	house, err := warehouse.Open(t.Context(), warehouse.Config{Path: filepath.Join(dir, "warehouse.duckdb"), MemoryMB: 128})
	must(t, err)
	defer house.Close()
	cache, err := tokens.OpenCache(filepath.Join(dir, "tokens"), identityOf(t, dir), 1)
	must(t, err)
	defer cache.Close()
	made := map[warehouse.PersonID]oprf.Token{}
	everybody := house.Evaluate(t.Context(), protocol.Definition{Name: "all", Title: protocol.Text{FR: "Tous", EN: "All"}}, protocol.PurposePooling)
	must(t, cache.Select(t.Context(), everybody, func(id warehouse.PersonID, token *oprf.Token) error { made[id] = *token; return nil }))
	same := 0
	for person, err := range house.Persons(t.Context(), protocol.PurposePooling, 0) {
		must(t, err)
		want := evaluate(identities.OPRFInput(rehearsal.Charter().Namespace, 1, person.Identifier))
		if token := made[person.ID]; bytes.Equal(token[:], want) {
			same++
		}
	}
	if same != people || len(made) != people {
		t.Errorf("%d of %d tokens are circl's, for %d people", same, len(made), people)
	}
}

// unsealedShare reads a steward's share of the key.
func unsealedShare(t *testing.T, steward *rehearsal.Member) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(steward.Folder.Dir, "steward", "share-*.age"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s holds %q: %v", steward.ID, files, err)
	}
	secret, err := seal.ReadFile(files[0], identityOf(t, steward.Folder.Dir), 1<<10)
	must(t, err)
	return secret
}

func identityOf(t *testing.T, dir string) *seal.Identity {
	t.Helper()
	own, err := seal.LoadIdentity(filepath.Join(dir, "identity.agekey"))
	must(t, err)
	return own
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
