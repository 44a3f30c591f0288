package coordinator

import (
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
)

// The leader retires the former key, unasked: once everybody has moved to the
// new one, or at the date that the members voted.
func TestTheLeaderRetiresAKey(t *testing.T) {
	c := found(t, 3)
	clients := c.enrolAll()
	c.keyed(clients)
	start := func() {
		until := protocol.At(c.now().Add(48 * time.Hour))
		c.decide(clients, protocol.Effect{StartEpoch: &protocol.EpochStart{Until: until}})
		c.ceremony(clients)
	}
	alone := func(epoch protocol.Epoch) func(*federation.Memory) bool {
		return func(log *federation.Memory) bool {
			keys := federation.Keys(log)
			return len(keys) == 1 && keys[0].Epoch == epoch
		}
	}
	start()
	for _, p := range clients {
		post(p, protocol.Migrated{Epoch: 2})
	}
	c.until("the first key is retired", alone(2))

	start()
	post(clients[0], protocol.Migrated{Epoch: 3})
	if keys := federation.Keys(c.log()); len(keys) != 2 {
		t.Fatalf("%d keys before the date", len(keys))
	}
	c.ahead.Add(int64(49 * time.Hour))
	c.until("the second key is retired", alone(3))
}
