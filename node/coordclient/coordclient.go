// Package coordclient is how a node reaches the coordinator: it dials any
// replica, finds the leader, and repeats what was not answered. A node opens
// no port.
//
// It carries bytes and reports errors of package refusal. It believes nothing
// of what it carries: entries go through package witness, and parcels through
// package post.
package coordclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/refusal"
	"coulisse/protocol/telemetry"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Config is what a client needs.
type Config struct {
	Addresses []string
	// TLS returns the configuration with the node's present certificate, which
	// knows the replicas by their keys. It is asked again at Reconnect.
	TLS    func() *tls.Config
	Logger *slog.Logger
	// LookAround is how often a follower compares how far it is with the
	// leader; every 15 seconds if it is 0.
	LookAround time.Duration
}

// Client is a node's connection to all replicas. Its methods may be called at
// once.
type Client struct {
	cfg Config

	// mu guards where the replicas are, the connections and the guess at who
	// leads.
	mu        sync.Mutex
	addresses []string
	conns     map[string]*grpc.ClientConn
	leader    string
	// size is how many entries a leader has said that the log has; see follow.go.
	size int64

	// outbox is where letters wait for the relay stream; see relay.go.
	outbox outbox
}

// Bounds of the messages that the coordinator sends, in bytes.
const (
	maxAnswer = 2 << 20  // most, and a parcel with its frame
	maxEntry  = 17 << 20 // of the log: the genesis holds every founder's card
	maxRecord = 64 << 20 // of a round: it holds the chain of decisions
)

// maxReplicas bounds the connections: a replica that names a leader at ever
// new addresses is not followed to all of them.
const maxReplicas = 32

// New returns a client. It dials nothing yet.
func New(cfg Config) *Client {
	return &Client{
		cfg: cfg, addresses: slices.Clone(cfg.Addresses),
		conns: map[string]*grpc.ClientConn{}, outbox: outbox{filled: make(chan struct{}, 1)},
	}
}

// Close closes every connection.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for address, conn := range c.conns {
		conn.Close()
		delete(c.conns, address)
	}
}

// Move says where the replicas are from now on. Calls under way at one that is
// gone are made again elsewhere.
func (c *Client) Move(addresses []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addresses = slices.Clone(addresses)
	for address, conn := range c.conns {
		if !slices.Contains(addresses, address) {
			conn.Close()
			delete(c.conns, address)
		}
	}
	if !slices.Contains(addresses, c.leader) {
		c.leader = ""
	}
}

func (c *Client) everywhere() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addresses
}

// Reconnect drops every connection, so that the next call shows the node's
// present certificate. Calls under way are made again.
func (c *Client) Reconnect() { c.Close() }

func (c *Client) stub(address string) (wire.CoordinatorClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn, ok := c.conns[address]
	if !ok {
		if len(c.conns) >= maxReplicas {
			return nil, fmt.Errorf("%w: it names more replicas than a coordinator has", refusal.ErrUnavailable)
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%w: a replica's address is not host:port", refusal.ErrUnavailable)
		}
		var err error
		if conn, err = dial(address, c.cfg.TLS()); err != nil {
			return nil, err
		}
		c.conns[address] = conn
	}
	return wire.NewCoordinatorClient(conn), nil
}

// dial's keepalive finds a peer that vanished within a minute and a half; the
// server allows a ping every 30 seconds.
func dial(address string, config *tls.Config) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewTLS(config)), telemetry.Client(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return conn, nil
}

// order is the replicas, the guessed leader first.
func (c *Client) order() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	addresses := make([]string, 0, len(c.addresses)+1)
	if c.leader != "" {
		addresses = append(addresses, c.leader)
	}
	for _, a := range c.addresses {
		if a != c.leader {
			addresses = append(addresses, a)
		}
	}
	return addresses
}

func (c *Client) learn(leader string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leader = leader
}

