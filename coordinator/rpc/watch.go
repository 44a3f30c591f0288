package rpc

import (
	"context"
	"time"

	"coulisse/coordinator/authority"
	"coulisse/protocol/refusal"

	"google.golang.org/grpc"
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
	err := next(srv, watchedStream{stream, ctx})
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

// watchedStream is a stream with a context that watch ends.
type watchedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s watchedStream) Context() context.Context { return s.ctx }
