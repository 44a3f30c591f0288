package notary

import (
	"errors"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/checkpoint"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// townLog is a town's log, signed by its replica.
type townLog struct{ *federationtest.Town }

func (l townLog) View(fn func(federation.Tx) error) error { return fn(&l.Town.Log) }

func (l townLog) Checkpoint(federation.Tx) (protocol.Head, []byte, error) {
	note, err := checkpoint.Sign(checkpoint.OriginOf(l.Town.View()), l.Head(), l.Replica)
	return l.Head(), note, err
}

func TestCheckpointsStandForAWhile(t *testing.T) {
	town := federationtest.Found(t, 3)
	clock := time.Unix(1_763_900_000, 0)
	n := New(townLog{town}, func() time.Time { return clock })
	latest := func() checkpoint.Checkpoint {
		t.Helper()
		c, err := n.Latest()
		town.Must(err)
		c, err = checkpoint.Open([]byte(c.String()), town.View())
		town.Must(err)
		return c
	}
	cosign := func(c checkpoint.Checkpoint, m *federationtest.Member) []byte {
		t.Helper()
		raw, err := c.Cosign(checkpoint.OriginOf(town.View()), m.ID, m.Node, clock)
		town.Must(err)
		return raw
	}
	first := latest()
	if first.Head != town.Head() || len(first.Cosigned) != 0 {
		t.Fatalf("%+v", first)
	}
	byTwo := cosign(first, town.Members[1])
	town.Must(n.Keep("membre-02", byTwo))
	town.Must(n.Keep("membre-02", byTwo)) // again, after an answer was lost
	if err := n.Keep("membre-01", byTwo); !errors.Is(err, protocol.ErrMalformed) {
		t.Error("a member passed another's cosignature off as its own:", err)
	}
	if err := n.Keep("membre-01", []byte("no note")); !errors.Is(err, protocol.ErrMalformed) {
		t.Error(err)
	}

	// The log grows, and the first still stands for whoever comes later.
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	town.Must(n.Keep("membre-01", cosign(latest(), town.Members[0])))
	if c := latest(); c.Head != first.Head || len(c.Cosigned) != 2 || c.Cosigned[0].Member != "membre-01" {
		t.Fatalf("%+v", c)
	}
	clock = clock.Add(period)
	second := latest()
	if second.Head != town.Head() || len(second.Cosigned) != 0 {
		t.Fatalf("%+v", second)
	}
	// A cosignature of an earlier head does not replace a later one's.
	town.Must(n.Keep("membre-02", cosign(second, town.Members[1])))
	town.Must(n.Keep("membre-02", byTwo))
	if c := latest(); len(c.Cosigned) != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestAnotherHistoryIsNotKept(t *testing.T) {
	town := federationtest.Found(t, 3)
	other := town.Again()
	town.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 1}})
	other.Open(protocol.Effect{GrantBudget: &protocol.Grant{NanoRho: 2}})
	c, err := New(townLog{other}, time.Now).Latest()
	town.Must(err)
	raw, err := c.Cosign(checkpoint.OriginOf(town.View()), "membre-01", town.Members[0].Node, time.Now())
	town.Must(err)
	n := New(townLog{town}, time.Now)
	if err := n.Keep("membre-01", raw); !errors.Is(err, federation.ErrFork) {
		t.Error(err)
	}
}