// Pauses between rounds of asking every replica.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// atLeader calls every replica in turn until one answers as the leader, and
// begins again until ctx ends. It waits as long as it is told to by a leader
// that is asked too much. Any other answer is returned as it is.
func (c *Client) atLeader(ctx context.Context, call func(context.Context, wire.CoordinatorClient) error) error {
	pause := firstPause
	for {
		err := c.patiently(ctx, func() error { return c.tryEach(ctx, call) })
		if !goesOn(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", refusal.ErrUnavailable, context.Cause(ctx))
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// goesOn reports whether another replica may answer what this one did not.
func goesOn(err error) bool {
	return errors.Is(err, refusal.ErrNotLeader) || errors.Is(err, refusal.ErrUnavailable)
}

// tryEach makes one round of the replicas, following one hint at the leader.
func (c *Client) tryEach(ctx context.Context, call func(context.Context, wire.CoordinatorClient) error) error {
	var last error = refusal.ErrUnavailable
	for _, address := range c.order() {
		err := c.try(ctx, address, call)
		var hint refusal.NotLeader
		if errors.As(err, &hint) && hint.Address != "" && hint.Address != address {
			address = hint.Address
			err = c.try(ctx, address, call)
		}
		if err == nil {
			c.learn(address)
			return nil
		}
		if !goesOn(err) {
			return err
		}
		last = err
	}
	c.learn("")
	return last
}

func (c *Client) try(ctx context.Context, address string, call func(context.Context, wire.CoordinatorClient) error) error {
	stub, err := c.stub(address)
	if err != nil {
		return err
	}
	err = call(ctx, stub)
	if status.Code(err) == codes.Canceled && ctx.Err() == nil {
		return fmt.Errorf("%w: the connection was closed", refusal.ErrUnavailable) // by Reconnect
	}
	return refusal.FromStatus(err)
}

// answer bounds one attempt of a short call, so that a replica that hangs does
// not hold it up while another could answer.
const answer = 5 * time.Second

// Submit appends a signed document to the log and returns its place. It keeps
// trying until ctx ends: the log takes the same document once.
func (c *Client) Submit(ctx context.Context, label protocol.Label, document []byte) (int64, error) {
	var seq int64
	err := c.atLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		ctx, cancel := context.WithTimeout(ctx, answer)
		defer cancel()
		reply, err := stub.Submit(ctx, &wire.SubmitRequest{Label: string(label), Document: document})
		seq = reply.GetSeq()
		return err
	})
	if err == nil {
		c.heard(seq + 1)
	}
	return seq, err
}

// Renew exchanges a certificate request for the node's next certificate, and its
// authority's. The proof is the node key's signature of [protocol.Renewal].
func (c *Client) Renew(ctx context.Context, request, proof []byte) (certificate, authority []byte, err error) {
	err = c.atLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		ctx, cancel := context.WithTimeout(ctx, answer)
		defer cancel()
		reply, err := stub.Renew(ctx, &wire.RenewRequest{CertificateRequest: request, Proof: proof})
		certificate, authority = reply.GetCertificate(), reply.GetAuthority()
		return err
	})
	return certificate, authority, err
}

// Export returns the record of a published round, still to be verified.
func (c *Client) Export(ctx context.Context, round protocol.RoundID) ([]byte, error) {
	var rec []byte
	err := c.atLeader(ctx, func(ctx context.Context, stub wire.CoordinatorClient) error {
		ctx, cancel := context.WithTimeout(ctx, 6*answer)
		defer cancel()
		reply, err := stub.Export(ctx, &wire.ExportRequest{Round: string(round)}, grpc.MaxCallRecvMsgSize(maxRecord))
		rec = reply.GetRecord()
		return err
	})
	return rec, err
}

// tryLeader calls the replica that leads, asking who that is if need be. The
// call itself is made at most once at a leader.
func (c *Client) tryLeader(ctx context.Context, call func(context.Context, wire.CoordinatorClient) error) error {
	leader, err := c.findLeader(ctx)
	if err != nil {
		return err
	}
	if err := c.try(ctx, leader, call); err != nil {
		c.learn("")
		return err
	}
	return nil
}

// Reign names the leader and its term: another name means that whatever the
// last leader held in memory is gone.
func (c *Client) Reign(ctx context.Context) (string, error) {
	_, reply, err := c.ask(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/%d", reply.GetReplica(), reply.GetTerm()), nil
}

// Extent is how many entries the leader's log has.
func (c *Client) Extent(ctx context.Context) (int64, error) {
	_, reply, err := c.ask(ctx)
	return reply.GetLogSize(), err
}

func (c *Client) findLeader(ctx context.Context) (string, error) {
	address, _, err := c.ask(ctx)
	return address, err
}

// ask asks the replicas who leads, and believes only the leader itself: where
// it answered, it is.
func (c *Client) ask(ctx context.Context) (string, *wire.StatusReply, error) {
	asked := map[string]bool{}
	queue := c.order()
	for len(queue) > 0 && len(asked) < maxReplicas {
		address := queue[0]
		queue = queue[1:]
		if asked[address] {
			continue
		}
		asked[address] = true
		reply, err := c.status(ctx, address)
		if err != nil {
			continue
		}
		if reply.GetState() == "leader" {
			c.learn(address)
			c.heard(reply.GetLogSize())
			return address, reply, nil
		}
		if hint := reply.GetLeaderAddress(); hint != "" {
			queue = append(queue, hint)
		}
	}
	c.learn("")
	return "", nil, refusal.ErrUnavailable
}

func (c *Client) status(ctx context.Context, address string) (*wire.StatusReply, error) {
	stub, err := c.stub(address)
	if err != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	return stub.Status(asking, &wire.StatusRequest{})
}
