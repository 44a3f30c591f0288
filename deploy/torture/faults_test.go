//go:build unix

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// fault is something that goes wrong for a while.
type fault struct {
	name string
	// strike does it to the replica that leads, or to another one where the
	// name says so. lasting ends when it is over.
	strike func(tw *town, lasting context.Context, leader int, random *rand.Rand)
}

// follower is any replica but the leader.
func follower(leader int, random *rand.Rand) int { return (leader + 1 + random.IntN(2)) % 3 }

// others calls fn for each of the others.
func others(i int, fn func(j int)) { fn((i + 1) % 3); fn((i + 2) % 3) }

func (tw *town) isolate(i int) {
	others(i, func(j int) { tw.net.block(i, j); tw.net.block(j, i) })
}

func (tw *town) join(i int) {
	others(i, func(j int) { tw.net.free(i, j); tw.net.free(j, i) })
}

// kill ends replicas as a power cut would, and starts them in the end.
func (tw *town) kill(lasting context.Context, victims ...int) {
	for _, i := range victims {
		tw.replicas[i].end(syscall.SIGKILL)
	}
	pause(lasting, time.Minute)
}

var faults = []fault{
	{"the leader is cut off", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		tw.isolate(leader)
		<-lasting.Done()
	}},
	{"SIGKILL of the leader", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		tw.kill(lasting, leader)
	}},
	{"a follower is cut off", func(tw *town, lasting context.Context, leader int, random *rand.Rand) {
		tw.isolate(follower(leader, random))
		<-lasting.Done()
	}},
	{"the leader hears and is not heard", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		others(leader, func(j int) { tw.net.block(leader, j) })
		<-lasting.Done()
	}},
	{"SIGKILL of all three", func(tw *town, lasting context.Context, _ int, _ *rand.Rand) {
		tw.kill(lasting, 0, 1, 2)
	}},
	{"the leader's clock jumps", func(tw *town, lasting context.Context, leader int, random *rand.Rand) {
		tw.replicas[leader].jump([]time.Duration{-time.Hour, time.Hour}[random.IntN(2)])
		<-lasting.Done()
	}},
	{"connections drop", func(tw *town, lasting context.Context, _ int, random *rand.Rand) {
		for lasting.Err() == nil {
			tw.net.each((*link).cut)
			pause(lasting, time.Duration(100+random.IntN(400))*time.Millisecond)
		}
	}},
	{"a follower is heard and does not hear", func(tw *town, lasting context.Context, leader int, random *rand.Rand) {
		victim := follower(leader, random)
		others(victim, func(j int) { tw.net.block(j, victim) })
		<-lasting.Done()
	}},
	{"links flap", func(tw *town, lasting context.Context, _ int, random *rand.Rand) {
		for lasting.Err() == nil {
			victim := random.IntN(3)
			tw.isolate(victim)
			pause(lasting, time.Duration(50+random.IntN(700))*time.Millisecond)
			tw.join(victim)
			pause(lasting, time.Duration(random.IntN(200))*time.Millisecond)
		}
	}},
	{"200 ms each way", func(tw *town, lasting context.Context, _ int, _ *rand.Rand) {
		tw.net.distort(200*time.Millisecond, false)
		<-lasting.Done()
	}},
	{"odd pieces", func(tw *town, lasting context.Context, _ int, _ *rand.Rand) {
		tw.net.distort(0, true)
		<-lasting.Done()
	}},
	{"the leader freezes", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		tw.replicas[leader].signal(syscall.SIGSTOP)
		<-lasting.Done()
		tw.replicas[leader].signal(syscall.SIGCONT)
	}},
	{"SIGKILL of a follower", func(tw *town, lasting context.Context, leader int, random *rand.Rand) {
		tw.kill(lasting, follower(leader, random))
	}},
	{"the nodes do not reach the leader", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		tw.net.gateways[leader].there.block()
		<-lasting.Done()
	}},
	{"the nodes do not hear the leader", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		tw.net.gateways[leader].back.block()
		<-lasting.Done()
	}},
	{"SIGTERM of the leader", func(tw *town, lasting context.Context, leader int, _ *rand.Rand) {
		tw.replicas[leader].end(syscall.SIGTERM)
		<-lasting.Done()
	}},
	{"a link between two is cut", func(tw *town, lasting context.Context, leader int, random *rand.Rand) {
		victim := follower(leader, random)
		tw.net.block(leader, victim)
		tw.net.block(victim, leader)
		<-lasting.Done()
	}},
	{"a follower's clock jumps and the leader falls", func(tw *town, lasting context.Context, leader int, random *rand.Rand) {
		ahead := []time.Duration{-time.Hour, time.Hour}[random.IntN(2)]
		others(leader, func(j int) { tw.replicas[j].jump(ahead) })
		tw.kill(lasting, leader)
	}},
	{"a replica comes back with a wrong clock", func(tw *town, lasting context.Context, _ int, random *rand.Rand) {
		victim := tw.replicas[random.IntN(3)]
		victim.end(syscall.SIGKILL)
		victim.jump([]time.Duration{-time.Hour, time.Hour}[random.IntN(2)])
		if err := victim.start(); err != nil {
			tw.t.Error(err)
		}
		<-lasting.Done()
	}},
}

