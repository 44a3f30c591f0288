package federation_test

import (
	"errors"
	"iter"
	"testing"

	"coulisse/protocol/federation"
	"coulisse/protocol/federation/federationtest"
)

type pair struct{ key, value string }

func derived(m *federation.Memory) (list []pair) {
	m.Derived(func(key, value string) bool { list = append(list, pair{key, value}); return true })
	return list
}

func each(list []pair) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, p := range list {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}

// A state that was taken apart and put together again is the same, and goes on
// as the other does.
func TestLoadingAState(t *testing.T) {
	t.Parallel()
	town := federationtest.Found(t, 3).Keyed()
	var entries []string
	for _, e := range town.Entries {
		entries = append(entries, string(e.Encode()))
	}
	state := derived(&town.Log)
	var loaded federation.Memory
	if err := loaded.Load(entries, each(state)); err != nil {
		t.Fatal(err)
	}
	size := len(town.Entries)
	town.StartEpoch(60 * federationtest.Day)
	for _, e := range town.Entries[size:] {
		town.Must(loaded.Apply(e))
	}
	town.Log.Ascend("", func(key, value string) bool {
		if theirs, ok := loaded.Get(key); !ok || theirs != value {
			t.Errorf("they differ at %s", key)
		}
		return true
	})
	for name, load := range map[string]func(*federation.Memory) error{
		"no state":         func(m *federation.Memory) error { return m.Load(entries, each(nil)) },
		"an entry too few": func(m *federation.Memory) error { return m.Load(entries[1:], each(state)) },
		"half a state":     func(m *federation.Memory) error { return m.Load(entries, each(state[:len(state)/2])) },
		"out of order":     func(m *federation.Memory) error { return m.Load(entries, each(append(state[1:2:2], state...))) },
		"entries in the state": func(m *federation.Memory) error {
			return m.Load(entries, each([]pair{{"a", ""}, {"log/0", ""}}))
		},
		"over another one": func(m *federation.Memory) error {
			m.Set("size", "1")
			return m.Load(entries, each(state))
		},
	} {
		if err := load(new(federation.Memory)); !errors.Is(err, federation.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
