package coordinator

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/pinned"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// heap is what this process holds in memory, its goroutines' stacks included.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// Followers that do not read hold up nobody, and little memory: the log here
// is much longer than what each of them may pin.
func TestFollowersThatDoNotRead(t *testing.T) {
	c := found(t, 6)
	clients := c.enrolAll()
	head, size := c.head(), 0
	for _, p := range clients[:2] {
		for n := range 20 {
			text := protocol.PolicyText{Name: "longue", Text: strings.Repeat("// Une politique bien longue.\n", 2000)}
			s := sign(c, p.member, p.member.Vote, head, c.proposal(fmt.Sprint("Proposition ", n), protocol.Effect{SetPolicy: &text}))
			if _, err := send(p, s); err != nil {
				t.Fatal(err)
			}
			size += len(s.Body)
		}
	}
	c.settle()
	before := heap()
	const followers, perConnection = 96, 8
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var streams []interface {
		Recv() (*wire.FollowReply, error)
	}
	for i := range followers / perConnection {
		// Windows that do not grow: what the client buffers is not measured.
		p := c.dial(nil, clients[i%len(clients)].cert, grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
		for range perConnection {
			stream, err := p.stubs[0].Follow(ctx, &wire.FollowRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil { // the genesis, and no more
				t.Fatal(err)
			}
			streams = append(streams, stream)
		}
	}
	if _, err := send(clients[0], sign(c, clients[0].member, clients[0].member.Vote, head,
		c.proposal("Pendant ce temps", protocol.Effect{SetFloors: &floors}))); err == nil {
		t.Error("a member has more proposals pending than it may")
	}
	c.settle()
	// Both ends are in this process.
	each := (heap() - before) / followers
	t.Logf("a follower that does not read costs %d KiB, both ends together", each>>10)
	if each > 1<<20 {
		t.Errorf("a follower that does not read pins %d KiB of a log of %d KiB", each>>10, size>>10)
	}
	for range 40 {
		if _, err := streams[0].Recv(); err != nil {
			t.Fatal("a follower that reads again:", err)
		}
	}
}

// TestAThousandSlowClients keeps a thousand connections half done, in each way
// in which that can be: they cost little memory, and a member is served as if
// they were not there.
func TestAThousandSlowClients(t *testing.T) {
	c := found(t, 3)
	p := c.enrol(c.members[0])
	before := heap()
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	stranger := pinned.Dial(c.office.trusts, nil)
	stranger.NextProtos = []string{consensus.ProtocolGRPC}
	for i := range 1000 {
		conn, err := net.Dial("tcp", string(c.peers[c.leader()].Address))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		switch i % 4 {
		case 0: // says nothing
		case 1: // begins a handshake and stops
			_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1})
		case 2: // a handshake, and then nothing
			secured := tls.Client(conn, stranger)
			_ = secured.HandshakeContext(t.Context()) // one too many is cut off
		case 3: // and then the beginning of a request
			secured := tls.Client(conn, stranger)
			if secured.HandshakeContext(t.Context()) == nil {
				_, _ = secured.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\x01"))
			}
		}
		if i%250 == 100 {
			vote(p, c.proposal(fmt.Sprint("Proposition ", i), protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
		}
	}
	each := (heap() - before) / 1000
	t.Logf("a slow client costs %d KiB, both ends together", each>>10)
	if each > 128<<10 {
		t.Errorf("a slow client pins %d KiB", each>>10)
	}
	vote(p, c.proposal("Encore", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}}))
}

// TestEverybodyReconnects has 150 members follow the log, and stops the replica
// that they all follow: every one of them goes on at another.
func TestEverybodyReconnects(t *testing.T) {
	if testing.Short() {
		t.Skip("it enrols 150 members")
	}
	c := found(t, 150)
	clients := c.enrolAll()
	leader := c.leader()
	c.settle()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	caught := make(chan error, len(clients))
	var goal atomic.Int64 // 0 while it is not known
	before := heap()
	for _, p := range clients {
		go func() { caught <- p.keepFollowing(ctx, leader, &goal) }()
	}
	c.stop(leader)
	began := time.Now()
	vote(clients[0], c.proposal("Après", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	goal.Store(c.head().Size)
	vote(clients[1], c.proposal("Enfin", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})) // wakes who has read it all
	for range clients {
		if err := <-caught; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("150 members read on %v after the leader stopped, at %d KiB each, both ends together",
		time.Since(began).Round(10*time.Millisecond), (heap()-before)/150>>10)
}

// keepFollowing follows at one replica and, whenever that ends, at the next,
// until it has read up to the goal.
func (p *client) keepFollowing(ctx context.Context, first int, goal *atomic.Int64) error {
	var size int64
	for at := first; ctx.Err() == nil; at = (at + 1) % len(p.stubs) {
		stream, err := p.stubs[at].Follow(ctx, &wire.FollowRequest{From: size})
		for err == nil {
			if _, err = stream.Recv(); err == nil {
				size++
			}
			if to := goal.Load(); to > 0 && size >= to {
				return nil
			}
		}
		pause(ctx, 20*time.Millisecond)
	}
	return fmt.Errorf("a member read %d entries and no further: %w", size, ctx.Err())
}
