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
}

// Apply applies an entry whole or not at all.
func (m *Memory) Apply(e protocol.Entry) error {
	tx := &overlay{base: &m.values}
	if err := Apply(tx, e); err != nil {
		return err
	}
	tx.written.Scan(func(key, value string) bool {
		m.values.Set(key, value)
		return true
	})
	return nil
}

// Get implements [Tx].
func (m *Memory) Get(key string) (string, bool) { return m.values.Get(key) }

// Set implements [Tx].
func (m *Memory) Set(key, value string) { m.values.Set(key, value) }

// Ascend implements [Tx].
func (m *Memory) Ascend(prefix string, fn func(key, value string) bool) {
	ascend(&m.values, prefix, fn)
}

func ascend(values *btree.Map[string, string], prefix string, fn func(key, value string) bool) {
	values.Ascend(prefix, func(key, value string) bool {
		return strings.HasPrefix(key, prefix) && fn(key, value)
	})
}

// overlay holds back what a transition writes until it has succeeded.
type overlay struct {
	base    *btree.Map[string, string]
	written btree.Map[string, string]
}

func (o *overlay) Get(key string) (string, bool) {
	if value, ok := o.written.Get(key); ok {
		return value, true
	}
	return o.base.Get(key)
}

func (o *overlay) Set(key, value string) { o.written.Set(key, value) }

// Ascend merges what is written over what is stored, in key order.
func (o *overlay) Ascend(prefix string, fn func(key, value string) bool) {
	written := o.written.Iter()
	more := written.Seek(prefix)
	going := true
	// upTo visits what was written before a stored key.
	upTo := func(limit string, all bool) {
		for more && going && (all || written.Key() < limit) && strings.HasPrefix(written.Key(), prefix) {
			going = fn(written.Key(), written.Value())
			more = written.Next()
		}
	}
	ascend(o.base, prefix, func(key, value string) bool {
		upTo(key, false)
		if more && written.Key() == key { // written over
			value, more = written.Value(), written.Next()
		}
		going = going && fn(key, value)
		return going
	})
	upTo("", true)
}
