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
		rule := access["/"+service.ServiceName+"/"+name]
		if len(rule.roles) == 0 {
			t.Errorf("%s is denied to everybody; say in the table who may call it", name)
		}
		if rule.call < 1 || rule.call > callBurst/5 {
			t.Errorf("%s costs %d: say in the table what a call of it costs", name, rule.call)
		}
	}
	for _, m := range service.Methods {
		check(m.MethodName)
	}
	for _, s := range service.Streams {
		check(s.StreamName)
		if access["/"+service.ServiceName+"/"+s.StreamName].message < 1 {
			t.Errorf("a message of %s costs nothing", s.StreamName)
		}
	}
	beside := []string{reading, healthpb.Health_Check_FullMethodName}
	for _, name := range beside {
		if len(access[name].roles) == 0 || access[name].call < 1 {
			t.Errorf("%s is denied to everybody, or costs nothing", name)
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
