package coordinator

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/governance"
	"coulisse/protocol/refusal"
	"coulisse/protocol/wire"
)

// Every replica states the same log under its own key, the leader collects
// what members cosign, and a tool that knows a replica's key verifies it.
func TestCheckpoints(t *testing.T) {
	c := found(t, 3)
	a, b := c.enrol(c.members[0]), c.enrol(c.members[1])
	c.settle()
	view, err := governance.Begin(c.founding)
	if err != nil {
		t.Fatal(err)
	}
	o := checkpoint.OriginOf(view)
	signers := map[protocol.ReplicaID]bool{}
	var first checkpoint.Checkpoint
	for _, stub := range a.stubs {
		reply, err := stub.Checkpoint(t.Context(), &wire.CheckpointRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if first, err = checkpoint.Open(reply.GetNote(), view); err != nil {
			t.Fatal(err)
		}
		signers[first.Replicas[0]] = true
	}
	if len(signers) != 3 {
		t.Fatalf("three replicas sign as %v", signers)
	}

	latest := func() (one checkpoint.Checkpoint) {
		t.Helper()
		err := a.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
			status, err := stub.Status(ctx, &wire.StatusRequest{})
			if err != nil || status.GetState() != "leader" {
				return errors.Join(err, refusal.ErrNotLeader)
			}
			reply, err := stub.Checkpoint(ctx, &wire.CheckpointRequest{})
			if err == nil {
				one, err = checkpoint.Open(reply.GetNote(), view)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	hand := func(p *client, note []byte) error {
		return p.atLeader(func(ctx context.Context, stub wire.CoordinatorClient) error {
			_, err := stub.Cosign(ctx, &wire.CosignRequest{Note: note})
			return err
		})
	}
	standing := latest()
	for _, p := range []*client{a, b} {
		note, err := standing.Cosign(o, p.member.ID, p.member.Node, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := hand(p, note); err != nil {
			t.Fatal(err)
		}
	}
	if got := latest(); len(got.Cosigned) != 2 || got.Head != standing.Head {
		t.Fatalf("%+v", got)
	}

	byA, err := standing.Cosign(o, a.member.ID, a.member.Node, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := hand(b, byA); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("a member handed in another's cosignature:", err)
	}
	if err := hand(a, bytes.Repeat([]byte{'x'}, checkpoint.MaxNote+1)); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("an enormous note:", err)
	}
	if err := hand(a, nil); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("no note:", err)
	}
}
