package telemetry

import (
	"context"
	"net"
	"strings"
	"testing"

	"coulisse/protocol/wire"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

type coordinator struct {
	wire.UnimplementedCoordinatorServer
}

func (coordinator) Submit(_ context.Context, req *wire.SubmitRequest) (*wire.SubmitReply, error) {
	return nil, status.Error(codes.InvalidArgument, "it says "+string(req.GetDocument()))
}

// TestSpansSayNothingOfWhatMembersWrote makes a call that carries a word, and
// whose refusal even repeats it, and looks for the word in every span.
func TestSpansSayNothingOfWhatMembersWrote(t *testing.T) {
	t.Setenv(endpoints[0], "http://127.0.0.1:1") // so that calls are traced
	spans := tracetest.NewInMemoryExporter()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(quiet{spans})))
	defer otel.SetTracerProvider(before)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(Server())
	wire.RegisterCoordinatorServer(server, coordinator{})
	go server.Serve(listener)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), Client())
	if err != nil {
		t.Fatal(err)
	}
	const word = "camille@example.org"
	if _, err := wire.NewCoordinatorClient(conn).Submit(t.Context(), &wire.SubmitRequest{Label: word, Document: []byte(word)}); err == nil {
		t.Fatal("the call was not refused")
	}
	conn.Close()
	server.GracefulStop()
	got := spans.GetSpans()
	if len(got) != 2 {
		t.Fatalf("%d spans, want the client's and the server's", len(got))
	}
	for _, span := range got {
		if !strings.HasSuffix(span.Name, "Coordinator/Submit") {
			t.Errorf("a span is called %q", span.Name)
		}
		said := span.Name + span.Status.Description
		for _, a := range span.Attributes {
			said += " " + string(a.Key) + "=" + a.Value.String()
		}
		for _, e := range span.Events {
			said += " " + e.Name
			for _, a := range e.Attributes {
				said += " " + a.Value.String()
			}
		}
		if strings.Contains(said, word) {
			t.Errorf("a span repeats what a member wrote: %s", said)
		}
	}
}

func TestOffUnlessAskedFor(t *testing.T) {
	for _, name := range endpoints {
		t.Setenv(name, "")
	}
	before := otel.GetTracerProvider()
	stop, err := Start(t.Context(), "coulisse-node", "test")
	if err != nil || otel.GetTracerProvider() != before {
		t.Errorf("tracing began unasked: %v", err)
	}
	stop()
}
