package federation

import (
	"strings"

	"coulisse/protocol"

	"github.com/tidwall/btree"
)

// Memory is a state in memory, for nodes and tests. One writer at a time, and
// no reader beside it: its owner locks.
type Memory struct {
	values btree.Map[string, string]
	heads  Heads
}

// Heads are those of this log.
func (m *Memory) Heads() *Heads { return &m.heads }

// Apply applies an entry whole or not at all.
func (m *Memory) Apply(e protocol.Entry) error {
	return Whole(m, func(tx Tx) error { return Apply(tx, e) })
}

// Get implements [Tx].
func (m *Memory) Get(key string) (string, bool) { return m.values.Get(key) }

// Set implements [Tx].
func (m *Memory) Set(key, value string) { m.values.Set(key, value) }

// Ascend implements [Tx].
func (m *Memory) Ascend(prefix string, fn func(key, value string) bool) {
	m.values.Ascend(prefix, func(key, value string) bool {
		return strings.HasPrefix(key, prefix) && fn(key, value)
	})
}
