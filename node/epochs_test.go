package node

import (
	"strings"
	"testing"
	"time"

	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

// What a status says of a new key, from its vote to the retirement of the
// former one.
func TestStatusOfANewKey(t *testing.T) {
	town := federationtest.Found(t, 4).Keyed()
	status := func() Status {
		view := town.View()
		return Status{Stewards: stewardsOf(&town.Log, view, "membre-01"), Migration: migrationOf(&town.Log, view)}
	}
	if s := status(); s.Migration != nil || s.Stewards.Epoch != 1 {
		t.Fatalf("before: %+v", s)
	}
	town.StartEpoch(30 * federationtest.Day)
	if m := status().Migration; m == nil || m.Made || m.Epoch != 2 || m.Until != town.View().Until {
		t.Fatalf("while the key is made: %+v", m)
	}
	town.RunCeremony()
	town.Must(federationtest.Node(town, town.Members[0], protocol.Migrated{Epoch: 2}))
	if m := status().Migration; m == nil || !m.Made || m.Moved != 1 || len(m.Missing) != 3 {
		t.Fatalf("while members move: %+v", m)
	}
	town.Now += 31 * federationtest.Day
	town.Must(federationtest.State(town, protocol.Retirement{Epoch: 1}))
	if s := status(); s.Migration != nil || s.Stewards.Epoch != 2 {
		t.Fatalf("after: %+v", s)
	}
}

// The members are reminded to share the key anew, and to make another.
func TestOldKeyIsTold(t *testing.T) {
	town := federationtest.Found(t, 4).Keyed()
	key, _ := federation.ActiveKey(&town.Log)
	status := func() Status { return Status{Stewards: stewardsOf(&town.Log, town.View(), "membre-01")} }
	wants := func(after time.Duration, want *Trouble) {
		t.Helper()
		got, ok := keyTrouble(status(), key.Made.Time().Add(after))
		if ok != (want != nil) || ok && got != *want {
			t.Errorf("after %s: %v %+v", after, ok, got)
		}
	}
	wants(89*24*time.Hour, nil)
	wants(91*24*time.Hour, &oldShares)
	town.Now += 80 * federationtest.Day
	town.Elect(2, town.Members[:3]...)
	town.RunCeremony()
	wants(91*24*time.Hour, nil)
	wants(367*24*time.Hour, &oldKey)
	moving := Status{Member: "a", Migration: &Migration{Until: protocol.At(key.Made.Time()), Missing: []protocol.MemberID{"a", "b"}}}
	for days, want := range map[int]bool{2: true, 4: false} {
		if got, late := keyTrouble(moving, key.Made.Time().AddDate(0, 0, -days)); late != want || late && got != lateMigration {
			t.Errorf("%d days before: %v", days, late)
		}
	}
	for _, each := range []Trouble{oldKey, oldShares, tooFewStewards, lateMigration} {
		if each.What.Check() != nil || each.Do.Check() != nil {
			t.Errorf("%+v", each)
		}
	}
}

func TestNewKeyInWords(t *testing.T) {
	view := federationtest.Found(t, 4).Keyed().View()
	e := protocol.Effect{StartEpoch: &protocol.EpochStart{Until: protocol.At(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))}}
	said, _ := changes(view, e)
	said = append(said, effectWords(e))
	for _, words := range said {
		if words.Check() != nil {
			t.Errorf("%+v", words)
		}
	}
	if len(said) != 4 || !strings.Contains(said[0].EN, "1 → 2") || !strings.Contains(said[2].FR, "2027-03-01") {
		t.Errorf("%+v", said)
	}
}
