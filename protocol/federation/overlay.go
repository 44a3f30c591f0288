package federation

import (
	"strings"

	"coulisse/protocol"

	"github.com/tidwall/btree"
)

// Whole runs a step over a state, which keeps what the step wrote only if it
// succeeded. So several steps share one transaction, and one that is refused
// leaves nothing behind.
func Whole(tx Tx, step func(Tx) error) error {
	o := &overlay{base: tx}
	if err := step(o); err != nil {
		return err
	}
	o.written.Scan(func(key, value string) bool {
		tx.Set(key, value)
		return true
	})
	return nil
}

// Try is [Append] without keeping anything.
func Try(tx Tx, at protocol.Millis, label protocol.Label, document []byte) error {
	_, _, err := Append(&overlay{base: tx}, at, label, document)
	return err
}

// overlay holds back what a transition writes until it has succeeded.
type overlay struct {
	base    Tx
	written btree.Map[string, string]
}

func (o *overlay) Get(key string) (string, bool) {
	if value, ok := o.written.Get(key); ok {
		return value, true
	}
	return o.base.Get(key)
}

func (o *overlay) Set(key, value string) { o.written.Set(key, value) }

// Heads are the state's: an overlay only adds to the log.
func (o *overlay) Heads() *Heads {
	if base, ok := o.base.(headed); ok {
		return base.Heads()
	}
	return nil
}

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
	o.base.Ascend(prefix, func(key, value string) bool {
		upTo(key, false)
		if more && written.Key() == key { // written over
			value, more = written.Value(), written.Next()
		}
		going = going && fn(key, value)
		return going
	})
	upTo("", true)
}
