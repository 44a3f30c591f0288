package federation

import (
	"errors"
	"iter"
	"strings"
)

// logPrefix begins the keys of the log's entries, which whoever keeps a log has
// beside the state.
const logPrefix = "log/"

// ErrState: what was given is no state of that log.
var ErrState = errors.New("not a state of this log")

// Derived is all of the state but the log's entries, in ascending order of the
// keys. The same build takes it back with [Memory.Load].
func (m *Memory) Derived(fn func(key, value string) bool) {
	m.Ascend("", func(key, value string) bool {
		return strings.HasPrefix(key, logPrefix) || fn(key, value)
	})
}

// Load makes an empty state what it was when derived was [Memory.Derived] and
// the log had these entries. It verifies nothing of them: whoever asks knows
// that they were verified. It keeps the strings.
func (m *Memory) Load(entries []string, derived iter.Seq2[string, string]) error {
	if m.values.Len() > 0 {
		return ErrState
	}
	last := ""
	for key, value := range derived {
		if key <= last || strings.HasPrefix(key, logPrefix) {
			return ErrState
		}
		if last < logPrefix && key > logPrefix {
			m.loadEntries(entries)
		}
		m.values.Load(key, value)
		last = key
	}
	if last < logPrefix || Size(m) != int64(len(entries)) {
		return ErrState
	}
	return nil
}

func (m *Memory) loadEntries(entries []string) {
	for seq, entry := range entries {
		m.values.Load(entryKey(int64(seq)), entry)
	}
}