// disturb strikes with every fault once, in the seed's order, and again, until
// ctx ends. It leaves everything whole.
func (tw *town) disturb(ctx context.Context, o *observer, random *rand.Rand, short bool) map[string]int {
	struck, deck := map[string]int{}, []int(nil)
	for ctx.Err() == nil {
		if len(deck) == 0 {
			deck = random.Perm(len(faults))
		}
		f, length, calm := faults[deck[0]], 1+random.IntN(8), random.IntN(3000)
		deck = deck[1:]
		lasts := time.Duration(length) * time.Second
		if short {
			lasts, calm = 900*time.Millisecond, calm/6
		}
		lasting, cancel := context.WithTimeout(ctx, lasts)
		leader := o.leading()
		tw.t.Logf("%s: %s; %s leads", time.Now().UTC().Format("15:04:05.000"), f.name, tw.replicas[leader].id)
		f.strike(tw, lasting, leader, random)
		cancel()
		struck[f.name]++
		tw.repair()
		pause(ctx, time.Duration(calm)*time.Millisecond)
	}
	return struck
}

// repair ends every fault.
func (tw *town) repair() {
	tw.net.heal()
	for _, r := range tw.replicas {
		r.jump(0)
		if err := r.start(); err != nil {
			tw.t.Error(err)
		}
	}
}

// observer asks the replicas, past every proxy, who leads.
type observer struct {
	tw *town

	// mu guards what follows.
	mu      sync.Mutex
	leaders map[uint64]int // by term
	last    uint64
	leader  int
}

// watch looks until ctx ends.
func (tw *town) watch(ctx context.Context) (*observer, *sync.WaitGroup) {
	o := &observer{tw: tw, leaders: map[uint64]int{}}
	var watching sync.WaitGroup
	for i := range tw.replicas {
		watching.Go(func() { o.watchOne(ctx, i) })
	}
	return o, &watching
}

func (o *observer) watchOne(ctx context.Context, i int) {
	conn, err := grpc.NewClient(o.tw.replicas[i].listen, grpc.WithTransportCredentials(credentials.NewTLS(o.tw.members[0].tls())))
	if err != nil {
		o.tw.t.Error(err)
		return
	}
	defer conn.Close()
	stub, before := wire.NewCoordinatorClient(conn), uint64(0)
	for ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		reply, err := stub.Status(asking, &wire.StatusRequest{})
		cancel()
		term := reply.GetTerm()
		if err != nil || reply.GetState() != "leader" {
			term = 0
		}
		// A replica reads its state before its term, and terms only grow: who
		// said twice that it leads, and in the same term, led in that term.
		if term != 0 && term == before {
			o.note(term, i)
		}
		before = term
		pause(ctx, 100*time.Millisecond)
	}
}

func (o *observer) note(term uint64, i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if other, known := o.leaders[term]; known && other != i {
		o.tw.t.Errorf("replicas %s and %s both led in term %d", o.tw.replicas[other].id, o.tw.replicas[i].id, term)
	}
	o.leaders[term] = i
	if term >= o.last {
		o.last, o.leader = term, i
	}
}

// leading is the last leader that was seen.
func (o *observer) leading() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.leader
}

func (o *observer) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprintf("%d terms with a leader, the last is %d", len(o.leaders), o.last)
}
