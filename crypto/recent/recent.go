// Package recent remembers what was used lately, a bounded number of values: for
// what a function of its key alone comes to, so that it does not matter who
// asked first, nor what was forgotten.
//
// It keeps two halves and forgets the older one when the newer is full, which
// costs less a look than an order of use, and is as good where a burst of uses
// fits one half.
package recent

import "sync"

// Map remembers values by their keys. Values are shared with every caller.
type Map[K comparable, V any] struct {
	half int

	// mu guards the rest.
	mu           sync.Mutex
	newer, older map[K]V
}

// NewMap returns a map that holds at most twice half.
func NewMap[K comparable, V any](half int) *Map[K, V] { return &Map[K, V]{half: half} }

// Get looks a key up, which does not count as a use.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(key)
}

func (m *Map[K, V]) get(key K) (V, bool) {
	if v, ok := m.newer[key]; ok {
		return v, true
	}
	v, ok := m.older[key]
	return v, ok
}

// Put uses a key.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, value)
}

func (m *Map[K, V]) put(key K, value V) {
	if m.newer == nil || len(m.newer) >= m.half {
		m.newer, m.older = make(map[K]V), m.newer
	}
	m.newer[key] = value
}

// Find uses a key, and makes its value if it is not remembered.
func (m *Map[K, V]) Find(key K, make func() V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.newer[key]; ok {
		return v
	}
	v, ok := m.older[key]
	if !ok {
		v = make()
	}
	m.put(key, v)
	return v
}

// Len is how many keys are held at most: one may be in both halves.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.newer) + len(m.older)
}
