package rpc

import (
	"context"
	"testing"

	"coulisse/protocol/wire"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Every method is in the table, and nothing else is.
func TestTheTableIsTheService(t *testing.T) {
	service := wire.Coordinator_ServiceDesc
	n := 0
	check := func(name string) {
		n++
		if len(access["/"+service.ServiceName+"/"+name]) == 0 {
			t.Errorf("%s is denied to everybody; say in the table who may call it", name)
		}
	}
	for _, m := range service.Methods {
		check(m.MethodName)
	}
	for _, s := range service.Streams {
		check(s.StreamName)
	}
	beside := []string{reading, healthpb.Health_Check_FullMethodName}
	for _, name := range beside {
		if len(access[name]) == 0 {
			t.Errorf("%s is denied to everybody", name)
		}
	}
	if n+len(beside) != len(access) {
		t.Errorf("the table has %d methods, the service %d and %d beside", len(access), n, len(beside))
	}
}

func TestStrangersWait(t *testing.T) {
	g := make(gate, 2)
	ctx, cancel := context.WithCancel(t.Context())
	if !g.enter(ctx) || !g.enter(t.Context()) || g.enter(t.Context()) {
		t.Fatal("the gate does not hold two")
	}
	cancel()
	for !g.enter(t.Context()) { // leaves in a goroutine of its own
	}
}
