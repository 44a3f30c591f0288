package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// maySuspended is what is left to a suspended member, written a second time.
var maySuspended = []string{"Follow", "Checkpoint", "Prove", "Export", "Status", "Renew", "Submit", "Enroll"}

func TestSuspendedMembersRead(t *testing.T) {
	c := found(t, 5)
	clients := make([]*client, len(c.members))
	for i, m := range c.members {
		clients[i] = c.enrol(m)
	}
	suspended, last := clients[4], c.members[4].ID
	c.decide(clients, protocol.Effect{Suspend: last})
	c.settle()
	for _, method := range methods() {
		for _, conn := range suspended.conns {
			err := try(t, conn, method)
			refused := strings.Contains(status.Convert(err).Message(), "suspended") || status.Convert(err).Message() == denied
			if refused == slices.Contains(maySuspended, method) {
				t.Errorf("%s by a suspended member: %v", method, err)
			}
		}
	}
	_, err := send(suspended, sign(c, c.members[4], c.members[4].Vote, c.head(), c.proposal("Non", protocol.Effect{Reinstate: last})))
	if !errors.Is(err, federation.ErrRefused) {
		t.Errorf("a suspended member proposes: %v", err)
	}
	c.decide(clients[:4], protocol.Effect{Reinstate: last})
	c.settle()
	vote(suspended, c.proposal("Oui", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
}

func TestHealthCheck(t *testing.T) {
	c := found(t, 3)
	office := c.office.creds.certificate
	member := c.enrol(c.members[0])
	c.settle() // a replica that is behind does not know the certificate yet
	for name, p := range map[string]*client{"stranger": c.dial(nil, nil), "member": member, "office": c.dial(nil, &office)} {
		for _, conn := range p.conns {
			reply, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
			if err != nil || reply.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				t.Errorf("%s: %v, %v", name, reply.GetStatus(), err)
			}
			list, err := healthpb.NewHealthClient(conn).List(t.Context(), &healthpb.HealthListRequest{})
			if status.Code(err) != codes.PermissionDenied {
				t.Errorf("%s lists %v: what is not in the table is denied (%v)", name, list, err)
			}
		}
	}
}

// TestRefusedDocumentsCostNoConsensus floods a coordinator with documents that
// the state refuses: after some twenty, none is replicated any more, and another
// member is not held up.
func TestRefusedDocumentsCostNoConsensus(t *testing.T) {
	c := found(t, 3)
	flooder, other := c.enrol(c.members[0]), c.enrol(c.members[1])
	head := c.head()
	before := c.status()[c.leader()].GetCommitIndex()
	full := 0
	for i := range 120 {
		ballot := protocol.NewBallot(protocol.Vote{Proposal: protocol.HashOf(fmt.Append(nil, i)), Choice: protocol.For})
		_, err := send(flooder, sign(c, c.members[0], c.members[0].Vote, head, ballot))
		switch {
		case errors.Is(err, refusal.ErrFull):
			full++
		case !errors.Is(err, federation.ErrNotFound):
			t.Fatalf("ballot %d: %v", i, err)
		}
	}
	if grown := c.status()[c.leader()].GetCommitIndex() - before; grown > 40 {
		t.Errorf("120 refused documents cost %d entries of consensus", grown)
	}
	vote(other, c.proposal("Oui", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}}))
	for range 500 { // more than the burst, in less time than it takes to refill
		if _, err := send(flooder, sign(c, c.members[0], c.members[0].Vote, head, protocol.Cosign{Proposal: head.Root})); errors.Is(err, refusal.ErrFull) {
			full++
		}
	}
	if full == 0 {
		t.Error("nothing bounds what a member submits")
	}
	vote(other, c.proposal("Encore", protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}}))
}

// Whatever a member asks for without end, it is told how long to wait, and
// another member is answered.
func TestEveryCallIsBounded(t *testing.T) {
	c := found(t, 3)
	greedy, other := c.enrol(c.members[0]), c.enrol(c.members[1])
	c.settle()
	for _, method := range methods() {
		if !slices.Contains(mayCall[method], "member") {
			continue
		}
		var err error
		for n := 0; n < 2000 && !errors.Is(err, refusal.ErrFull); n++ {
			err = refusal.FromStatus(try(t, greedy.conns[0], method))
		}
		if after, ok := refusal.RetryAfter(err); !errors.Is(err, refusal.ErrFull) || !ok || after < time.Second {
			t.Errorf("%s: nothing bounds it: %v", method, err)
		}
		if _, err := other.stubs[0].Status(t.Context(), &wire.StatusRequest{}); err != nil {
			t.Errorf("%s: another member: %v", method, refusal.FromStatus(err))
		}
	}
}
