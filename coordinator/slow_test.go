package coordinator

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Followers that do not read hold up nobody, and little memory: the log here
// is much longer than what each of them may pin.
func TestFollowersThatDoNotRead(t *testing.T) {
	c := found(t, 3)
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
	for range followers / perConnection {
		// Windows that do not grow: what the client buffers is not measured.
		p := c.dial(nil, clients[0].cert, grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
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
