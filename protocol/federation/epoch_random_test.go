package federation_test

import (
	"fmt"
	"testing"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	. "coulisse/protocol/federation/federationtest"

	"pgregory.net/rapid"
)

// TestEpochsAgainstAModel moves a federation through key epochs in any order of
// events, and holds what the log takes against a second account of the rules.
func TestEpochsAgainstAModel(t *testing.T) {
	keyed := Found(t, 6, func(c *protocol.Charter) { c.Allowance = 50 }).Keyed()
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		town := keyed.Again()
		town.Members = nil
		for _, member := range keyed.Members { // with shares of their own
			own := *member
			town.Members = append(town.Members, &own)
		}
		m := epochs{t: rt, town: town, reached: reached, epoch: 1, out: map[voter]bool{}, tokens: map[protocol.Epoch]map[voter]int64{}}
		for range rapid.IntRange(15, 35).Draw(rt, "steps") {
			m.step()
			m.compare()
		}
		replayed(t, m.town)
	})
	t.Log(reached)
}

type epochs struct {
	t       *rapid.T
	town    *Town
	reached map[string]int

	epoch  protocol.Epoch // the oldest in use
	made   bool           // the one after it is in use too
	asked  bool           // or it is decided
	until  protocol.Millis
	moved  map[voter]bool
	out    map[voter]bool
	tokens map[protocol.Epoch]map[voter]int64
}

func (m *epochs) expect(what string, want bool, err error) bool {
	if (err == nil) != want {
		m.t.Fatalf("%s: the model says %v, the log %v", what, want, err)
	}
	m.reached[fmt.Sprint(what, " ", want)]++
	return err == nil
}

func (m *epochs) newest() protocol.Epoch {
	if m.made {
		return m.epoch + 1
	}
	return m.epoch
}

func (m *epochs) step() {
	town := m.town
	member := rapid.SampledFrom(town.Members).Draw(m.t, "member")
	epoch := m.epoch + rapid.SampledFrom([]protocol.Epoch{0, 0, 1, 1, 2}).Draw(m.t, "epoch")
	switch rapid.SampledFrom([]string{"start", "make", "make", "elect", "ticket", "ticket", "move", "move", "move", "round", "round", "all move", "retire", "retire", "wait", "wait", "suspend"}).Draw(m.t, "step") {
	case "start":
		m.start()
	case "make":
		m.make()
	case "elect":
		if first := rapid.IntRange(0, 1).Draw(m.t, "first"); m.epoch == m.newest() && !m.asked { // else those who hold a share could not be let go
			town.Elect(2, town.Members[first:first+3]...)
			town.RunCeremony()
		}
	case "ticket":
		m.ticket(member, epoch)
	case "move":
		m.move(member, epoch)
	case "all move":
		for _, each := range town.Members {
			m.move(each, m.epoch+1)
		}
	case "round":
		m.round(epoch)
	case "retire":
		m.retire(m.epoch + rapid.SampledFrom([]protocol.Epoch{0, 0, 0, 1}).Draw(m.t, "retired"))
	case "wait":
		town.Now += rapid.SampledFrom([]protocol.Millis{Hour, Day}).Draw(m.t, "a while")
	case "suspend": // one that holds no share
		last := town.Members[5]
		if m.out[last.ID] = !m.out[last.ID]; m.out[last.ID] {
			town.Decide(protocol.Effect{Suspend: last.ID})
		} else {
			town.Decide(protocol.Effect{Reinstate: last.ID})
		}
	}
}

func (m *epochs) move(member *Member, epoch protocol.Epoch) {
	want := m.made && epoch == m.epoch+1 && !m.moved[member.ID] && !m.out[member.ID]
	if epoch > 1 && m.expect("move", want, Node(m.town, member, protocol.Migrated{Epoch: epoch})) {
		m.moved[member.ID] = true
	}
}

func (m *epochs) start() {
	until := m.town.Now + 2*Day
	err := Vote(m.town, m.town.Members[0], m.town.Proposal(protocol.Effect{StartEpoch: &protocol.EpochStart{Until: until}}))
	if m.expect("start", !m.asked && !m.made, err) {
		m.town.StartEpoch(2 * Day)
		m.asked, m.until = true, m.town.View().Until
	}
}

func (m *epochs) make() {
	if m.asked {
		m.town.RunCeremony()
		m.asked, m.made, m.moved = false, true, map[voter]bool{}
	}
}

func (m *epochs) ticket(member *Member, epoch protocol.Epoch) {
	count := rapid.Int64Range(1, 40).Draw(m.t, "count")
	if m.tokens[epoch] == nil {
		m.tokens[epoch] = map[voter]int64{}
	}
	sequence := federation.TicketsOf(&m.town.Log, member.ID, epoch).Sequence + 1
	want := epoch == m.newest() && !m.out[member.ID] && m.tokens[epoch][member.ID]+count <= 50
	if m.expect("ticket", want, Node(m.town, member, batch(epoch, sequence, int(count)))) {
		m.tokens[epoch][member.ID] += count
	}
}

func (m *epochs) round(epoch protocol.Epoch) {
	if len(federation.RunningRounds(&m.town.Log)) >= federation.MaxRunning {
		return
	}
	first := rapid.IntRange(0, 4).Draw(m.t, "first")
	a, b := m.town.Members[first], m.town.Members[first+1]
	manifest := m.town.Manifest(a, b)
	manifest.Epoch = epoch
	right := m.epoch
	if m.made && m.moved[a.ID] && m.moved[b.ID] {
		right++
	}
	want := epoch == right && !m.out[a.ID] && !m.out[b.ID]
	if m.expect("round", want, Node(m.town, a, manifest)) && rapid.Bool().Draw(m.t, "open") {
		m.town.Advance(manifest.Round, federation.Opened)
	}
}

// retire ends what was not opened under the former key, and nothing else.
func (m *epochs) retire(epoch protocol.Epoch) {
	town := m.town
	all, waits := true, false
	for _, x := range town.Members {
		all = all && (m.out[x.ID] || m.moved[x.ID])
	}
	under := map[protocol.RoundID]bool{}
	for _, r := range federation.RunningRounds(&town.Log) {
		if r.Content().Epoch == m.epoch && r.Stage != federation.Opened {
			waits, under[r.ID] = true, true
		}
	}
	running := len(federation.RunningRounds(&town.Log))
	want := m.made && epoch == m.epoch && (town.Now >= m.until || all && !waits)
	if !m.expect("retire", want, State(town, protocol.Retirement{Epoch: epoch})) {
		return
	}
	m.epoch, m.made = m.epoch+1, false
	if got := len(federation.RunningRounds(&town.Log)); got != running-len(under) {
		m.t.Fatalf("%d rounds go on, not %d", got, running-len(under))
	}
}

func (m *epochs) compare() {
	keys := federation.Keys(&m.town.Log)
	if m.made != (len(keys) == 2) || keys[0].Epoch != m.epoch || keys[len(keys)-1].Epoch != m.newest() {
		m.t.Fatalf("%d keys in use from epoch %d, not from %d", len(keys), keys[0].Epoch, m.epoch)
	}
}
