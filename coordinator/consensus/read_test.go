package consensus

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hashicorp/raft"
)

// patientLeader gives replica-a a lease that outlasts the others' patience, as
// though its clock were slow.
func patientLeader(cfg *Config) {
	cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.Exchange = 3*time.Second, 3*time.Second, time.Minute
	if cfg.ID == "replica-a" {
		cfg.Timing.Heartbeat, cfg.Timing.Election, cfg.Timing.Lease = 9*time.Second, 9*time.Second, 9*time.Second
	}
}

// TestAnOldAnswerConfirmsNothing has a deposed leader read while the answer to
// a heartbeat from before its fall is still on its way to it.
func TestAnOldAnswerConfirmsNothing(t *testing.T) {
	t.Run("Read", func(t *testing.T) {
		for range 3 {
			if err := readWhenDeposed(t, (*Node).Read); !errors.Is(err, ErrNotLeader) {
				t.Errorf("got %v", err)
			}
		}
	})
	// Why Read does not leave it to raft. Other messages are on their way too,
	// and when one of them comes first raft is not taken in.
	t.Run("VerifyLeader", func(t *testing.T) {
		for range 30 {
			if readWhenDeposed(t, func(n *Node, _ context.Context) error {
				return n.raft.Load().VerifyLeader().Error()
			}) == nil {
				return
			}
		}
		t.Error("raft was not taken in: Node.confirm may be simplified")
	})
}

func readWhenDeposed(t *testing.T, read func(*Node, context.Context) error) (answer error) {
	for staged := false; !staged; {
		synctest.Test(t, func(t *testing.T) { answer, staged = stageOldAnswer(t, read) })
	}
	return answer
}

// stageOldAnswer reports whether the scene came about: the votes may split until
// the old leader's lease has run out too.
func stageOldAnswer(t *testing.T, read func(*Node, context.Context) error) (answer error, staged bool) {
	c := newCluster(t, 3, patientLeader)
	defer c.stopAll()
	a, b, third := c.nodes["replica-a"], c.nodes["replica-b"], c.nodes["replica-c"]
	for !a.IsLeader() {
		c.leader().raft.Load().LeadershipTransferToServer("replica-a", "replica-a:1").Error()
		c.leader()
		synctest.Wait()
	}
	c.apply(a, "old")
	c.net.block(c.address(a), c.address(third))
	c.net.block(c.address(third), c.address(a))
	c.net.block(c.address(b), c.address(a)) // b hears a, and its answers wait
	defer c.join(a)
	if _, _, err := c.leader(b, third).Apply(t.Context(), []byte("new")); err != nil || !a.IsLeader() {
		return nil, false
	}
	done := make(chan struct{})
	go func() { defer close(done); answer = read(a.Node, t.Context()) }()
	synctest.Wait()
	c.net.free(c.address(b), c.address(a))
	<-done
	return answer, a.ledger.last() == "old" || answer != nil
}

func TestReadWaitsForTheStateMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		defer c.stopAll()
		leader := c.leader()
		c.apply(leader, "one")
		leader.machine.applied.mu.Lock()
		leader.machine.applied.at = 0 // as though it had not come that far
		leader.machine.applied.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := leader.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read with an idle state machine: %v", err)
		}
		c.apply(leader, "two")
		if err := leader.Read(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestConcurrentReadsShareRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		defer c.stopAll()
		leader := c.leader()
		c.isolate(leader)
		before := leader.acks.clock.Load()
		var readers sync.WaitGroup
		for range 1000 {
			readers.Go(func() {
				if err := leader.Read(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one round is under way, all others wait for the next
		c.join(leader)
		readers.Wait()
		if exchanges := leader.acks.clock.Load() - before; exchanges > 20 {
			t.Errorf("1000 reads at once cost %d exchanges", exchanges)
		}
	})
}

type registerOp struct {
	write bool
	value string
}

// register is what porcupine checks histories against.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if op := input.(registerOp); op.write {
			return true, op.value
		}
		return output.(string) == state.(string), state
	},
}

