package rpc

import (
	"context"

	"coulisse/protocol/wire"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// health answers the standard health check, for balancers and probes. It tells
// nothing but whether this replica knows a leader, and so can serve.
type health struct {
	healthpb.UnimplementedHealthServer
	s *Service
}

// RegisterHealth adds the check to the server. It passes the same choke point
// as every other call.
func (s *Service) RegisterHealth(server *grpc.Server) {
	healthpb.RegisterHealthServer(server, health{s: s})
}

// Check implements healthpb.HealthServer. The service asked for makes no
// difference: there is one.
func (h health) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	var reply wire.StatusReply
	h.s.Leadership.Describe(&reply)
	if reply.GetLeader() == "" {
		return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING}, nil
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}
