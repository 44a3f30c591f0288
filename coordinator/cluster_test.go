package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coulisse/coordinator/consensus"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
)

// cluster is a coordinator of three replicas on loopback with its founders.
type cluster struct {
	t        *testing.T
	dir      string
	peers    []consensus.Peer
	card     Card
	founding protocol.Founding
	id       protocol.Hash
	members  []*federationtest.Member
	replicas []*running
	office   *Office
	desk     *client // the office's connections
	// ahead is how far the replicas' clock is ahead of the wall's.
	ahead atomic.Int64
	// clocks are how far each one's clock is ahead of that.
	clocks [5]atomic.Int64
}

// running is a replica that was started; stop ends it.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

var fast = consensus.Timing{
	Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 200 * time.Millisecond,
	Commit: 5 * time.Millisecond, Exchange: 5 * time.Second,
}

// found makes and starts a coordinator for a federation of n members,
// "membre-01" and so on.
func found(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{}
	foundOn(t, c, n)
	return c
}

func foundOn(t *testing.T, c *cluster, n int) {
	t.Helper()
	c.t, c.replicas = t, make([]*running, 3)
	for range n {
		c.members = append(c.members, federationtest.NewMember(t, protocol.MemberID(fmt.Sprintf("membre-%02d", len(c.members)+1))))
	}
	// Somebody else may take a port that was free a moment ago: try again.
	for attempt := 1; ; attempt++ {
		c.create()
		err := c.startAll()
		if err == nil {
			break
		}
		if attempt == 5 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for i := range c.replicas {
			c.stop(i)
		}
	})
}

// create makes the folders, and a founding that every founder has signed.
func (c *cluster) create() {
	c.t.Helper()
	c.dir, c.peers = c.t.TempDir(), nil
	for i := range c.replicas {
		c.peers = append(c.peers, consensus.Peer{ID: protocol.ReplicaID(fmt.Sprintf("r%d", i+1)), Address: freeAddress(c.t)})
	}
	var err error
	charter := federationtest.Charter()
	if c.card, err = Create(c.dir, charter.Namespace, c.peers, time.Now()); err != nil {
		c.t.Fatal(err)
	}
	if c.office, err = OpenOffice(filepath.Join(c.dir, DirOperator)); err != nil {
		c.t.Fatal(err)
	}
	c.desk = c.dial(nil, &c.office.creds.certificate)
	g := protocol.Genesis{Charter: charter, Replicas: c.card.Replicas, At: protocol.At(time.Now())}
	for _, m := range c.members {
		g.Founders = append(g.Founders, m.Signed)
	}
	if c.id, err = g.ID(); err != nil {
		c.t.Fatal(err)
	}
	c.founding = protocol.Founding{Genesis: g}
	for _, m := range c.members {
		c.founding.Assents = append(c.founding.Assents, sign(c, m, m.Vote, protocol.Head{}, protocol.Assent{Genesis: c.id}))
	}
}

func freeAddress(t *testing.T) consensus.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return consensus.Address(l.Addr().String())
}

func (c *cluster) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *cluster) config(i int) Config {
	return Config{
		Dir: filepath.Join(c.dir, string(c.peers[i].ID)), Founding: &c.founding, Version: "test",
		Now:    func() time.Time { return c.now().Add(time.Duration(c.clocks[i].Load())) },
		Timing: fast, Logger: slog.New(slog.NewTextHandler(testWriter{c.t}, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

func (c *cluster) startAll() error {
	for i := range c.replicas {
		if err := c.start(i); err != nil {
			return err
		}
	}
	// Founded, and led.
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for {
		for _, r := range c.replicas {
			select {
			case err := <-r.done:
				for i := range c.replicas {
					c.stop(i)
				}
				return err
			default:
			}
		}
		if err := c.await(ctx, 0, 1); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return err
		}
	}
}

func (c *cluster) start(i int) error {
	r, err := Open(c.config(i))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.replicas[i] = &running{cancel, make(chan error, 1)}
	go func(done chan error) { done <- r.Run(ctx) }(c.replicas[i].done)
	return nil
}

// stop ends a replica as SIGTERM does, and waits for it.
func (c *cluster) stop(i int) {
	if r := c.replicas[i]; r != nil {
		r.cancel()
		if err := <-r.done; err != nil {
			c.t.Errorf("replica %d ended with %v", i+1, err)
		}
		r.done <- nil
		c.replicas[i] = nil
	}
}

// leader finds the replica that leads.
func (c *cluster) leader() int {
	c.t.Helper()
	for range 100 {
		for i, s := range c.status() {
			if s.GetState() == "leader" {
				return i
			}
		}
		pause(c.t.Context(), 20*time.Millisecond)
	}
	c.t.Fatal("no replica leads")
	return 0
}

// status asks every replica; nil for one that does not answer.
func (c *cluster) status() []*wire.StatusReply {
	all := make([]*wire.StatusReply, len(c.peers))
	for i, stub := range c.desk.stubs {
		ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Second)
		all[i], _ = stub.Status(ctx, &wire.StatusRequest{})
		cancel()
	}
	return all
}

func (c *cluster) head() protocol.Head {
	c.t.Helper()
	log := c.log()
	head, err := federation.Head(log)
	if err != nil {
		c.t.Fatal(err)
	}
	return head
}

// log follows the log of the leader up to its present size, by the rules that
// every node follows it by.
func (c *cluster) log() *federation.Memory {
	c.t.Helper()
	var size int64
	for _, s := range c.status() {
		size = max(size, s.GetLogSize())
	}
	var log federation.Memory
	err := c.follow(c.t.Context(), size, func(entry protocol.Entry) error { return log.Apply(entry) })
	if err != nil {
		c.t.Fatal(err)
	}
	return &log
}

// follow reads size entries from whichever replica has them.
func (c *cluster) follow(ctx context.Context, size int64, take func(protocol.Entry) error) error {
	next := int64(0)
	for turn := 0; next < size; turn++ {
		err := c.followOne(ctx, turn%len(c.peers), &next, size, take)
		if err != nil && turn > 30 || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	return nil
}

func (c *cluster) followOne(ctx context.Context, i int, next *int64, size int64, take func(protocol.Entry) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	stream, err := c.desk.stubs[i].Follow(ctx, &wire.FollowRequest{From: *next})
	if err != nil {
		return err
	}
	for *next < size {
		reply, err := stream.Recv()
		if err != nil {
			return err
		}
		entry, err := protocol.Decode[protocol.Entry](reply.GetEntry())
		if err != nil {
			return err
		}
		if err := take(entry); err != nil {
			return fmt.Errorf("entry %d: %w", entry.Seq, err)
		}
		*next++
	}
	return nil
}

// await waits until a replica has so many entries.
func (c *cluster) await(ctx context.Context, i int, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := c.desk.stubs[i].Follow(ctx, &wire.FollowRequest{From: size - 1}, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

// settle waits until every replica that runs has the whole log.
func (c *cluster) settle() {
	c.t.Helper()
	size := federation.Size(c.log())
	for i, r := range c.replicas {
		if r != nil {
			if err := c.await(c.t.Context(), i, size); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// until waits for a condition of the log.
func (c *cluster) until(what string, met func(*federation.Memory) bool) *federation.Memory {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); pause(c.t.Context(), 10*time.Millisecond) {
		if log := c.log(); met(log) {
			return log
		}
	}
	c.t.Fatalf("it never came to pass: %s", what)
	return nil
}
