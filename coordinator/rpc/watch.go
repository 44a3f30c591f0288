package rpc

import (
	"context"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/protocol/refusal"

	"google.golang.org/grpc"
	protobuf "google.golang.org/protobuf/proto"
)

// intercept ends a stream when its caller is no longer welcome, when its
// certificate expires, and when the replica stops.
func (s *Service) intercept(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if c := callerOf(stream.Context()); c.Role == authority.Member {
		if err := s.limits.stream(stream.Context(), c.member()); err != nil {
			return s.refuse(err)
		}
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		cancel(s.watch(ctx, info.FullMethod))
	}()
	err := next(srv, &watchedStream{ServerStream: stream, ctx: ctx, method: info.FullMethod, limits: s.limits})
	ended := context.Cause(ctx)
	cancel(nil)
	<-watching
	if ended != nil && stream.Context().Err() == nil {
		return s.refuse(ended)
	}
	return err
}

// watch returns why a stream must end, or nil when it has ended itself.
func (s *Service) watch(ctx context.Context, method string) error {
	c := callerOf(ctx)
	expiry := time.NewTimer(c.certificate.NotAfter.Sub(s.Now()) + time.Second)
	defer expiry.Stop()
	for {
		grown := s.Log.Grown()
		if err := s.welcome(c, method); err != nil {
			return err
		}
		if err := s.certified(c, method); err != nil {
			return err
		}
		select {
		case <-grown:
		case <-expiry.C:
		case <-s.draining:
			return refusal.ErrUnavailable
		case <-ctx.Done():
			return nil
		}
	}
}

// watchedStream is a stream with a context that watch ends, and that is no
// faster than its caller's allowance.
type watchedStream struct {
	grpc.ServerStream
	ctx    context.Context
	method string
	limits *limits
}

func (s *watchedStream) Context() context.Context { return s.ctx }

// SendMsg implements [grpc.ServerStream].
func (s *watchedStream) SendMsg(m any) error {
	if err := s.pace(m); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// RecvMsg implements [grpc.ServerStream]. One message waits, and what follows
// stays with the sender.
func (s *watchedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.pace(m)
}

func (s *watchedStream) pace(m any) error {
	weight := access[s.method].message
	if message, ok := m.(protobuf.Message); ok {
		weight = max(weight, protobuf.Size(message))
	}
	return s.limits.message(s.ctx, callerOf(s.ctx).Party, weight)
}
