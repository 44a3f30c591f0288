// Package telemetry traces calls between nodes and the coordinator with
// OpenTelemetry, if the operator asks for it by the standard environment
// variables (OTEL_EXPORTER_OTLP_ENDPOINT and those beside it). It is off
// otherwise, and then costs nothing.
//
// A span names a method, how long it took and how it ended: nothing that a
// member wrote goes into one.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// endpoints are the variables that turn tracing on.
var endpoints = []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}

// flush is how long the last spans may take when the process ends.
const flush = 5 * time.Second

// Start begins to export spans of a service, "coulisse-coordinator" or
// "coulisse-node", if the environment says where to. What it returns ends it.
func Start(ctx context.Context, service, version string) (stop func(), err error) {
	if !wanted() {
		return func() {}, nil
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	described, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(
		attribute.String("service.name", service), attribute.String("service.version", version)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("export traces: %w", err), exporter.Shutdown(ctx))
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(quiet{exporter}), trace.WithResource(described))
	otel.SetTracerProvider(provider)
	return func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flush)
		defer cancel()
		_ = provider.Shutdown(last) // there is nobody left to tell
	}, nil
}

func wanted() bool {
	return slices.ContainsFunc(endpoints, func(name string) bool { return os.Getenv(name) != "" })
}

// quiet exports spans without the words of an error: they are for people, and
// may name a member.
type quiet struct{ trace.SpanExporter }

// ExportSpans implements trace.SpanExporter.
func (q quiet) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	muted := make([]trace.ReadOnlySpan, len(spans))
	for i, span := range spans {
		muted[i] = mutedSpan{span}
	}
	return q.SpanExporter.ExportSpans(ctx, muted)
}

type mutedSpan struct{ trace.ReadOnlySpan }

// Status implements trace.ReadOnlySpan.
func (m mutedSpan) Status() trace.Status { return trace.Status{Code: m.ReadOnlySpan.Status().Code} }

// unwatched leaves out what goes on for as long as a connection does: such a
// span would end with the process.
var unwatched = map[string]bool{
	"/coulisse.v1.Coordinator/Follow": true, "/coulisse.v1.Coordinator/Relay": true, "/grpc.health.v1.Health/Watch": true,
}

func brief(info *stats.RPCTagInfo) bool { return !unwatched[info.FullMethodName] }

// Server traces the calls that a gRPC server answers.
func Server() grpc.ServerOption {
	if !wanted() {
		return grpc.EmptyServerOption{}
	}
	return grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithFilter(brief)))
}

// Client traces the calls that a gRPC client makes.
func Client() grpc.DialOption {
	if !wanted() {
		return grpc.EmptyDialOption{}
	}
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithFilter(brief)))
}
