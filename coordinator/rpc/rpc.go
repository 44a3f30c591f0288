// Package rpc is the coordinator's gRPC service: it admits callers, bounds and
// decodes what they send, and hands it to the package that does the work. It
// holds no state of its own.
//
// Who may call what is one table (access.go). Calls that change anything, and
// those that need the leader's memory, answer with the leader's address when
// this replica does not lead.
package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/coordinator/matcher"
	"coulisse/coordinator/notary"
	"coulisse/coordinator/relay"
	"coulisse/coordinator/sequencer"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	protobuf "google.golang.org/protobuf/proto"
)

// Leadership tells whether this replica leads.
type Leadership interface {
	// Lead returns a context that ends with the leadership, or a
	// refusal.NotLeader that names who leads.
	Lead() (context.Context, error)
	Describe(*wire.StatusReply)
}

// Config is what the service works with.
type Config struct {
	Trust authority.Trust
	// Issuing is this replica's certificate authority, as the roll lists it.
	Issuing func() (*authority.Authority, error)
	// NextAuthority makes its next one, or returns the one that is waiting.
	NextAuthority func(now time.Time) (*authority.Authority, error)
	Log           *sequencer.Sequencer
	Leadership    Leadership
	Relay         *relay.Hub
	Matcher       *matcher.Matcher
	Notary        *notary.Notary
	// CheckRoll refuses a roll that consensus is not ready for. The leader asks.
	CheckRoll func(protocol.Roll) error
	// Admits tells whether a replica's certificate still counts.
	Admits  func(protocol.ReplicaID) bool
	Version string
	Logger  *slog.Logger
	// Now is the clock of certificates and tokens.
	Now func() time.Time
}

// Service implements wire.CoordinatorServer.
type Service struct {
	wire.UnimplementedCoordinatorServer
	Config
	strangers gate
	limits    *limits
	draining  chan struct{} // closed by Drain
	drain     func()
}

// Bounds of the service.
const (
	// MaxMessage bounds a message, in bytes: a parcel with its frame.
	MaxMessage = relay.MaxParcel + 64<<10
	// maxStrangers bounds the calls under way without a certificate.
	maxStrangers = 16
	// window is how much of an upload is under way before it is taken.
	window = 1 << 20
	// workers answer one short call after the other; the rest get a goroutine each.
	workers = 32
	// maxStreams bounds the calls under way on one connection.
	maxStreams = 32
)

// New returns the service.
func New(c Config) *Service {
	s := &Service{Config: c, strangers: make(gate, maxStrangers), limits: newLimits(c.Now), draining: make(chan struct{})}
	s.drain = sync.OnceFunc(func() { close(s.draining) })
	return s
}

// Options are how a gRPC server must run the service: with the choke point of
// access, and with bounds on what a caller can hold. A caller that does not
// read holds up nobody but itself: some 64 KiB of messages wait for it in
// memory, and the next one is not read from the state before they are gone.
func (s *Service) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.InTapHandle(s.admit),
		grpc.StreamInterceptor(s.intercept),
		grpc.ForceServerCodecV2(exact{encoding.GetCodecV2(proto.Name)}),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.NumStreamWorkers(workers), // short calls find a stack that has grown
		grpc.MaxHeaderListSize(16 << 10),
		// Windows of a fixed size: measuring the line for a better one takes a
		// ping for every call of a quick exchange.
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 30 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 5 * time.Minute,
			// Ends, at last, even a stream that is stuck in a send.
			MaxConnectionAge: 12 * time.Hour, MaxConnectionAgeGrace: 30 * time.Minute,
			Time: time.Minute, Timeout: 20 * time.Second,
		}),
	}
}

// exact encodes messages into memory of their size. gRPC's own codec takes
// 1 MiB for all that is over 32 KiB, and a stream whose caller does not read
// holds three messages.
type exact struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (exact) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(protobuf.Message)
	if !ok {
		return nil, fmt.Errorf("encode a message: it is a %T", v)
	}
	raw, err := protobuf.Marshal(message)
	return mem.BufferSlice{mem.SliceBuffer(raw)}, err
}

// Drain ends every stream, so that the server can stop; nodes go on at another
// replica.
func (s *Service) Drain() { s.drain() }

func describeLog(tx federation.Tx, reply *wire.StatusReply) error {
	head, err := federation.Head(tx)
	if err != nil {
		return err
	}
	reply.LogSize, reply.LogRoot = head.Size, head.Root.String()
	if head.Size == 0 {
		return nil // not founded, so nobody is on a roll
	}
	view, err := federation.View(tx)
	if err != nil {
		return err
	}
	reply.Roll, err = protocol.Canonical(view.Roll)
	return err
}

// Status implements wire.CoordinatorServer. The digest of the state takes a
// while to compute, so only the operator gets it.
func (s *Service) Status(ctx context.Context, _ *wire.StatusRequest) (*wire.StatusReply, error) {
	reply := &wire.StatusReply{Replica: string(s.Log.Replica()), Version: s.Version, NowMs: s.Now().UnixMilli(), Rules: governance.Rules}
	err := s.Log.View(func(tx federation.Tx) error { return describeLog(tx, reply) })
	if err != nil {
		return nil, s.refuse(err)
	}
	s.Leadership.Describe(reply)
	if ca, err := s.Issuing(); err == nil {
		reply.Authority, reply.AuthorityMs = ca.Hash().String(), ca.Until().UnixMilli()
	}
	if callerOf(ctx).Role != authority.Operator {
		return reply, nil
	}
	hash, err := s.Log.StateHash()
	reply.StateHash = hash.String()
	return reply, s.refuse(err)
}