// TestLinearizable lets clients write and read anywhere while replicas are cut
// off, deposed and killed, and looks for an order that explains all answers.
func TestLinearizable(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t, 3, func(cfg *Config) { smallSnapshots(cfg); patientLeader(cfg) })
			defer c.stopAll()
			h := &history{until: time.Now().Add(2 * time.Minute)}
			var work sync.WaitGroup
			for id := range 5 {
				work.Go(func() { h.client(c, id, rand.New(rand.NewPCG(seed, uint64(id)))) })
			}
			h.disturb(c, rand.New(rand.NewPCG(seed, 99)))
			work.Wait()
			reads := 0
			for _, op := range h.operations {
				if !op.Input.(registerOp).write {
					reads++
				}
			}
			t.Logf("%d operations, %d of them reads", len(h.operations), reads)
			if reads < 100 || len(h.operations) < 2*reads/3 {
				t.Error("too few operations succeeded to tell anything")
			}
			if !porcupine.CheckOperations(register, h.operations) {
				t.Error("no order explains what the clients saw")
			}
		})
	}
}

// history is what clients did and saw. Its clock is a counter, since a bubble's
// clock stands still while something happens.
type history struct {
	until time.Time
	clock atomic.Int64

	mu         sync.Mutex
	operations []porcupine.Operation
}

func (h *history) client(c *cluster, id int, random *rand.Rand) {
	for n := 0; time.Now().Before(h.until); n++ {
		<-time.After(time.Duration(random.IntN(400)) * time.Millisecond)
		r := c.node(c.peers[random.IntN(len(c.peers))].ID)
		if r == nil {
			continue
		}
		op := porcupine.Operation{ClientId: id, Call: h.clock.Add(1)}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		var err error
		if random.IntN(2) == 0 {
			value := string(rune('A'+id)) + time.Duration(n).String()
			op.Input = registerOp{true, value}
			_, _, err = r.Apply(ctx, []byte(value))
		} else {
			op.Input = registerOp{}
			if err = r.Read(ctx); err == nil {
				op.Output = r.ledger.last()
			}
		}
		cancel()
		op.Return = h.clock.Add(1)
		ambiguous := errors.Is(err, ErrAmbiguous)
		if ambiguous {
			op.Return = 1 << 62 // it may take effect at any time from now on
		}
		if err == nil || ambiguous {
			h.mu.Lock()
			h.operations = append(h.operations, op)
			h.mu.Unlock()
		}
		if ambiguous {
			id += 5 // porcupine's clients do one thing at a time
		}
	}
}

func (h *history) disturb(c *cluster, random *rand.Rand) {
	for time.Now().Before(h.until) {
		<-time.After(time.Duration(2+random.IntN(8)) * time.Second)
		r := c.nodes[c.peers[random.IntN(len(c.peers))].ID]
		switch random.IntN(4) {
		case 0: // it hears and is not heard, or the reverse
			for _, p := range c.peers {
				if random.IntN(2) == 0 {
					c.net.block(c.address(r), p.Address)
				} else {
					c.net.block(p.Address, c.address(r))
				}
			}
		case 1:
			c.isolate(r)
		case 2:
			r.raft.Load().LeadershipTransfer().Error()
		case 3:
			c.kill(r)
			c.start(Peer{r.cfg.ID, c.address(r)}, nil)
		}
		<-time.After(time.Duration(random.IntN(15)) * time.Second)
		c.join(r)
	}
}

func TestAcknowledgements(t *testing.T) {
	servers := []raft.Server{
		{ID: "a", Suffrage: raft.Voter}, {ID: "b", Suffrage: raft.Voter},
		{ID: "c", Suffrage: raft.Voter}, {ID: "d", Suffrage: raft.Nonvoter},
	}
	for _, tc := range []struct {
		name string
		acks map[raft.ServerID]acknowledgement
		want bool
	}{
		{"nobody answered", nil, false},
		{"one of two others", map[raft.ServerID]acknowledgement{"b": {7, 11}}, true},
		{"sent before the question", map[raft.ServerID]acknowledgement{"b": {7, 10}}, false},
		{"in an earlier term", map[raft.ServerID]acknowledgement{"b": {6, 11}}, false},
		{"from a replica without a vote", map[raft.ServerID]acknowledgement{"d": {7, 11}}, false},
	} {
		var a acknowledgements
		for id, ack := range tc.acks {
			a.record(id, ack)
		}
		if got := a.confirmed(servers, "a", 7, 10); got != tc.want {
			t.Errorf("%s: confirmed = %v", tc.name, got)
		}
	}
	var a acknowledgements
	if a.record("b", acknowledgement{7, 12}); !a.confirmed(servers, "a", 7, 10) {
		t.Error("a late answer was not counted")
	}
	if a.record("b", acknowledgement{7, 9}); !a.confirmed(servers, "a", 7, 10) {
		t.Error("an older answer replaced a newer one")
	}
	if !a.confirmed(servers[:1], "a", 7, 10) {
		t.Error("a lone replica needs nobody")
	}
}
